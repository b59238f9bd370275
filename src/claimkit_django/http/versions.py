"""Says which version of the API answers, and which ones a client may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.http import http_date

from claimkit_django.http.middleware import AnswerMiddleware

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["CURRENT", "DEPRECATED", "HEADER", "SUPPORTED", "ApiVersionMiddleware", "Deprecation"]

#: Name of the request and response header.
HEADER = "API-Version"
#: What answers a client that asks for nothing.
CURRENT = "1.0"
#: What a client may ask for.
SUPPORTED = (CURRENT,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """Since when something should not be used any more, until when it works, and what to use.

    Raises:
        ValueError: it would end before it was announced.
    """

    since: dt.datetime
    #: When it may stop working; None while that is open.
    sunset: dt.datetime | None = None
    #: Path of what takes its place.
    successor: str = ""

    def __post_init__(self) -> None:
        if self.sunset is not None and self.sunset < self.since:
            raise ValueError("nothing ends before its end is announced")

    def headers(self) -> dict[str, str]:
        """Return ``Deprecation`` (RFC 9745), ``Sunset`` (RFC 8594) and a ``Link`` to the successor."""
        headers = {"Deprecation": f"@{int(self.since.timestamp())}"}
        if self.sunset is not None:
            headers["Sunset"] = http_date(self.sunset.timestamp())
        if self.successor:
            headers["Link"] = f'<{self.successor}>; rel="successor-version"'
        return headers


#: Versions that are still answered and should not be asked for any more.
DEPRECATED: Mapping[str, Deprecation] = {}


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
