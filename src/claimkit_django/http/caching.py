"""Cache headers for answers that say nothing about caching: what is personal stays in the browser.

Without them, a cache between may keep an answer for another person; ``must-revalidate`` without
``private`` even *allows* it to store what was asked for with credentials (RFC 9111 §3.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.cache import patch_vary_headers

from claimkit_django.http.middleware import AnswerMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["PrivateCacheMiddleware"]

_READS = frozenset({"GET", "HEAD"})


class PrivateCacheMiddleware(AnswerMiddleware):
    """Say ``private, no-cache`` on what a signed-in caller reads, ``no-store`` on changes and errors.

    Only where the answer says nothing itself, and never on answers to strangers' reads. Sync and
    async.
    """

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Add ``Cache-Control``."""
        if "Cache-Control" in response.headers:
            return response
        if request.method not in _READS or response.status_code >= 400:
            response.headers["Cache-Control"] = "no-store"
        elif _is_personal(request, response):
            response.headers["Cache-Control"] = "private, no-cache"
            patch_vary_headers(response, ("Authorization", "Cookie"))
        return response


def _is_personal(request: HttpRequest, response: HttpResponseBase) -> bool:
    return (
        "Authorization" in request.headers
        or settings.SESSION_COOKIE_NAME in request.COOKIES
        or bool(response.cookies)
    )
