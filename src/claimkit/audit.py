"""A chain of what was done: no link can be changed, taken out or put in without a later one showing it.

Each link's digest is ``SHA-256(digest of the link before ‖ newline ‖ what was done, as canonical
JSON)``; the first follows 64 zeros. :func:`make_link` adds one, :func:`verify` walks them and names
the first that does not hold. What a chain cannot show by itself is that its end was cut off: keep
its head elsewhere, or count.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["BEGINNING", "Break", "Head", "Link", "make_link", "verify"]

#: What the first link follows.
BEGINNING: Final = "0" * 64
#: Part of what is hashed, so that another form of entries can come later.
_FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last link: how many there are, and its digest."""

    number: int = 0
    digest: str = BEGINNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link as it was kept."""

    #: From 1, without gaps.
    number: int
    digest: str
    #: What was done, of what JSON has and instants; None where it is gone.
    entry: Mapping[str, Any] | None
    #: Whether it is gone on purpose, as old as it had to be kept: its digest is taken as it stands,
    #: and the next link that has its entry shows whether it was that.
    is_removed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first link that does not hold."""

    number: int
    #: ``missing``, ``entry_missing``, ``changed`` or ``cut_off``.
    reason: str


def make_link(head: Head, entry: Mapping[str, Any]) -> Link:
    """Return the link that follows ``head``.

    >>> one = make_link(Head(), {"action": "api_token.made"})
    >>> one.number, one.digest[:16]
    (1, '49b36c3b769f7777')
    """
    number = head.number + 1
    text = json.dumps(
        {"form": _FORM, "number": number, "entry": entry},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        default=_canonical,
    )
    digest = hashlib.sha256(f"{head.digest}\n{text}".encode()).hexdigest()
    return Link(number=number, digest=digest, entry=entry)


def verify(links: Iterable[Link], expected: Head | None = None) -> tuple[Head, Break | None]:
    """Walk a chain; return the last link that holds, and the first that does not, if any.

    Args:
        links: In the order of their numbers; may be lazy, is read once.
        expected: A head that was kept apart; it must be on the chain.
    """
    head = Head()
    for link in links:
        reason = _fault(head, link)
        number = head.number + 1
        if reason:
            return head, Break(number=number, reason=reason)
        head = Head(number=link.number, digest=link.digest)
        if expected is not None and expected.number == head.number:
            if expected.digest != head.digest:
                return head, Break(number=number, reason="changed")
            expected = None
    if expected is not None and expected.number > head.number:
        return head, Break(number=head.number + 1, reason="cut_off")
    return head, None


def _fault(head: Head, link: Link) -> str:
    if link.number != head.number + 1:
        return "missing"
    if link.entry is None:
        return "" if link.is_removed else "entry_missing"
    return "" if make_link(head, link.entry).digest == link.digest else "changed"


def _canonical(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    raise TypeError(f"the chain keeps what JSON has and instants, not {type(value).__name__}")
