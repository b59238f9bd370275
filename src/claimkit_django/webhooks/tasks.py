"""Delivering and pruning webhooks as Celery tasks; both are management commands too."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, DatabaseError

from claimkit.webhooks.deliver import deliver
from claimkit_django.webhooks.retention import prune
from claimkit_django.webhooks.store import make_courier

try:
    from celery import shared_task
except ImportError:  # Celery is an extra.
    shared_task = None

__all__ = ["deliver_due", "prune_old"]


def deliver_due(using: str = DEFAULT_DB_ALIAS) -> int:
    """Deliver what is due now, in this thread; return how many were delivered."""
    return deliver(make_courier(using)).done


def prune_old(using: str = DEFAULT_DB_ALIAS) -> int:
    """Delete what is older than ``WEBHOOKS.KEEP_DAYS``; return how many deliveries went."""
    return prune(using=using).deliveries


if shared_task is not None:
    #: For the beat schedule, every few seconds; runs that overlap share the work.
    deliver_webhooks = shared_task(
        name="claimkit.webhooks.deliver",
        ignore_result=True,
        autoretry_for=(DatabaseError,),
        retry_backoff=True,
        retry_jitter=True,
        max_retries=4,
    )(deliver_due)
    #: For the beat schedule, once a day.
    prune_webhooks = shared_task(name="claimkit.webhooks.prune", ignore_result=True)(prune_old)
    __all__ += ["deliver_webhooks", "prune_webhooks"]
