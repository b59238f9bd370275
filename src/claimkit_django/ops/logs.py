"""The formatter of :mod:`claimkit.ops.logs` with what Django and Celery know of the work in hand.

::

    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "claimkit_django.ops.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }
"""

from __future__ import annotations

import sys
from typing import Any

from claimkit.ops import logs
from claimkit_django.http.request_ids import current_request_id
from claimkit_django.http.traces import current_trace

__all__ = ["JsonFormatter"]


class JsonFormatter(logs.JsonFormatter):
    """Adds ``request_id``, ``trace_id`` and ``span_id``, and in a worker ``task`` and ``task_id``."""

    def context(self) -> dict[str, str]:
        """Return what the request or the task in hand belongs to."""
        found = logs.log_context() | _task()
        found["request_id"] = current_request_id()
        trace = current_trace()
        if trace is not None:
            found |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
        return found


def _task() -> dict[str, str]:
    # Whoever runs a task has imported Celery; whoever logs without it must not.
    celery: Any = sys.modules.get("celery")
    task = celery.current_task if celery is not None else None
    if not task:
        return {}
    return {"task": str(task.name or ""), "task_id": str(task.request.id or "")}
