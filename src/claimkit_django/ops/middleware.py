"""Middleware that counts and times requests."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.contrib.admindocs.views import simplify_regex

from claimkit.ops import metrics
from claimkit_django.http.middleware import AnswerMiddleware
from claimkit_django.ops.metrics import meter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["MetricsMiddleware", "method_of", "route_of"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Of requests that no route took, whatever they asked for: anybody can make up any number of paths.
_UNMATCHED = "unmatched"


class MetricsMiddleware(AnswerMiddleware):
    """Count requests by method, template of the route, and status. Sync and async.

    List it first, so that it times the others and counts what they answer.
    """

    def around(self, request: HttpRequest) -> AbstractContextManager[object]:
        """Note when the request began."""
        return _timed(request)

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Count the answer, whose body may still be to come."""
        method, route = method_of(request), route_of(request)
        seconds = time.perf_counter() - request._claimkit_began  # type: ignore[attr-defined]
        meter().count(metrics.HTTP_REQUESTS, method, route, str(response.status_code))
        meter().time(metrics.HTTP_SECONDS, method, route, seconds=seconds)
        return response


def method_of(request: HttpRequest) -> str:
    """Return the method of a request, or ``OTHER``: anybody can make up any number of them."""
    return str(request.method) if request.method in _METHODS else "OTHER"


def route_of(request: HttpRequest) -> str:
    """Return the template of the route that took a request, or ``unmatched``."""
    match: Any = request.resolver_match
    return _template_of(match.route) if match is not None else _UNMATCHED


@lru_cache(maxsize=4_096)
def _template_of(route: str) -> str:
    """Return a route as people write it: regular expressions of routers without their marks."""
    return str(simplify_regex(route))


@contextmanager
def _timed(request: HttpRequest) -> Iterator[None]:
    request._claimkit_began = time.perf_counter()  # type: ignore[attr-defined]
    yield
