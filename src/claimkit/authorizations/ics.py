"""A calendar of the days on which something ends (iCalendar, RFC 5545); nothing of a patient."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CalendarEntry", "render_calendar"]

#: Longest line in octets, without its end (RFC 5545, section 3.1).
_FOLD = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """One day of one calendar."""

    #: Stays the same when the day moves, so that calendars move it too.
    uid: str
    day: dt.date
    summary: str
    description: str = ""


def render_calendar(entries: Iterable[CalendarEntry], *, name: str, stamp: dt.datetime) -> bytes:
    """Return the calendar in UTF-8, lines folded and ended as the format asks.

    Args:
        entries: All-day entries, which make nobody busy.
        name: What people see.
        stamp: Aware UTC instant; when the entries were written down.
    """
    made = stamp.strftime("%Y%m%dT%H%M%SZ")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//claimkit//authorizations//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escaped(name)}",
    ]
    for one in entries:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{_escaped(one.uid)}",
            f"DTSTAMP:{made}",
            f"DTSTART;VALUE=DATE:{one.day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{one.day + dt.timedelta(days=1):%Y%m%d}",
            f"SUMMARY:{_escaped(one.summary)}",
            *([f"DESCRIPTION:{_escaped(one.description)}"] if one.description else []),
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _escaped(text: str) -> str:
    """Escape a text value (RFC 5545, section 3.3.11); other control characters have no place in it."""
    for mark, instead in (("\\", "\\\\"), (";", "\\;"), (",", "\\,")):
        text = text.replace(mark, instead)
    text = "\\n".join(text.splitlines())
    return "".join(one for one in text if one >= " " and one != "\x7f")


def _folded(line: str) -> bytes:
    """Fold a line at 75 octets, between characters and never within one."""
    parts, size = [bytearray()], 0
    for letter in line:
        raw = letter.encode("utf-8", errors="replace")
        if size + len(raw) > _FOLD:
            parts.append(bytearray(b" "))
            size = 1
        parts[-1] += raw
        size += len(raw)
    return b"\r\n".join(bytes(one) for one in parts) + b"\r\n"
