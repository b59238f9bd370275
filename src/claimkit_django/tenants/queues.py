"""Queues in which no tenant waits for the thousand files of another one.

One queue is first come, first served: whoever uploads a year of files makes all others wait for it. With
a handful of queues, and tenants spread over them by their keys, a worker takes from each in
turn, so another's files delay a tenant by one import, and not by all. Two tenants that share
a queue still wait for each other; more queues make that rarer.
"""

from __future__ import annotations

import fnmatch
import inspect
import zlib
from typing import TYPE_CHECKING, Any

from claimkit.tenants import current_tenant, in_tenant
from claimkit_django.tenants.tasks import TENANT_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FairQueues"]


class FairQueues:
    """A router for ``CELERY_TASK_ROUTES`` that spreads tasks over queues by their tenant.

    >>> FairQueues("imports", "claimkit.claims.*", count=3).names
    ('imports.0', 'imports.1', 'imports.2')
    """

    def __init__(self, queue: str, *tasks: str, count: int = 8) -> None:
        """Route tasks whose names match.

        Args:
            queue: Name of the queues without their number.
            tasks: Names of tasks, with ``*`` for anything.
            count: How many queues.

        Raises:
            ValueError: no task, or no queue.
        """
        if not tasks or count < 1:
            raise ValueError("name at least one task, and one queue")
        self._queue, self._tasks, self._count = queue, tasks, count

    @property
    def names(self) -> tuple[str, ...]:
        """All queues, for ``celery worker --queues``."""
        return tuple(f"{self._queue}.{number}" for number in range(self._count))

    def __call__(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        task: Any = None,
        **_: Any,
    ) -> dict[str, str] | None:
        """Return the queue of a message; None leaves it to the next router.

        The tenant is that of the message's header, else of the task's argument ``tenant``, else the one
        in scope; what belongs to no tenant goes to the first queue.
        """
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._tasks):
            return None
        headers = (options or {}).get("headers") or {}
        tenant = headers.get(TENANT_HEADER) or _argument(task, args, kwargs or {})
        if not tenant and in_tenant():
            tenant = current_tenant()
        number = zlib.crc32(str(tenant).encode()) % self._count if tenant else 0
        return {"queue": self.names[number]}


def _argument(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return what the message gives for the task's argument ``tenant``; None without one."""
    if task is None:
        return kwargs.get("tenant")
    try:
        return inspect.signature(task.run).bind_partial(*args, **kwargs).arguments.get("tenant")
    except TypeError:
        return None
