"""Keyset pagination: page 10,000 costs what page 1 costs, and inserts never shift a page.

A cursor holds the sort values of the row at a page's edge, not a position, so rows that come and
go elsewhere neither repeat nor hide others. There is never a ``COUNT``. Cursors are signed and
bound to the filters and the ordering that they were made for.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import operator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from django.core import signing
from django.db.models import F, Q
from rest_framework import exceptions
from rest_framework.pagination import BasePagination
from rest_framework.response import Response

from claimkit_django.rest.problems import InvalidCursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model, QuerySet
    from django.db.models.expressions import OrderBy
    from rest_framework.request import Request
    from rest_framework.views import APIView

__all__ = ["CURSOR", "PAGE_SIZE", "KeysetPagination", "SortKey"]

#: Names of the two query parameters.
CURSOR = "cursor"
PAGE_SIZE = "page_size"

_SALT = "claimkit.rest.pagination"
_M = TypeVar("_M", bound="Model")


@dataclass(frozen=True, slots=True)
class SortKey:
    """One column to sort by; rows without a value come last in either direction."""

    column: str
    descending: bool = False
    nullable: bool = False

    def reverse(self) -> SortKey:
        """Return the same key for walking backwards."""
        return SortKey(self.column, not self.descending, self.nullable)


@dataclass(frozen=True, slots=True)
class _Edge:
    backwards: bool
    values: tuple[Any, ...]


class KeysetPagination(BasePagination):
    """Answer ``{"results": [...], "_links": {...}}`` with ``page_size`` rows.

    The view names the order: ``view.sort_keys(request)`` returns :class:`SortKey` s whose last one is
    unique. Raises a 400 problem for a bad ``page_size`` or cursor.
    """

    #: Rows on a page when the client does not say.
    page_size = 50
    #: The most that a client may ask for.
    max_page_size = 500

    def paginate_queryset(  # type: ignore[override]
        self, queryset: QuerySet[_M], request: Request, view: APIView | None = None
    ) -> list[_M]:
        """Return the rows of the page that the request asks for; one query."""
        self.request = request
        self.keys: tuple[SortKey, ...] = tuple(view.sort_keys(request))  # type: ignore[union-attr]
        self.size = self._size(request)
        self.digest = _digest(request)
        edge = self._edge(request)
        backwards = edge is not None and edge.backwards
        keys = tuple(key.reverse() for key in self.keys) if backwards else self.keys
        if edge is not None:
            queryset = queryset.filter(_after(keys, edge.values, backwards=backwards))
        rows = list(queryset.order_by(*_order(keys, backwards=backwards))[: self.size + 1])
        more = len(rows) > self.size
        rows = rows[: self.size]
        if backwards:
            rows.reverse()
        # Walking backwards, the page that we came from lies ahead.
        self.has_next = backwards or more
        self.has_previous = more if backwards else edge is not None
        self.rows: Sequence[Model] = rows
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page with its links, also as an RFC 8288 ``Link`` header."""
        links: dict[str, str | None] = {
            "self": self.request.get_full_path(),
            "next": self._link(backwards=False) if self.has_next and self.rows else None,
            "prev": self._link(backwards=True) if self.has_previous and self.rows else None,
        }
        header = ", ".join(
            f'<{links[name]}>; rel="{name}"' for name in ("next", "prev") if links[name]
        )
        return Response(
            {"results": data, "_links": links}, headers={"Link": header} if header else None
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page for OpenAPI."""
        link = {
            "type": ["string", "null"],
            "format": "uri-reference",
            "example": "/api/v1/claims/?page_size=1&cursor=WyJmMDA",
        }
        return {
            "type": "object",
            "required": ["results", "_links"],
            "properties": {
                "results": schema,
                "_links": {
                    "type": "object",
                    "required": ["self", "next", "prev"],
                    "properties": {
                        "self": {**link, "type": "string"},
                        "next": link,
                        "prev": {**link, "example": None},
                    },
                },
            },
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Describe the two parameters for OpenAPI."""
        del view
        return [
            {
                "name": CURSOR,
                "in": "query",
                "required": False,
                "description": "Where the page starts; take it from `_links` of another page.",
                "schema": {"type": "string"},
            },
            {
                "name": PAGE_SIZE,
                "in": "query",
                "required": False,
                "description": f"Rows on a page, at most {self.max_page_size}.",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": self.max_page_size,
                    "default": self.page_size,
                },
            },
        ]

    def _size(self, request: Request) -> int:
        asked = request.query_params.get(PAGE_SIZE)
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:6]) <= self.max_page_size):
            raise exceptions.ValidationError(
                {PAGE_SIZE: [f"must be a whole number from 1 to {self.max_page_size}"]}
            )
        return int(asked)

    def _edge(self, request: Request) -> _Edge | None:
        text = request.query_params.get(CURSOR)
        if not text:
            return None
        try:
            digest, backwards, values = signing.loads(text, salt=_SALT)
        except (signing.BadSignature, ValueError):
            raise InvalidCursor("the cursor is not one that this API made") from None
        if digest != self.digest or len(values) != len(self.keys):
            raise InvalidCursor("the cursor belongs to other filters or another ordering")
        return _Edge(backwards=backwards, values=tuple(_unpack(value) for value in values))

    def _link(self, *, backwards: bool) -> str:
        row = self.rows[0 if backwards else -1]
        values = [_pack(_value(row, key.column)) for key in self.keys]
        query = self.request.query_params.copy()
        query[CURSOR] = signing.dumps([self.digest, backwards, values], salt=_SALT)
        return f"{self.request.path}?{query.urlencode()}"


