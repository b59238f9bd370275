"""Reports and exports as Celery tasks; the same work starts from management commands."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction
from django.utils import timezone

from claimkit.errors import ClaimkitError
from claimkit.types import TenantKey
from claimkit_django.reports.exports import prune_exports, run_export
from claimkit_django.reports.mails import send_due
from claimkit_django.reports.orphans import remove_orphans
from claimkit_django.reports.runs import run_report
from claimkit_django.reports.schedules import make_due

try:
    from celery import shared_task
    from kombu.exceptions import OperationalError as BrokerError
except ImportError:  # Celery is an extra.
    shared_task = None

if TYPE_CHECKING:
    from collections.abc import Callable

    from claimkit_django.reports.models import ExportRun, ReportRun

__all__ = ["queue_export", "queue_report"]

logger = logging.getLogger(__name__)


def queue_report(row: ReportRun) -> None:
    """Make the report once the transaction has committed: by a worker, or else here and now."""
    _start(row, _make_report, "report")


def queue_export(row: ExportRun) -> None:
    """Write the export once the transaction has committed: by a worker, or else here and now."""
    _start(row, _make_export, "export")


def _start(row: ReportRun | ExportRun, work: Callable[..., str], what: str) -> None:
    using = row._state.db or DEFAULT_DB_ALIAS
    key, uid = row.tenant.key, row.uid

    def start() -> None:
        if shared_task is None:
            work(uid, key, using)
            return
        task = make_report if what == "report" else make_export
        try:
            task.delay(uid, key, using)
        except BrokerError:
            # ``claimkit_report --due`` and ``claimkit_export --prune`` find what waits.
            logger.warning("broker not reached; the run stays queued", extra={what: uid})

    transaction.on_commit(start, using=using)


def _make_report(uid: str, tenant: str, using: str = DEFAULT_DB_ALIAS) -> str:
    """Make one queued report and mail it; takes ids only. Returns the status in which it ended.

    A report that cannot be made is told by its row, so the task does not fail for it.
    """
    try:
        row = run_report(TenantKey(tenant), uid, using=using)
    except ClaimkitError:
        logger.warning("report failed", extra={"report": uid}, exc_info=True)
        return "failed"
    send_due(using=using)
    return "taken" if row is None else row.status


def _make_export(uid: str, tenant: str, using: str = DEFAULT_DB_ALIAS) -> str:
    """Write one queued export; takes ids only. Returns the status in which it ended."""
    try:
        row = run_export(TenantKey(tenant), uid, using=using)
    except ClaimkitError:
        logger.warning("export failed", extra={"export": uid}, exc_info=True)
        return "failed"
    return "taken" if row is None else row.status


def _due(using: str = DEFAULT_DB_ALIAS) -> int:
    """Queue, make and mail what schedules want now; return how many reports were made."""
    return make_due(using=using).made


def _prune(using: str = DEFAULT_DB_ALIAS) -> int:
    """Remove expired exports, and files that killed workers left; return how many files."""
    now = timezone.now()
    return prune_exports(now=now, using=using)[0] + remove_orphans(now=now, using=using)


if shared_task is not None:
    make_report = shared_task(
        name="claimkit.reports.make_report",
        acks_late=True,
        ignore_result=True,
        autoretry_for=(DatabaseError,),
        retry_backoff=True,
        max_retries=4,
    )(_make_report)
    make_export = shared_task(
        name="claimkit.reports.make_export", acks_late=True, ignore_result=True
    )(_make_export)
    #: For the beat schedule, every few minutes.
    make_due_reports = shared_task(name="claimkit.reports.make_due", ignore_result=True)(_due)
    #: For the beat schedule, every hour.
    prune = shared_task(name="claimkit.reports.prune_exports", ignore_result=True)(_prune)
    __all__ += ["make_due_reports", "make_export", "make_report", "prune"]
