"""Repeats of a POST get the first answer, and nothing happens twice.

The answer is kept in the transaction that did the work: there is an answer if and only if there
is a result, whatever is killed when. A request that is still being worked on is refused with 409
on PostgreSQL; on SQLite, which has one writer at a time, it waits for its turn.

Semantics of draft-ietf-httpapi-idempotency-key-header: a key belongs to one person, one address
and one body. Refusals and errors are not kept; they did nothing, and may be sent again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.files.uploadedfile import UploadedFile
from django.db import connections, router, transaction
from django.http import QueryDict
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from claimkit_django.conf import config
from claimkit_django.rest.problems import IdempotencyKeyReused, RequestInProgress
from claimkit_django.rest.views import Answered
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.models import IdempotencyKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from rest_framework.request import Request

__all__ = ["HEADER", "REPLAYED", "Claimed", "claim"]

#: Name of the request header.
HEADER = "Idempotency-Key"
#: Name of the header of a repeated answer.
REPLAYED = "Idempotency-Replayed"

_KEY = re.compile(r'"(?P<quoted>[ !#-\[\]-~]{1,255})"|(?P<bare>[!#-~]{1,255})')
#: Headers of an answer that a repeat gets too.
_KEPT = ("Location",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A key that this request is the first to use, in the transaction that is open."""

    digest: str
    fingerprint: str
    using: str

    def settle(self, response: Response) -> None:
        """Keep the answer with the work, or undo the work of a refusal."""
        if response.status_code >= 400:
            transaction.set_rollback(True, using=self.using)
            return
        IdempotencyKey.objects.using(self.using).create(
            digest=self.digest,
            fingerprint=self.fingerprint,
            status=response.status_code,
            headers={name: response.headers[name] for name in _KEPT if name in response.headers},
            body=json.loads(JSONRenderer().render(response.data) or b"null"),
        )


def claim(request: Request, scope: ExitStack, *, header: str = HEADER) -> Claimed | None:
    """Use the request's key, if it names one: open a transaction in ``scope`` and hold the key.

    Args:
        request: Its person, address and body belong to the key.
        scope: Ends with the answer.
        header: Which header names the key.

    Raises:
        Answered: with the first answer, where there is one.
        IdempotencyKeyReused: the key came with another body before.
        RequestInProgress: the first request is still being worked on.
        ValidationError: the key is not one.
    """
    sent = request.headers.get(header)
    if sent is None:
        return None
    match = _KEY.fullmatch(sent)
    if match is None:
        raise exceptions.ValidationError({header: ["must be 1 to 255 printable ASCII characters"]})
    key = match.group("quoted") or match.group("bare")
    claimed = Claimed(
        digest=_digest([actor_of(request.user), request.method or "", request.path, key]),
        fingerprint=_fingerprint(request),
        using=router.db_for_write(IdempotencyKey),
    )
    scope.enter_context(transaction.atomic(using=claimed.using))
    _hold(claimed)
    _forget_old(claimed.using)
    kept = IdempotencyKey.objects.using(claimed.using).filter(digest=claimed.digest).first()
    if kept is None:
        return claimed
    if kept.fingerprint != claimed.fingerprint:
        raise IdempotencyKeyReused
    raise Answered(
        Response(kept.body, status=kept.status, headers={**kept.headers, REPLAYED: "true"})
    )


def _hold(claimed: Claimed) -> None:
    """Hold the key until the transaction ends.

    Raises:
        RequestInProgress: another connection holds it.
    """
    connection = connections[claimed.using]
    if connection.vendor != "postgresql":
        return
    # Hashed: two keys that fall on one number are refused for a moment and tried again.
    number = int.from_bytes(bytes.fromhex(claimed.digest[:16]), "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        (held,) = cursor.fetchone()
    if not held:
        raise RequestInProgress


def _forget_old(using: str) -> None:
    limit = timezone.now() - dt.timedelta(hours=config().rest.idempotency_hours)
    IdempotencyKey.objects.using(using).filter(created_at__lt=limit).delete()


def _digest(parts: list[str]) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=32).hexdigest()


def _fingerprint(request: Request) -> str:
    """Return a digest of query and body: of what they say, not of how it was written."""
    whole = hashlib.blake2b(digest_size=32)
    for part in _parts(request):
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()


def _parts(request: Request) -> Iterator[bytes]:
    yield request.META.get("QUERY_STRING", "").encode()
    body: Any = request.data
    if not isinstance(body, QueryDict):
        yield json.dumps(body, sort_keys=True).encode()
        return
    for name, values in sorted(body.lists()):
        for value in values:
            yield name.encode()
            if not isinstance(value, UploadedFile):
                yield str(value).encode()
                continue
            yield str(value.name).encode()
            digest = hashlib.blake2b(digest_size=32)
            for chunk in value.chunks():
                digest.update(chunk)
            value.seek(0)
            yield digest.digest()
