"""Takes a request's id and trace along into the Celery tasks that it queues.

Only claimkit's own tasks are touched; a host that wants it for its tasks names their prefix.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from claimkit_django.http.request_ids import ACCEPTED, current_request_id, use_request_id
from claimkit_django.http.traces import TraceContext, current_trace, use_trace

try:
    from celery import signals
except ImportError:  # Celery is an extra.
    signals = None

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["around_tasks", "follow_requests", "parent_of"]

_REQUEST_ID = "claimkit_request_id"
_TRACE = "claimkit_traceparent"


def follow_requests(prefix: str = "claimkit.") -> None:
    """Connect to Celery for tasks whose names start with ``prefix``; nothing without Celery."""
    if signals is None:
        return
    follower = _Follower(prefix)
    signals.before_task_publish.connect(
        follower.publish, weak=False, dispatch_uid=f"{prefix} publish"
    )
    around_tasks(follower.begin, follower.end, uid=prefix)


def around_tasks(begin: Callable[..., None], end: Callable[..., None], *, uid: str) -> None:
    """Connect what begins with a task and ends with it; what began last ends first.

    Celery must be installed.

    Args:
        begin: Receiver of ``task_prerun``.
        end: Receiver of ``task_postrun``.
        uid: Connected once under each.
    """
    signals.task_prerun.connect(begin, weak=False, dispatch_uid=f"{uid} begin")
    known = len(signals.task_postrun.receivers)
    signals.task_postrun.connect(end, weak=False, dispatch_uid=f"{uid} end")
    receivers = signals.task_postrun.receivers
    if len(receivers) > known:
        # Celery asks in the order of connecting: what ended in that order would leave its context.
        receivers.insert(0, receivers.pop())


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
