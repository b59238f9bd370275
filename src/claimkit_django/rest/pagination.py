"""Pages of lists by :mod:`claimkit_django.keysets`, as REST answers them.

Cursors are bound to the filters and the ordering that they were made for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import exceptions
from rest_framework.pagination import BasePagination
from rest_framework.response import Response

from claimkit_django.keysets import CursorRefused, SortKey, bound_to, take_page
from claimkit_django.rest.problems import InvalidCursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.views import APIView

__all__ = ["CURSOR", "PAGE_SIZE", "KeysetPagination", "SortKey"]

#: Names of the two query parameters.
CURSOR = "cursor"
PAGE_SIZE = "page_size"


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
        self, queryset: QuerySet[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the rows of the page that the request asks for; one query."""
        self.request = request
        keys: Sequence[SortKey] = view.sort_keys(request)  # type: ignore[union-attr]
        try:
            self.page = take_page(
                queryset,
                keys,
                size=self._size(request),
                cursor=request.query_params.get(CURSOR, ""),
                bound=_bound(request),
            )
        except CursorRefused as error:
            raise InvalidCursor(error.message) from None
        return self.page.rows

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page with its links, also as an RFC 8288 ``Link`` header."""
        links: dict[str, str | None] = {
            "self": self.request.get_full_path(),
            "next": self._link(self.page.next),
            "prev": self._link(self.page.previous),
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

    def _link(self, cursor: str) -> str | None:
        if not cursor:
            return None
        query = self.request.query_params.copy()
        query[CURSOR] = cursor
        return f"{self.request.path}?{query.urlencode()}"


def _bound(request: Request) -> str:
    chosen = (
        (name, value)
        for name, values in request.query_params.lists()
        if name not in {CURSOR, PAGE_SIZE}
        for value in values
    )
    return bound_to(request.path, chosen)
