"""What people do with endpoints: add, change, enable, disable, and replace their keys."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from claimkit.errors import InvalidSigningKey, InvalidTarget
from claimkit.tenants import current_tenant
from claimkit.webhooks.payloads import Detail, check_subscriptions
from claimkit.webhooks.signing import PublicKey, generate_key, parse_key
from claimkit.webhooks.targets import check_headers, parse_target
from claimkit.webhooks.trust import Certificates, make_tls
from claimkit_django.conf import config
from claimkit_django.runtime import plugins
from claimkit_django.sealing import seal
from claimkit_django.uids import new_challenge
from claimkit_django.webhooks.enqueue import ping
from claimkit_django.webhooks.models import Endpoint, EndpointKey
from claimkit_django.webhooks.store import (
    confirm_endpoint,
    disable_endpoint,
    target_policy,
    wait_for_confirmation,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from claimkit.webhooks.signing import SecretKey, SigningPair

__all__ = [
    "add_endpoint",
    "add_key",
    "change_endpoint",
    "confirm",
    "disable",
    "enable",
    "lets_hear_more",
]

#: The record of an endpoint that has not failed yet.
_CLEAN: Mapping[str, Any] = {
    "failures": 0,
    "failing_since": None,
    "held_until": None,
    "width": Endpoint._meta.get_field("width").default,
}
#: Old keys that still sign beside a new one; the header takes sixteen.
_MAX_KEYS = 10


def add_endpoint(
    *,
    url: str,
    event_types: Iterable[str],
    description: str = "",
    detail: str = Detail.THIN.value,
    headers: Mapping[str, str] | None = None,
    legacy_signature: bool = False,
    key_version: str = "v1",
    order: str = Endpoint.OrderChoices.ANY.value,
    certificates: Certificates | None = None,
    using: str,
) -> tuple[Endpoint, str]:
    """Add an endpoint of the tenant in scope; return it with its key, which is shown only now.

    It is asked at once whether it wants webhooks, and gets no others before it has answered.

    Raises:
        InvalidTarget: webhooks may not be sent to the address, or with these headers or
            certificates.
        UnknownName: there is no such event type.
        InvalidSigningKey: there is no such version of signatures.
    """
    parse_target(url, target_policy())
    with transaction.atomic(using=using):
        endpoint = Endpoint(
            url=url,
            description=description,
            event_types=list(check_subscriptions(event_types, plugins().event_types)),
            detail=Detail(detail).value,
            legacy_signature=legacy_signature,
            sealed_headers=_seal_headers(headers or {}),
            sealed_tls=_seal_certificates(certificates),
            order=Endpoint.OrderChoices(order).value,
            **_unconfirmed(),
        )
        endpoint.save(using=using)
        key = _store(endpoint, generate_key(key_version), using=using)
        if endpoint.confirmed_at is None:
            ping(current_tenant(), endpoint, using=using)
    return endpoint, key.text


def change_endpoint(endpoint: Endpoint, changes: Mapping[str, Any], *, using: str) -> None:
    """Change what an endpoint is and hears, in the caller's transaction; its keys stay.

    Args:
        endpoint: As it is now; takes the new values.
        changes: Any of ``url``, ``event_types``, ``description``, ``detail``, ``headers``, ``order``,
            ``certificates`` and ``legacy_signature``. Another URL begins with a clean record and must be confirmed;
            what is due to the endpoint waits.
        using: Alias of the database.

    Raises:
        InvalidTarget: webhooks may not be sent to the address, or with these headers or
            certificates.
        UnknownName: there is no such event type.
    """
    values = dict(changes)
    is_elsewhere = values.get("url", endpoint.url) != endpoint.url
    if is_elsewhere:
        parse_target(values["url"], target_policy())
        values |= {**_CLEAN, **_unconfirmed(endpoint.confirmed_at)}
    if "event_types" in values:
        known = plugins().event_types
        values["event_types"] = list(check_subscriptions(values["event_types"], known))
    if "headers" in values:
        values["sealed_headers"] = _seal_headers(values.pop("headers"))
    if "certificates" in values:
        values["sealed_tls"] = _seal_certificates(values.pop("certificates"))
    for name, value in values.items():
        setattr(endpoint, name, value)
    endpoint.save(using=using, update_fields=[*values, "updated_at"])
    if is_elsewhere and endpoint.confirmed_at is None:
        wait_for_confirmation(endpoint.pk, at=timezone.now(), using=using)
        ping(current_tenant(), endpoint, using=using)


def lets_hear_more(changes: Mapping[str, Any], endpoint: Endpoint | None = None) -> bool:
    """Whether payer and money would be told to somebody, or of something, that they were not.

    Args:
        changes: As :func:`change_endpoint` takes them, or those of a new endpoint.
        endpoint: As it is now; None for a new one.
    """
    detail = changes.get("detail", endpoint.detail if endpoint else Detail.THIN.value)
    if detail != Detail.FULL.value:
        return False
    # Headers and certificates name the account at the receiver, or who it is, and cannot be compared:
    # they are encrypted.
    names_another = {"headers", "certificates"} & changes.keys()
    if endpoint is None or endpoint.detail != Detail.FULL.value or names_another:
        return True
    known = set(endpoint.event_types)
    more = set(changes.get("event_types", known)) - known if "*" not in known else set()
    return bool(more) or changes.get("url", endpoint.url) != endpoint.url


def add_key(
    endpoint: Endpoint,
    *,
    version: str = "v1",
    text: str = "",
    overlap: dt.timedelta | None = None,
    using: str,
) -> str:
    """Give an endpoint a new key and let the others expire; return the key, shown only now.

    Args:
        endpoint: Whose key.
        version: ``v1`` or ``v1a``.
        text: A key of your own instead of a generated one.
        overlap: How long the others still sign; the setting if not given.
        using: Alias of the database.

    Raises:
        InvalidSigningKey: no key, a weak one, or one that is in use already.
    """
    if overlap is None:
        overlap = dt.timedelta(hours=config().webhooks.key_overlap_hours)
    key = parse_key(text) if text else generate_key(version)
    if isinstance(key, PublicKey) or not key.is_strong:
        raise InvalidSigningKey("a signing key has 24 to 64 random bytes")
    now = timezone.now()
    with transaction.atomic(using=using):
        Endpoint.objects.using(using).select_for_update(no_key=True).get(pk=endpoint.pk)
        others = EndpointKey.objects.using(using).filter(endpoint=endpoint)
        others.filter(Q(expires_at=None) | Q(expires_at__gt=now + overlap)).update(
            expires_at=now + overlap
        )
        others.filter(expires_at__lte=now - dt.timedelta(days=7)).delete()
        if others.filter(expires_at__gt=now).count() >= _MAX_KEYS:
            raise InvalidSigningKey("too many keys of this endpoint are still valid")
        known = EndpointKey.objects.using(using).filter(fingerprint=key.fingerprint)
        if known.exists():
            raise InvalidSigningKey("this key is in use already")
        _store(endpoint, key, using=using)
    return key.text


def enable(endpoint: Endpoint, *, using: str) -> None:
    """Send to an endpoint again, with a clean record."""
    Endpoint.objects.using(using).filter(pk=endpoint.pk).update(
        enabled=True, disabled_reason="", disabled_at=None, **_CLEAN
    )


def confirm(endpoint: Endpoint, challenge: str, *, using: str) -> None:
    """Take the challenge of a ping from a person who reads the receiver's log; then send.

    An endpoint that is confirmed already stays so.

    Raises:
        InvalidTarget: it is not what the endpoint was sent last.
    """
    if endpoint.confirmed_at is None and not confirm_endpoint(
        endpoint.pk, challenge, at=timezone.now(), using=using
    ):
        raise InvalidTarget(
            "this is not the challenge that the endpoint was sent last",
            remedy="Send a test webhook and take data.challenge from the body that arrives",
            code="challenge_wrong",
        )


def disable(endpoint: Endpoint, *, using: str) -> None:
    """Send nothing more to an endpoint, and cancel what waits for it."""
    disable_endpoint(endpoint.pk, "by_hand", at=timezone.now(), using=using)


def _unconfirmed(last: dt.datetime | None = None) -> dict[str, Any]:
    """Return what a new address begins with; ``last`` is when the old one was confirmed."""
    if config().webhooks.confirm_endpoints:
        return {"confirmed_at": None, "challenge": new_challenge()}
    return {"confirmed_at": last or timezone.now(), "challenge": ""}


def _seal_headers(headers: Mapping[str, str]) -> bytes:
    """Return headers as an endpoint keeps them.

    Raises:
        InvalidTarget: one is malformed, or is not theirs to set.
    """
    check_headers(headers)
    return seal(json.dumps(dict(headers)).encode()) if headers else b""


def _seal_certificates(certificates: Certificates | None) -> bytes:
    """Return certificates as an endpoint keeps them.

    Raises:
        InvalidTarget: they are none.
    """
    if certificates is None or certificates == Certificates():
        return b""
    make_tls(certificates)
    return seal(json.dumps(asdict(certificates)).encode())


def _store(
    endpoint: Endpoint, key: SecretKey | SigningPair, *, using: str
) -> SecretKey | SigningPair:
    public = "" if key.version == "v1" else key.public.text  # type: ignore[union-attr]
    EndpointKey.objects.using(using).create(
        endpoint=endpoint,
        sealed=seal(key.text.encode()),
        version=key.version,
        fingerprint=key.fingerprint,
        public=public,
    )
    return key
