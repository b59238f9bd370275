"""Says which version of the API answers, and which ones a client may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit_django.http.middleware import AnswerMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["CURRENT", "HEADER", "SUPPORTED", "ApiVersionMiddleware"]

#: Name of the request and response header.
HEADER = "API-Version"
#: What answers a client that asks for nothing.
CURRENT = "1.0"
#: What a client may ask for.
SUPPORTED = (CURRENT,)


class ApiVersionMiddleware(AnswerMiddleware):
    """Set ``API-Version`` on every response that does not carry it already.

    claimkit's own views set it themselves; list this middleware to have it on pages, redirects and
    errors of other layers too. Sync and async.
    """

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Add the header."""
        del request
        response.headers.setdefault(HEADER, CURRENT)
        return response
