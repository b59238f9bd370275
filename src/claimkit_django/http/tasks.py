"""Takes a request's id and trace along into the Celery tasks that it queues.

Only claimkit's own tasks are touched; a host that wants it for its tasks names their prefix.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from claimkit_django.http.request_ids import ACCEPTED, current_request_id, use_request_id
from claimkit_django.http.traces import TraceContext, current_trace, use_trace

try:
    from celery import signals
except ImportError:  # Celery is an extra.
    signals = None

__all__ = ["follow_requests", "parent_of"]

_REQUEST_ID = "claimkit_request_id"
_TRACE = "claimkit_traceparent"


def follow_requests(prefix: str = "claimkit.") -> None:
    """Connect to Celery for tasks whose names start with ``prefix``; nothing without Celery."""
    if signals is None:
        return
    follower = _Follower(prefix)
    for signal, receiver in (
        (signals.before_task_publish, follower.publish),
        (signals.task_prerun, follower.begin),
        (signals.task_postrun, follower.end),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"{prefix} {receiver.__name__}")


class _Follower:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._running: dict[str, ExitStack] = {}

    def publish(self, *, sender: Any = None, headers: Any = None, **_kwargs: Any) -> None:
        """Write the id and the trace into the message; ``sender`` is the task's name."""
        if not str(sender).startswith(self._prefix) or headers is None:
            return
        if current_request_id():
            headers[_REQUEST_ID] = current_request_id()
        trace = current_trace()
        if trace is not None:
            headers[_TRACE] = trace.traceparent

    def begin(self, *, task_id: str = "", task: Any = None, **_kwargs: Any) -> None:
        """Enter both while the task runs."""
        if not str(getattr(task, "name", "")).startswith(self._prefix):
            return
        scope = ExitStack()
        request_id = _told(task.request, _REQUEST_ID) or task_id
        if ACCEPTED.fullmatch(request_id):
            scope.enter_context(use_request_id(request_id))
        scope.enter_context(use_trace(TraceContext.continued(_told(task.request, _TRACE))))
        self._running[task_id] = scope

    def end(self, *, task_id: str = "", **_kwargs: Any) -> None:
        """Leave both."""
        scope = self._running.pop(task_id, None)
        if scope is not None:
            scope.close()


def parent_of(task: Any) -> str:
    """Return the ``traceparent`` of whoever queued a task that runs; empty without one."""
    return str(_told(task.request, _TRACE))


def _told(request: Any, name: str) -> str:
    """Return a header of the message; a worker makes it an attribute, an eager call does not."""
    return getattr(request, name, None) or (request.headers or {}).get(name) or ""
