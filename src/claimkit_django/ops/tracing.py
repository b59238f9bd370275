"""Where spans are opened: around requests, Celery's tasks, and webhooks that are sent."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from claimkit_django.http.middleware import AnswerMiddleware
from claimkit_django.http.spans import is_tracing, span
from claimkit_django.http.tasks import around_tasks, parent_of
from claimkit_django.ops.middleware import method_of, route_of

try:
    from celery import signals
except ImportError:  # Celery is an extra.
    signals = None

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["TracingMiddleware", "trace_tasks"]


class TracingMiddleware(AnswerMiddleware):
    """Open a span per request, in the caller's trace. Sync and async; list it after the trace context."""

    def around(self, request: HttpRequest) -> AbstractContextManager[object]:
        """Open the span."""
        return _request_span(request)

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Tell the span what became of the request."""
        told: dict[str, Any] = request._claimkit_span  # type: ignore[attr-defined]
        method, route = method_of(request), route_of(request)
        told |= {
            "name": f"{method} {route}",
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": response.status_code,
        }
        if response.status_code >= 500:
            told["error"] = str(response.status_code)
        return response


@contextmanager
def _request_span(request: HttpRequest) -> Iterator[None]:
    told: dict[str, Any] = {}
    request._claimkit_span = told  # type: ignore[attr-defined]
    parent = request.headers.get("traceparent", "")
    with span(method_of(request), "server", told, parent=parent):
        yield


def trace_tasks() -> None:
    """Connect to Celery; nothing without it or without OpenTelemetry."""
    if signals is None or not is_tracing():
        return
    tracer = _TaskTracer()
    around_tasks(tracer.begin, tracer.end, uid="claimkit tracing")


class _TaskTracer:
    """A span per task of claimkit, below the request that queued it."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[ExitStack, dict[str, Any]]] = {}

    def begin(self, *, task_id: str = "", task: Any = None, **_kwargs: Any) -> None:
        name = str(getattr(task, "name", ""))
        if not name.startswith("claimkit."):
            return
        told: dict[str, Any] = {"messaging.system": "celery", "claimkit.task": name}
        scope = ExitStack()
        scope.enter_context(span(name, "consumer", told, parent=parent_of(task)))
        self._open[task_id] = scope, told

    def end(self, *, task_id: str = "", state: Any = None, **_kwargs: Any) -> None:
        scope, told = self._open.pop(task_id, (None, {}))
        if scope is None:
            return
        told["claimkit.state"] = str(state or "unknown").lower()
        if told["claimkit.state"] == "failure":
            told["error"] = "failure"
        scope.close()