def _order(keys: Sequence[SortKey], *, backwards: bool) -> list[OrderBy]:
    """Order by ``keys``; nothing-last forwards is nothing-first backwards."""
    return [_order_by(key, backwards=backwards) for key in keys]


def _order_by(key: SortKey, *, backwards: bool) -> OrderBy:
    # NULLS LAST keeps PostgreSQL and SQLite alike; on columns that have no NULL it would only
    # keep the planner from using a plain index.
    nulls = {} if not key.nullable else {"nulls_first" if backwards else "nulls_last": True}
    column = F(key.column)
    return column.desc(**nulls) if key.descending else column.asc(**nulls)


def _after(keys: Sequence[SortKey], values: Sequence[Any], *, backwards: bool) -> Q:
    """Return the condition for rows strictly after ``values`` in the order of ``keys``."""
    ways: list[Q] = []
    equal = Q()
    for key, value in zip(keys, values, strict=True):
        beyond = _beyond(key, value, backwards=backwards)
        if beyond is not None:
            ways.append(equal & beyond)
        equal &= Q(**{f"{key.column}__isnull": True} if value is None else {key.column: value})
    condition = functools.reduce(operator.or_, ways)
    first, value = keys[0], values[0]
    if not first.nullable and len(keys) > 1:
        # Redundant, but lets the planner start the index scan at the edge instead of at the top.
        bound = "lte" if first.descending else "gte"
        condition &= Q(**{f"{first.column}__{bound}": value})
    return condition


def _beyond(key: SortKey, value: Any, *, backwards: bool) -> Q | None:
    """Return the condition for values after ``value`` in one column; None where there is none."""
    missing = Q(**{f"{key.column}__isnull": True})
    if value is None:
        return ~missing if backwards else None
    beyond = Q(**{f"{key.column}__{'lt' if key.descending else 'gt'}": value})
    return beyond | missing if key.nullable and not backwards else beyond


def _value(row: Any, column: str) -> Any:
    return row[column] if isinstance(row, dict) else getattr(row, column)


def _digest(request: Request) -> str:
    """Return a short digest of everything but the place and the size of the page."""
    chosen = sorted(
        (name, value)
        for name, values in request.query_params.lists()
        if name not in {CURSOR, PAGE_SIZE}
        for value in values
    )
    return hashlib.blake2b(repr((request.path, chosen)).encode(), digest_size=6).hexdigest()


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
