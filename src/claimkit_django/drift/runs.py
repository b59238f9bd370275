"""Runs of the watch, each with a row that says what it looked at and what it changed.

The story: :func:`run_watch` notes that it began, lets :func:`claimkit.drift.watch.watch` read the cube,
detect and record, and notes how it ended. Two runs at once, or the same run again, make one set of
findings: recording is where writers of a tenant take turns.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.utils import timezone

from claimkit.drift.acceptance import accept_finding
from claimkit.drift.watch import WatchState, rebuild_cube, watch
from claimkit.errors import ClaimkitError, StoreError
from claimkit.events import WatchEnded
from claimkit.tenants import use_tenant
from claimkit.types import SystemClock
from claimkit_django.drift.models import BacktestRun, WatchRun
from claimkit_django.drift.models import Finding as FindingRow
from claimkit_django.drift.tenant_settings import drift_config, keeping
from claimkit_django.runtime import make_bus, open_store, plugins
from claimkit_django.tenants.models import RetentionMark
from claimkit_django.tenants.scope import TenantScope, find_tenant_id, reenter
from claimkit_django.tenants.turns import having_turn

if TYPE_CHECKING:
    import datetime as dt

    from claimkit.drift.findings import Finding
    from claimkit.drift.power import PayerWatch
    from claimkit.drift.watch import WatchReport
    from claimkit.events import Bus
    from claimkit.types import Clock, Progress, TenantKey

__all__ = ["dead_runs", "run_accept", "run_rebuild", "run_watch"]

logger = logging.getLogger(__name__)

#: Payers whose watch is kept with a run, the largest; some tenants know thousands of names.
_MOST_PAYERS = 200
#: A run that works says so as often; nobody takes it for dead before minutes of silence.
_HEARTBEAT_SECONDS = 5.0


def run_watch(
    tenant: TenantKey,
    *,
    as_of: dt.date | None = None,
    using: str = DEFAULT_DB_ALIAS,
    actor: str = "",
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> WatchReport:
    """Watch one tenant and keep a row of the run.

    Raises:
        ClaimkitError: no such tenant or detector; the run is marked as failed.
    """
    store = open_store(using)
    bus, began = make_bus(store), time.monotonic()
    with use_tenant(tenant), reenter(_scope_of(tenant, using)):
        row = _begin(using, actor)
        try:
            report = watch(
                tenant=tenant,
                store=store,
                detectors=plugins().detectors,
                config=drift_config(tenant, using=using),
                as_of=as_of,
                bus=bus,
                clock=clock or SystemClock(),
                progress=_with_heartbeat(row, using, progress),
                holds=store.quality.holds(tenant) if store.has("quality") else (),
                has_watched=_has_watched(using),
            )
        except Exception as error:
            # Isolation point: the row must not say "running" for ever. Told on, of course.
            _fail(row, using, error)
            _tell(bus, tenant, WatchRun.Status.FAILED, time.monotonic() - began)
            raise
        _end(row, using, report)
        _tell(bus, tenant, WatchRun.Status.SUCCESS, time.monotonic() - began, len(report.held))
    return report


def _has_watched(using: str) -> bool:
    done = WatchRun.objects.using(using).filter(status=WatchRun.Status.SUCCESS)
    return bool(done.filter(details__state=WatchState.WATCHING.value).exists())


def run_rebuild(
    tenant: TenantKey,
    *,
    using: str = DEFAULT_DB_ALIAS,
    clock: Clock | None = None,
    progress: Progress | None = None,
    may_forget: bool = False,
) -> int:
    """Make a tenant's cube again from its claims, in one transaction; return how many claims.

    Args:
        tenant: Whose cube.
        using: Alias of the database.
        clock: Its today is the day on which all of it became known.
        progress: Told of each step.
        may_forget: Lose the figures of claims that retention removed.

    Raises:
        StoreError: claims were removed by retention, of which only the cube has the figures.
        TenantUnknown: there is no such tenant, or it is not active.
    """
    store = open_store(using)
    with store.atomic(), having_turn(tenant, using):
        if not may_forget:
            _require_all_claims(tenant, using)
        kept = keeping(tenant, using=using)
        return rebuild_cube(
            tenant=tenant,
            cube=store.cube,
            facts=store.claims.facts_by_day(tenant),
            known_on=(clock or SystemClock()).now().date(),
            dimensions=kept.dimensions,
            measures=kept.measures,
            progress=progress,
        )


def _require_all_claims(tenant: TenantKey, using: str) -> None:
    with use_tenant(tenant):
        removed = RetentionMark.objects.using(using).filter(name="claims").first()
    if removed is not None:
        raise StoreError(
            f"claims before {removed.until:%Y-%m-%d} were removed, and the cube alone knows of them",
            remedy="Leave it as it is, or say that their figures may go: --may-forget",
        )


def run_accept(
    tenant: TenantKey,
    finding: str,
    *,
    by: str,
    using: str = DEFAULT_DB_ALIAS,
    clock: Clock | None = None,
) -> Finding:
    """Take the level of an open finding, named by uid or fingerprint, as the new normal.

    Raises:
        FindingUnknown: the tenant has no such open finding.
    """
    store = open_store(using)
    with use_tenant(tenant):
        rows = FindingRow.objects.using(using).filter(uid=finding)
        name = rows.values_list("fingerprint", flat=True).first()
        return accept_finding(
            tenant=tenant,
            store=store,
            fingerprint=name or finding,
            by=by,
            bus=make_bus(store),
            clock=clock or SystemClock(),
        )


def dead_runs(*, using: str = DEFAULT_DB_ALIAS, silent_since: dt.datetime) -> int:
    """Mark running runs and backtests of all tenants as failed whose heart has not beaten since.

    Returns how many.
    """
    died = 0
    for model in (WatchRun, BacktestRun):
        silent = model.unscoped.using(using).filter(status="running", heartbeat_at__lt=silent_since)
        died += int(
            silent.update(
                status="failed",
                finished_at=timezone.now(),
                error_code="run_died",
                error_message="the run stopped without a word; start it again",
            )
        )
    return died


def _scope_of(tenant: TenantKey, using: str) -> TenantScope:
    """Return the scope with its id: what runs in it asks for the id no more."""
    return TenantScope(tenant, find_tenant_id(TenantScope(tenant, None), using))


def _begin(using: str, actor: str) -> WatchRun:
    now = timezone.now()
    row = WatchRun(started_at=now, heartbeat_at=now, actor=actor)
    row.save(using=using)
    return row


def _tell(bus: Bus, tenant: TenantKey, status: str, seconds: float, held: int = 0) -> None:
    ended = WatchEnded(
        tenant=tenant, at=timezone.now(), status=str(status), seconds=seconds, held=held
    )
    with bus.transaction():
        bus.stage(ended)


def _with_heartbeat(row: WatchRun, using: str, progress: Progress | None) -> Progress:
    beaten = time.monotonic()

    def tell(step: str, done: int, total: int | None) -> None:
        nonlocal beaten
        # Each is three statements, and changes what readers see: a night tells of hundreds of steps.
        if time.monotonic() - beaten >= _HEARTBEAT_SECONDS:
            WatchRun.objects.using(using).filter(pk=row.pk).update(heartbeat_at=timezone.now())
            beaten = time.monotonic()
        if progress is not None:
            progress(step, done, total)

    return tell


def _end(row: WatchRun, using: str, report: WatchReport) -> None:
    recorded = report.recorded
    row.status = WatchRun.Status.SUCCESS
    row.as_of = report.as_of
    row.new, row.worse = len(recorded.new), len(recorded.worse)
    row.same, row.resolved = len(recorded.same), len(recorded.resolved)
    row.cells = report.cells
    row.details = _details(report)
    row.heartbeat_at = row.finished_at = timezone.now()
    row.save(using=using)


def _details(report: WatchReport) -> dict[str, Any]:
    states: dict[str, int] = {}
    for payer in report.payers:
        states[payer.state.value] = states.get(payer.state.value, 0) + 1
    return {
        "state": report.state.value,
        "decisions": report.decisions,
        "scanned_from": report.scanned_from.isoformat(),
        "payers": states,
        "watched": [_payer_json(one) for one in report.payers[:_MOST_PAYERS]],
        "held": [one.fingerprint for one in report.held],
    }


def _payer_json(payer: PayerWatch) -> dict[str, Any]:
    """Return what :func:`claimkit_django.drift.figures.watched_payers` reads."""
    kept = dataclasses.asdict(payer)
    for name in ("since", "until", "ready_on"):
        kept[name] = None if kept[name] is None else kept[name].isoformat()
    return kept


def _fail(row: WatchRun, using: str, error: Exception) -> None:
    known = isinstance(error, ClaimkitError)
    connection = connections[using]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    elif connection.needs_rollback:
        return
    try:
        with transaction.atomic(using=using):
            WatchRun.objects.using(using).filter(pk=row.pk).update(
                status=WatchRun.Status.FAILED,
                finished_at=timezone.now(),
                error_code=error.code if isinstance(error, ClaimkitError) else "internal_error",
                error_message=str(error) if known else "something unexpected stopped the run",
            )
    except DatabaseError:
        logger.exception("run could not be marked as failed")
