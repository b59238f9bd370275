"""Telling a service of somebody else's over HTTP, once, as safely as a webhook is sent.

For channels of alerts and other plugins: one JSON document goes to one address by the transport of
webhooks, and what came of it is a value, whatever the receiver does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from claimkit import __version__
from claimkit.types import SystemClock
from claimkit.webhooks.health import parse_retry_after
from claimkit.webhooks.transport import Reason, SendFailed

if TYPE_CHECKING:
    import datetime as dt

    from claimkit.types import Clock, Json
    from claimkit.webhooks.transport import Transport

__all__ = ["Posted", "post_json"]

#: Request Timeout, Too Early and Too Many Requests: the same request may work later.
_PASSING: Final = frozenset({408, 425, 429})
_HEADERS: Final = {
    "content-type": "application/json",
    "user-agent": f"claimkit/{__version__}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What came of a post."""

    #: Empty where the receiver took it; else ``http_`` and the status, or a
    #: :class:`~claimkit.webhooks.transport.Reason`.
    reason: str = ""
    #: The same will never work: a status that refuses it, or an address that is none.
    is_permanent: bool = False
    #: What the receiver asked to wait.
    retry_after: dt.timedelta | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver took it."""
        return not self.reason


def post_json(
    transport: Transport, url: str, document: Json, *, clock: Clock | None = None
) -> Posted:
    """Post a document once; every status from 200 to 299 is a success, and no redirect is followed.

    Never raises for what a receiver does, and never says anything of the address.
    """
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        reply = transport.post(url, _HEADERS, body)
    except SendFailed as error:
        never = error.reason is Reason.TARGET_INVALID
        return Posted(reason=error.reason.value, is_permanent=never)
    if 200 <= reply.status < 300:
        return Posted()
    passes = reply.status in _PASSING or reply.status >= 500
    now = (clock or SystemClock()).now()
    return Posted(
        reason=f"http_{reply.status}",
        is_permanent=not passes,
        retry_after=parse_retry_after(reply.retry_after, now) if passes else None,
    )
