"""Receiving webhooks as safely as they are sent: a decorator that verifies, and an inbox.

::

    @receive_webhooks(source="warehouse", keys=lambda: [settings.WAREHOUSE_KEY])
    def warehouse(request, verified):
        ...
        return HttpResponse(status=204)

The view runs only for a webhook that one of the keys signed just now, and once per
``webhook-id``: its writes and the inbox's row commit together. A view that raises, or answers
with 400 or more, leaves no row, so that the sender's next attempt runs it again. A ping that
asks whether webhooks are wanted is answered with its challenge; the view does not see it.
"""

from __future__ import annotations

import functools
import json
import logging
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, transaction
from django.http import JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from claimkit.errors import ConfigError, InvalidSigningKey, VerificationError
from claimkit.events import EndpointPinged
from claimkit.webhooks.signing import TOLERANCE, parse_key, verify
from claimkit_django.http.hops import has_come_back
from claimkit_django.webhooks.models import ReceivedMessage

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable

    from django.http import HttpRequest, HttpResponse

    from claimkit.webhooks.signing import Verified

__all__ = ["forget_received", "receive_webhooks"]

logger = logging.getLogger(__name__)

_MAX_BODY = 1_048_576


def receive_webhooks(
    *,
    source: str,
    keys: Callable[[], Iterable[str]],
    tolerance: dt.timedelta = TOLERANCE,
    max_body_bytes: int = _MAX_BODY,
    using: str = DEFAULT_DB_ALIAS,
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Return a decorator for a view that takes webhooks of one sender.

    The view is called with the request, what is known of the webhook, and its arguments.
    It answers 401 to what cannot be verified, and without a key to everything; and 508 to what
    this site sent itself, by ``webhook-hop``.

    Args:
        source: Name of the sender; ids of two senders never meet.
        keys: Called per request: the sender's keys, ``whsec_…`` or ``whpk_…``.
        tolerance: How far the sender's clock may be off.
        max_body_bytes: Longer bodies are refused before they are read.
        using: Alias of the database with the inbox and the view's writes.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @functools.wraps(view)
        def receive(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method != "POST":
                answer = _refuse(405, "method_not_allowed")
                answer["Allow"] = "POST"
                return answer
            if has_come_back(request.headers):
                logger.warning("webhook came back", extra={"source": source})
                return _refuse(508, "loop_detected")
            if int(request.META.get("CONTENT_LENGTH") or 0) > max_body_bytes:
                return _refuse(413, "content_too_large")
            try:
                verified = verify(
                    request.headers.items(),
                    request.body,
                    _parse(keys(), source),
                    now=timezone.now(),
                    tolerance=tolerance,
                )
            except VerificationError as error:
                logger.warning("webhook refused", extra={"source": source, "reason": error.code})
                return _refuse(401, error.code)
            challenge = _challenge(request.body)
            if challenge:
                return JsonResponse({"challenge": challenge})
            return _once(
                source, verified, using, functools.partial(view, request, verified, *args, **kwargs)
            )

        return receive

    return decorate


def forget_received(*, before: dt.datetime, using: str = DEFAULT_DB_ALIAS) -> int:
    """Delete inbox rows that are older; return how many.

    A sender repeats for days, so keep rows for at least a month.
    """
    rows = ReceivedMessage.objects.using(using).filter(received_at__lt=before)
    return rows.delete()[0]


class _Rejected(Exception):
    """The view did not take it: what it wrote must not stay."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__()
        self.answer = answer


def _once(
    source: str, verified: Verified, using: str, view: Callable[[], HttpResponse]
) -> HttpResponse:
    try:
        with transaction.atomic(using=using):
            # A second worker with the same id waits here until the first has committed.
            _, is_new = ReceivedMessage.objects.using(using).get_or_create(
                source=source,
                message_id=verified.message_id,
                defaults={"received_at": timezone.now()},
            )
            if not is_new:
                return JsonResponse({"duplicate": True})
            answer = view()
            if answer.status_code >= 400:
                raise _Rejected(answer)
    except _Rejected as rejected:
        return rejected.answer
    return answer


def _challenge(body: bytes) -> str:
    """Return what a ping of a sender that asks whether it is wanted must be answered with."""
    try:
        told = json.loads(body)
        challenge = told["data"]["challenge"] if told["type"] == EndpointPinged.topic else ""
    except (ValueError, KeyError, TypeError):
        return ""
    return challenge if isinstance(challenge, str) else ""


def _parse(texts: Iterable[str], source: str) -> list[Any]:
    parsed = []
    for text in texts:
        try:
            parsed.append(parse_key(text))
        except (InvalidSigningKey, ConfigError):
            # Fails closed: whoever set it up sees this, the stranger sees 401.
            logger.exception("a key for webhooks cannot be used", extra={"source": source})
    return parsed


def _refuse(status: int, code: str) -> JsonResponse:
    return JsonResponse({"code": code}, status=status)
