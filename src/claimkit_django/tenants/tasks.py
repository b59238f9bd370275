"""Celery tasks that run in the tenant in whose scope they were queued.

The tenant's key travels in the message's headers, beside the arguments and not among them. A
message without one is refused: a worker has no tenant of its own to fall back to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claimkit.errors import TenantRequired
from claimkit.tenants import current_tenant, use_tenant
from claimkit.types import TenantKey

try:
    from celery import Task
except ImportError:  # Celery is an extra.
    Task = None

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TENANT_HEADER"]

#: Header of a message that names its tenant.
TENANT_HEADER = "claimkit_tenant"

if Task is not None:

    class TenantTask(Task):  # type: ignore[misc]
        """Base of tasks on data of one tenant: ``@shared_task(base=TenantTask)``.

        ``delay()`` and ``apply_async()`` take the tenant in scope along; retries keep it.
        """

        abstract = True

        def apply_async(
            self,
            args: Any = None,
            kwargs: Any = None,
            headers: Mapping[str, Any] | None = None,
            **options: Any,
        ) -> Any:
            """Queue the task for the tenant in scope.

            Raises:
                TenantRequired: no tenant is in scope, and ``headers`` name none.
            """
            carried = dict(headers or {})
            if TENANT_HEADER not in carried:
                carried[TENANT_HEADER] = current_tenant()
            return super().apply_async(args, kwargs, headers=carried, **options)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Run the task in its tenant's scope.

            Raises:
                TenantRequired: a worker received a message that names no tenant.
            """
            if self.request.called_directly:
                return super().__call__(*args, **kwargs)
            key = _told(self.request)
            if not key:
                raise TenantRequired("the message names no tenant")
            with use_tenant(TenantKey(key)):
                return super().__call__(*args, **kwargs)

    __all__ += ["TenantTask"]


def _told(request: Any) -> str:
    """Return the tenant that the message being worked on names; empty without one."""
    headers = getattr(request, "headers", None) or {}
    told: str = headers.get(TENANT_HEADER) or getattr(request, TENANT_HEADER, None) or ""
    return told
