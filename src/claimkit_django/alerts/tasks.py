"""Telling people as a Celery task; the same worker is ``manage.py claimkit_notify``."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, DatabaseError

from claimkit_django.alerts.notify import notify_due

try:
    from celery import shared_task
except ImportError:  # Celery is an extra.
    shared_task = None

__all__ = ["send_due"]


def send_due(using: str = DEFAULT_DB_ALIAS) -> int:
    """Decide and send what is due now, in this thread; return how many notifications were sent."""
    return notify_due(using=using).sent


if shared_task is not None:
    #: For the beat schedule, every few seconds; runs that overlap share the work.
    notify = shared_task(
        name="claimkit.alerts.notify",
        ignore_result=True,
        autoretry_for=(DatabaseError,),
        retry_backoff=True,
        retry_jitter=True,
        max_retries=4,
    )(send_due)
    __all__ += ["notify"]
