"""Mails that came back: the mail server took them, and a later one could not deliver them.

The story: a site lets its mail server hand what comes back to ``claimkit_report --bounced``, and
:func:`take_bounce` reads the delivery status (RFC 3464), finds the mail by the ``Message-ID`` that
the returned headers have, and marks it ``bounced``. Notes that a mail is late change nothing.
"""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS

from claimkit.errors import ConfigError
from claimkit_django.reports.models import ReportMail
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

__all__ = ["MAX_BYTES", "Bounce", "read_bounce", "take_bounce"]

#: Longest notice that is read; servers return the headers, or the mail with its attachments.
MAX_BYTES = 32 * 1024 * 1024
#: As :mod:`claimkit_django.reports.mails` writes it.
_MESSAGE_ID = re.compile(r"<(rpt_[0-9a-z]{1,28})\.([0-9]{1,18})\.[0-9a-f]{0,12}@claimkit\.invalid>")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """What a notice says of one mail."""

    #: Identifier of the report, and number of the mail.
    report: str
    mail: int
    #: Such as ``5.1.1``; empty where the notice has none.
    status: str
    #: Whether it will never be delivered.
    is_final: bool


def read_bounce(raw: bytes) -> Bounce:
    """Return what a notice says.

    Raises:
        ConfigError: it is no delivery status, or not about a mail of ours.
    """
    message = email.message_from_bytes(raw[:MAX_BYTES], policy=email.policy.compat32)
    parts = list(message.walk())
    statuses = [part for part in parts if part.get_content_type() == "message/delivery-status"]
    if not statuses:
        raise ConfigError(
            "this mail is no delivery status notification",
            remedy="Hand over only what comes back, as multipart/report (RFC 3464)",
        )
    named = next(
        (found for text in _identifiers(parts) if (found := _MESSAGE_ID.search(text))), None
    )
    if named is None:
        raise ConfigError(
            "this notice is not about the mail of a report",
            remedy="The server must return the headers of the mail, with its Message-ID",
        )
    fields = [block for part in statuses for block in _blocks(part)]
    final = [one for one in fields if str(one.get("Action", "")).strip().lower() == "failed"]
    told = _STATUS.search(str(final[0].get("Status", ""))) if final else None
    return Bounce(
        report=named[1],
        mail=int(named[2]),
        status=told[0] if told else "",
        is_final=bool(final) and not (told and told[0].startswith("2")),
    )


def take_bounce(raw: bytes, *, using: str = DEFAULT_DB_ALIAS) -> str:
    """Note that a mail came back; return its status now, as far as the notice is about one.

    The same notice again changes nothing. Of a mail that is no longer kept, ``unknown``.

    Raises:
        ConfigError: see :func:`read_bounce`.
    """
    bounce = read_bounce(raw)
    # Whose mail it is, is what the notice tells: looked for among all tenants.
    rows = ReportMail.unscoped.using(using).select_related("run__tenant")
    mail = rows.filter(pk=bounce.mail, run__uid=bounce.report).first()
    if mail is None:
        return "unknown"
    if not bounce.is_final:
        return str(mail.status)
    with enter(mail.run.tenant):
        mine = ReportMail.objects.using(using).filter(pk=mail.pk, status="sent")
        taken = mine.update(status="bounced", reason=f"bounced_{bounce.status or 'failed'}")
    return "bounced" if taken else str(mail.status)


def _identifiers(parts: list[Message]) -> Iterator[str]:
    """Yield each ``Message-ID`` of returned mails or of their headers; the notice's own is none of them."""
    for part in parts[1:]:
        yield str(part.get("Message-ID", ""))
        if part.get_content_type() == "text/rfc822-headers":
            headers = part.get_payload(decode=True) or b""
            if isinstance(headers, bytes):
                yield str(email.message_from_bytes(headers).get("Message-ID", ""))


def _blocks(part: Message) -> list[Message]:
    payload = part.get_payload()
    return (
        [one for one in payload if isinstance(one, email.message.Message)]
        if isinstance(payload, list)
        else []
    )
