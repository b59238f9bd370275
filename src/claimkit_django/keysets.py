"""Keysets: page 10,000 costs what page 1 costs, and inserts never shift a page.

A cursor holds the sort values of the row at a page's edge, not a position, so rows that come and
go elsewhere neither repeat nor hide others. There is never a ``COUNT``. Cursors are signed and
bound to what they were made for.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import operator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.core import signing
from django.db.models import BooleanField, F, Func, Q, Value

from claimkit.errors import ClaimkitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import QuerySet
    from django.db.models.expressions import OrderBy

__all__ = ["CursorRefused", "Page", "SortKey", "bound_to", "take_page"]

_SALT = "claimkit.rest.pagination"
_M = TypeVar("_M")


class CursorRefused(ClaimkitError, ValueError):
    """A cursor that this site did not make, or made for other rows."""

    code = "invalid_cursor"
    remedy = "Start again at the first page"


@dataclass(frozen=True, slots=True)
class SortKey:
    """One column to sort by; rows without a value come last in either direction."""

    column: str
    descending: bool = False
    nullable: bool = False

    def reverse(self) -> SortKey:
        """Return the same key for walking backwards."""
        return SortKey(self.column, not self.descending, self.nullable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[_M]):
    """Rows in the order that was asked for, with the cursors of the pages beside them."""

    rows: list[_M]
    #: Empty where there is no such page.
    next: str = ""
    previous: str = ""


def take_page(
    rows: QuerySet[Any], keys: Sequence[SortKey], *, size: int, cursor: str = "", bound: str = ""
) -> Page[Any]:
    """Return one page; one query.

    Args:
        rows: All rows, in any order.
        keys: What they are sorted by; the last one is unique.
        size: Rows on the page at most.
        cursor: Of another page; empty for the first.
        bound: What the cursor is for, of :func:`bound_to`.

    Raises:
        CursorRefused: it is none, or was made for something else.
    """
    backwards, values = _read(cursor, keys, bound) if cursor else (False, None)
    ways = tuple(key.reverse() for key in keys) if backwards else tuple(keys)
    if values is not None:
        # Sums have no index, and Django would group by the comparison of their rows.
        compares_rows = rows.query.group_by is None and _are_alike(ways)
        rows = rows.filter(
            _RowsBeyond(ways, values)
            if compares_rows
            else _after(ways, values, backwards=backwards)
        )
    found = list(rows.order_by(*_order(ways, backwards=backwards))[: size + 1])
    more = len(found) > size
    found = found[:size]
    if backwards:
        found.reverse()
    # Walking backwards, the page that we came from lies ahead.
    has_next = backwards or more
    has_previous = more if backwards else values is not None
    return Page(
        rows=found,
        next=_write(found[-1], keys, bound, backwards=False) if has_next and found else "",
        previous=_write(found[0], keys, bound, backwards=True) if has_previous and found else "",
    )


def bound_to(path: str, chosen: Iterable[tuple[str, str]]) -> str:
    """Return a short digest of an address and its parameters, but for place and size of the page."""
    told = repr((path, sorted(chosen)))
    return hashlib.blake2b(told.encode(), digest_size=6).hexdigest()


def _read(cursor: str, keys: Sequence[SortKey], bound: str) -> tuple[bool, tuple[Any, ...]]:
    try:
        digest, backwards, values = signing.loads(cursor, salt=_SALT)
    except (signing.BadSignature, ValueError):
        raise CursorRefused("the cursor is not one that this API made") from None
    if digest != bound or len(values) != len(keys):
        raise CursorRefused("the cursor belongs to other filters or another ordering")
    return backwards, tuple(_unpack(value) for value in values)


def _write(row: Any, keys: Sequence[SortKey], bound: str, *, backwards: bool) -> str:
    values = [_pack(_value(row, key.column)) for key in keys]
    return signing.dumps([bound, backwards, values], salt=_SALT)


def _order(keys: Sequence[SortKey], *, backwards: bool) -> list[OrderBy]:
    """Order by ``keys``; nothing-last forwards is nothing-first backwards."""
    return [_order_by(key, backwards=backwards) for key in keys]


def _order_by(key: SortKey, *, backwards: bool) -> OrderBy:
    # NULLS LAST keeps PostgreSQL and SQLite alike; on columns that have no NULL it would only
    # keep the planner from using a plain index.
    nulls = {} if not key.nullable else {"nulls_first" if backwards else "nulls_last": True}
    column = F(key.column)
    return column.desc(**nulls) if key.descending else column.asc(**nulls)


class _RowsBeyond(Func):
    """``(a, b) > (1, 2)``: an index scan starts at the very row, however many share its ``a``."""

    output_field = BooleanField()
    conditional = True
    template = "(%(expressions)s)"

    def __init__(self, keys: Sequence[SortKey], values: Sequence[Any]) -> None:
        columns = Func(*(F(key.column) for key in keys), template="(%(expressions)s)")
        edge = Func(*map(Value, values), template="(%(expressions)s)")
        super().__init__(columns, edge, arg_joiner=" < " if keys[0].descending else " > ")


def _are_alike(keys: Sequence[SortKey]) -> bool:
    """Whether rows sort by ``keys`` as databases compare rows: one direction, and no NULL."""
    return len({key.descending for key in keys}) == 1 and not any(key.nullable for key in keys)


def _after(keys: Sequence[SortKey], values: Sequence[Any], *, backwards: bool) -> Q:
    """Return the condition for rows strictly after ``values`` in the order of ``keys``."""
    ways: list[Q] = []
    equal = Q()
    for key, value in zip(keys, values, strict=True):
        beyond = _beyond(key, value, backwards=backwards)
        if beyond is not None:
            ways.append(equal & beyond)
        equal &= Q(**{f"{key.column}__isnull": True} if value is None else {key.column: value})
    return functools.reduce(operator.or_, ways)


def _beyond(key: SortKey, value: Any, *, backwards: bool) -> Q | None:
    """Return the condition for values after ``value`` in one column; None where there is none."""
    missing = Q(**{f"{key.column}__isnull": True})
    if value is None:
        return ~missing if backwards else None
    beyond = Q(**{f"{key.column}__{'lt' if key.descending else 'gt'}": value})
    return beyond | missing if key.nullable and not backwards else beyond


def _value(row: Any, column: str) -> Any:
    return row[column] if isinstance(row, dict) else getattr(row, column)


def _pack(value: Any) -> Any:
    """Return a sort value as JSON can hold it, tagged where JSON has no such type."""
    match value:
        case dt.datetime():
            return ["t", value.isoformat()]
        case dt.date():
            return ["d", value.isoformat()]
        case Decimal():
            return ["n", str(value)]
        case _:
            return value


def _unpack(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    tag, text = value
    made: Any = {"t": dt.datetime.fromisoformat, "d": dt.date.fromisoformat, "n": Decimal}[tag]
    return made(text)
