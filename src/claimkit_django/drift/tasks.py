"""The watch as Celery tasks; the same runs start from ``manage.py claimkit_watch``."""

from __future__ import annotations

import datetime as dt

from django.db import DEFAULT_DB_ALIAS, DatabaseError

from claimkit.types import TenantKey
from claimkit_django.drift.runs import run_watch
from claimkit_django.tenants.models import Tenant

try:
    from celery import shared_task
except ImportError:  # Celery is an extra.
    shared_task = None

__all__ = ["queue_watch"]


def queue_watch(tenant: TenantKey, *, as_of: dt.date | None = None) -> None:
    """Watch one tenant: by a worker where Celery is installed, else here and now."""
    if shared_task is None:
        run_watch(tenant, as_of=as_of)
    else:
        watch_tenant.delay(tenant, as_of.isoformat() if as_of else "")


def _watch_tenant(tenant: str, as_of: str = "", using: str = DEFAULT_DB_ALIAS) -> int:
    """Watch one tenant as of an ISO date, or of its last decision; return the open findings."""
    day = dt.date.fromisoformat(as_of) if as_of else None
    return len(run_watch(TenantKey(tenant), as_of=day, using=using, actor="task").findings)


def _watch_all() -> int:
    """Queue a watch of every active tenant; return how many. For the beat schedule."""
    keys = list(Tenant.objects.filter(active=True).values_list("key", flat=True))
    for key in keys:
        watch_tenant.delay(key)
    return len(keys)


if shared_task is not None:
    watch_tenant = shared_task(
        name="claimkit.drift.watch_tenant",
        acks_late=True,
        ignore_result=True,
        autoretry_for=(DatabaseError,),
        retry_backoff=True,
        retry_jitter=True,
        max_retries=4,
    )(_watch_tenant)
    watch_all = shared_task(name="claimkit.drift.watch_all", ignore_result=True)(_watch_all)
    __all__ += ["watch_all", "watch_tenant"]
