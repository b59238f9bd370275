"""Backtests as rows: asked for over HTTP or by a command, run by a worker, kept with their result.

The story: :func:`run_backtest` takes a queued row, lets :func:`claimkit.drift.backtest.backtest` replay
the nights, notes how far it is, and keeps what they would have told as plain values.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction
from django.utils import timezone

from claimkit.drift.backtest import Knowledge, backtest
from claimkit.errors import ClaimkitError
from claimkit.tenants import use_tenant
from claimkit.types import SystemClock
from claimkit_django.drift.models import BacktestRun
from claimkit_django.drift.tenant_settings import drift_config
from claimkit_django.runtime import open_store, plugins

if TYPE_CHECKING:
    from claimkit.drift.backtest import Backtest
    from claimkit.types import Clock, Progress, TenantKey

__all__ = ["run_backtest"]

#: Percent that reading is of the whole, as people see it.
_READING = 5


def run_backtest(
    tenant: TenantKey,
    uid: str,
    *,
    using: str = DEFAULT_DB_ALIAS,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Backtest | None:
    """Run one queued backtest and keep its result; None if another worker has taken it.

    Raises:
        ClaimkitError: the nights cannot be replayed; the row is marked as failed.
    """
    store = open_store(using)
    with use_tenant(tenant):
        rows = BacktestRun.objects.using(using)
        taken = rows.filter(uid=uid, status=BacktestRun.Status.QUEUED).update(
            status=BacktestRun.Status.RUNNING, heartbeat_at=timezone.now()
        )
        if not taken:
            return None
        row = rows.get(uid=uid)
        try:
            result = backtest(
                tenant=tenant,
                store=store,
                detectors=plugins().detectors,
                config=drift_config(tenant, using=using),
                clock=clock or SystemClock(),
                start=row.start,
                end=row.end,
                knowledge=Knowledge(row.knowledge),
                every_days=row.every_days,
                progress=_Noted(row, using, progress),
            )
        except Exception as error:
            # Isolation point: the row must not say "running" for ever. Told on, of course.
            _fail(row, using, error)
            raise
        _keep(row, using, result)
    return result


class _Noted:
    """Progress that the row shows: written at most once per percent."""

    def __init__(self, row: BacktestRun, using: str, other: Progress | None) -> None:
        self._row = row
        self._using = using
        self._other = other
        self._shown = 0

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if self._other is not None:
            self._other(step, done, total)
        if step == "reading the cube" or not total:
            percent = _READING
        else:
            percent = _READING + (99 - _READING) * min(done, total) // total
        if percent > self._shown:
            self._shown = percent
            BacktestRun.objects.using(self._using).filter(pk=self._row.pk).update(
                percent=percent, heartbeat_at=timezone.now()
            )


def _keep(row: BacktestRun, using: str, result: Backtest) -> None:
    row.status = BacktestRun.Status.SUCCESS
    row.start, row.end = result.start, result.end
    row.percent = 100
    row.alerts = len(result.alerts)
    row.alerts_per_month = result.alerts_per_month
    row.result = _plain(result)
    row.heartbeat_at = row.finished_at = timezone.now()
    row.save(using=using)


def _plain(result: Backtest) -> dict[str, Any]:
    """Return what a reader of the run wants; a finding's evidence stays behind, for its size."""
    findings = []
    for one in result.findings:
        plain = dataclasses.asdict(one)
        plain.pop("evidence")
        findings.append(plain)
    return {
        "watched_from": result.watched_from,
        "watched_nights": result.watched_nights,
        "decisions": result.decisions,
        "months": [dataclasses.asdict(one) for one in result.months],
        "payers": [dataclasses.asdict(one) for one in result.payers],
        "findings": findings,
    }


def _fail(row: BacktestRun, using: str, error: Exception) -> None:
    known = isinstance(error, ClaimkitError)
    try:
        with transaction.atomic(using=using):
            BacktestRun.objects.using(using).filter(pk=row.pk).update(
                status=BacktestRun.Status.FAILED,
                finished_at=timezone.now(),
                error_code=error.code if isinstance(error, ClaimkitError) else "internal_error",
                error_message=str(error) if known else "something unexpected stopped the run",
            )
    except DatabaseError:
        # The database itself is gone or the transaction broken: the first error tells more.
        return
