"""Compression of answers that gain by it, for clients that ask for it, where it tells no secret.

Compressing a secret together with text that an attacker chose tells the secret by the length
(BREACH). That takes a browser that sends credentials by itself, so answers to cookies are only
compressed where the request provably comes from the site's own pages, or where they are the same
for everyone. Clients that send ``Authorization`` are not exposed: no page can make them.
"""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.cache import patch_vary_headers

from claimkit_django.http.middleware import AnswerMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

__all__ = ["MIN_BYTES", "CompressionMiddleware", "accepts_gzip"]

#: Shorter answers do not gain: headers and a network packet cost more.
MIN_BYTES: Final = 500
_LEVEL: Final = 6
_TEXT: Final = re.compile(
    r"(?:text/|application/(?:[\w.+-]+\+)?(?:json|xml|javascript|yaml)\b|image/svg\+xml)"
)


def accepts_gzip(header: str) -> bool:
    """Whether ``Accept-Encoding`` allows gzip (RFC 9110 §12.5.3): ``q=0`` means no.

    >>> accepts_gzip("br, gzip;q=0.5"), accepts_gzip("gzip;q=0, *"), accepts_gzip("*")
    (True, False, True)
    """
    qualities: dict[str, float] = {}
    for part in header.lower().split(","):
        coding, _, parameter = part.strip().partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            quality = 0.0
        qualities[coding.strip()] = quality
    return qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0))) > 0


class CompressionMiddleware(AnswerMiddleware):
    """Compress with gzip what is long enough, text, and safe to compress. Sync and async.

    Use it instead of ``GZipMiddleware``, above everything that sets ``ETag``.
    """

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the answer, compressed where it may be."""
        if response.streaming or not _gains(response):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        whole: HttpResponse = response  # type: ignore[assignment]
        if not accepts_gzip(request.headers.get("Accept-Encoding", "")) or not _is_safe(
            request, whole
        ):
            return response
        packed = gzip.compress(whole.content, compresslevel=_LEVEL, mtime=0)
        if len(packed) >= len(whole.content):
            return response
        whole.content = packed
        whole.headers["Content-Encoding"] = "gzip"
        whole.headers["Content-Length"] = str(len(packed))
        etag = whole.headers.get("ETag", "")
        if etag.startswith('"'):
            # The same content in other bytes: no longer byte for byte what a strong one promises.
            whole.headers["ETag"] = f"W/{etag}"
        return whole


def _gains(response: HttpResponseBase) -> bool:
    whole: HttpResponse = response  # type: ignore[assignment]
    return (
        len(whole.content) >= MIN_BYTES
        and "Content-Encoding" not in response.headers
        and "no-transform" not in response.headers.get("Cache-Control", "")
        and _TEXT.match(response.headers.get("Content-Type", "")) is not None
    )


def _is_safe(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether nobody can learn a secret of the answer by its length."""
    if response.cookies:
        return False
    is_for_everyone = "public" in response.headers.get("Cache-Control", "")
    uses_cookies = settings.SESSION_COOKIE_NAME in request.COOKIES
    if is_for_everyone or not uses_cookies:
        return True
    # Browsers set it, pages cannot.
    return request.headers.get("Sec-Fetch-Site", "") in {"same-origin", "none"} and (
        not request.META.get("CSRF_COOKIE_USED")
        and not request.META.get("CSRF_COOKIE_NEEDS_UPDATE")
    )
