"""Work of the ops room as Celery tasks; the same work starts from management commands."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS

from claimkit_django.ops.months import add_all_months
from claimkit_django.ops.platform import watch
from claimkit_django.ops.retention import apply_retention

try:
    from celery import shared_task
except ImportError:  # Celery is an extra.
    shared_task = None

__all__ = ["make_months", "remove_old", "watch_once"]


def make_months(using: str = DEFAULT_DB_ALIAS) -> int:
    """Make the months ahead of tables that are cut by month; return how many were made."""
    return len(add_all_months(using))


def remove_old(using: str = DEFAULT_DB_ALIAS) -> int:
    """Remove what is older than it is kept; return how many rows went."""
    removed = apply_retention(using=using, is_dry_run=False)
    return sum(one.rows for one in removed if not one.is_held)


def watch_once(using: str = DEFAULT_DB_ALIAS) -> str:
    """Look at the site once and tell operators; return what failed of the watch, mostly nothing."""
    return watch(using=using).fault


if shared_task is not None:
    #: For the beat schedule, once a night.
    apply_retention_task = shared_task(
        name="claimkit.ops.apply_retention", acks_late=True, ignore_result=True
    )(remove_old)
    #: For the beat schedule, once a night, where tables are cut by month and the workers' role owns
    #: them.
    make_months_task = shared_task(
        name="claimkit.ops.make_months", acks_late=True, ignore_result=True
    )(make_months)
    #: For the beat schedule, every minute; runs that overlap tell each thing once.
    watch_platform = shared_task(name="claimkit.ops.watch_platform", ignore_result=True)(watch_once)
    __all__ += ["apply_retention_task", "make_months_task", "watch_platform"]
