"""Kinds of channels of this site: those of plugins, and e-mail by the site's own mail settings."""

from __future__ import annotations

import datetime as dt
import json
import smtplib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.utils import timezone

from claimkit.alerts.channels import SendResult, as_text, check_names, subject_line
from claimkit.errors import ConfigError, UnknownName
from claimkit.events import AlertNotified
from claimkit.tenants import current_tenant
from claimkit_django.runtime import make_bus, open_store, plugins
from claimkit_django.sealing import open_sealed, seal

if TYPE_CHECKING:
    from claimkit.alerts.channels import Channel, Notification
    from claimkit.types import Json

__all__ = [
    "EmailChannel",
    "WebhookChannel",
    "check_settings",
    "find_kind",
    "kinds",
    "opened",
    "sealed",
    "shown",
    "takes_digests",
]

_MOST_RECIPIENTS = 50
_LONGEST_SUBJECT = 200
#: Replies of a mail server that say "never", by their first digit.
_PERMANENT = 5


class EmailChannel:
    """Mails a notification as text and HTML; every recipient sees only their own address."""

    name = "email"
    secrets: frozenset[str] = frozenset()

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return ``{"to": [address, …]}``, 1 to 50 addresses, each once.

        Raises:
            ConfigError: no addresses, too many, or one that is none.
        """
        check_names(settings, needed=["to"])
        to = settings["to"]
        if isinstance(to, str) or not isinstance(to, Sequence):
            raise ConfigError('e-mail has one setting, "to": a list of addresses')
        addresses = list(dict.fromkeys(str(one).strip() for one in to))
        if not 1 <= len(addresses) <= _MOST_RECIPIENTS:
            raise ConfigError(f"e-mail goes to 1 to {_MOST_RECIPIENTS} addresses")
        for one in addresses:
            try:
                validate_email(one)
            except ValidationError:
                raise ConfigError("an address is no e-mail address") from None
        return {"to": addresses}

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        """Hand the mail to the site's mail server."""
        to: Any = settings["to"]
        mail = EmailMultiAlternatives(
            subject=subject_line(notification)[:_LONGEST_SUBJECT],
            body=as_text(notification),
            bcc=list(to),
            # The same for every attempt: mailboxes show a repetition once.
            headers={"Message-ID": f"<{notification.id}@claimkit.invalid>"},
        )
        mail.attach_alternative(
            render_to_string(
                "claimkit_django/alerts/notification.html", {"notification": notification}
            ),
            "text/html",
        )
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            never = all(code // 100 == _PERMANENT for code in codes)
            return SendResult(is_sent=False, reason="recipients_refused", is_permanent=never)
        except smtplib.SMTPResponseException as error:
            never = error.smtp_code // 100 == _PERMANENT
            return SendResult(is_sent=False, reason=f"smtp_{error.smtp_code}", is_permanent=never)
        except (smtplib.SMTPException, OSError):
            return SendResult(
                is_sent=False, reason="smtp_failed", retry_after=dt.timedelta(minutes=1)
            )
        return SendResult(is_sent=True)


class WebhookChannel:
    """Tells the endpoints of the webhooks room that subscribe to ``alerts.notified``.

    What it sends is a row of that room's outbox, in one transaction: signed, tried again and settled
    there, endpoint by endpoint.
    """

    name = "webhook"
    secrets: frozenset[str] = frozenset()
    #: An event tells of one alert.
    takes_digests = False

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return no settings: endpoints have their own.

        Raises:
            ConfigError: there is one, or the site has no webhooks.
        """
        check_names(settings)
        if not apps.is_installed("claimkit_django.webhooks"):
            raise ConfigError(
                "this site sends no webhooks",
                remedy="Add claimkit_django.webhooks to INSTALLED_APPS",
            )
        return {}

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        """Stage one event per alert, for the tenant in scope."""
        del settings
        if notification.digest:
            return SendResult(is_sent=False, reason="digest", is_permanent=True)
        store = open_store()
        bus, tenant, now = make_bus(store), current_tenant(), timezone.now()
        with bus.transaction(store.atomic()):
            for one in notification.items:
                bus.stage(
                    AlertNotified(
                        tenant=tenant,
                        at=now,
                        alert=one.alert,
                        kind=one.kind,
                        severity=one.severity.value,
                        payer=one.payer,
                        summary=one.summary,
                        dollars_per_month=one.dollars_per_month,
                        notification=notification.id,
                        episode=one.episode,
                        reason=one.reason,
                    )
                )
        return SendResult(is_sent=True)


def kinds() -> Mapping[str, Channel]:
    """Return the kinds of channels by name."""
    ours = (EmailChannel(), WebhookChannel())
    return {**plugins().channels, **{one.name: one for one in ours}}


def find_kind(name: str) -> Channel:
    """Return a kind of channel.

    Raises:
        UnknownName: no plugin registers it.
    """
    known = kinds()
    if name not in known:
        raise UnknownName.of("channel", name, known)
    return known[name]


def takes_digests(kind: str) -> bool:
    """Whether a kind tells digests; pagers say ``takes_digests = False``, since they wake somebody."""
    return bool(getattr(kinds().get(kind), "takes_digests", True))


def check_settings(kind: str, settings: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return settings of a channel in their plain form.

    Raises:
        UnknownName: there is no such kind.
        ConfigError: a setting cannot be used.
    """
    return find_kind(kind).check(settings)


def sealed(settings: Mapping[str, Json]) -> bytes:
    """Return settings as rows keep them."""
    return seal(json.dumps(dict(settings)).encode())


def opened(text: bytes | memoryview) -> Mapping[str, Json]:
    """Return settings of a row."""
    found: Mapping[str, Json] = json.loads(open_sealed(text) or b"{}")
    return found


def shown(kind: str, settings: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return settings without their secrets, also of a kind that is no longer there."""
    known = kinds().get(kind)
    if known is None:
        return {}
    return {name: value for name, value in settings.items() if name not in known.secrets}
