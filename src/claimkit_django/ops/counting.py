"""Who writes the metrics: a listener on the bus, signals of Celery, and a middleware.

Rooms stage events and know nothing of metrics; what was rolled back is not counted.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import transaction

from claimkit.events import (
    AlertOpened,
    AlertResolved,
    ClaimsImported,
    CubeRefreshed,
    DriftAccepted,
    DriftDetected,
    DriftResolved,
    DriftWorsened,
    ImportFailed,
    OutboxSettled,
    ReportEnded,
    RulesRan,
    WatchEnded,
)
from claimkit.ops import metrics
from claimkit_django.ops.metrics import meter

try:
    from celery import signals
except ImportError:  # Celery is an extra.
    signals = None

if TYPE_CHECKING:
    from collections.abc import Callable

    from claimkit.events import Event, Phase

__all__ = ["MetricsListener", "count_tasks"]


class MetricsListener:
    """Counts what rooms tell each other, once it is committed."""

    name = "metrics"
    topics: ClassVar[frozenset[str]]
    phase: Phase = "committed"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> None:
        """Count the event once the outermost transaction has committed."""
        transaction.on_commit(lambda: _COUNTERS[type(event)](event), using=self._using, robust=True)


def _count_claims(event: Any) -> None:
    meter().count(metrics.FILES, tenant=event.tenant)
    for result in ("new", "changed", "same", "rejected"):
        meter().count(metrics.CLAIMS, result, by=getattr(event, result), tenant=event.tenant)


def _count_failure(event: Any) -> None:
    meter().count(metrics.FILES_FAILED, event.code, tenant=event.tenant)


def _count_refresh(event: Any) -> None:
    meter().count(metrics.CUBE_CHANGES, by=event.changes, tenant=event.tenant)
    meter().time(metrics.CUBE_REFRESH_SECONDS, seconds=event.seconds)


def _count_report(event: Any) -> None:
    meter().count(metrics.REPORT_RUNS, event.kind, event.status, tenant=event.tenant)
    meter().time(metrics.REPORT_RUN_SECONDS, event.kind, seconds=event.seconds)


def _count_rules(event: Any) -> None:
    for result, count in event.endings.items():
        meter().count(metrics.EXECUTIONS, result, by=count, tenant=event.tenant)
    for seconds in event.seconds:
        meter().time(metrics.EXECUTION_SECONDS, seconds=seconds)


def _count_run(event: Any) -> None:
    meter().count(metrics.DRIFT_RUNS, event.status, tenant=event.tenant)
    meter().time(metrics.DRIFT_RUN_SECONDS, seconds=event.seconds)


def _count_finding(event: Any) -> None:
    change = event.topic.rpartition(".")[2]
    meter().count(metrics.DRIFT_FINDINGS, change, event.severity, tenant=event.tenant)


def _count_alert(event: Any) -> None:
    change = event.topic.rpartition(".")[2]
    meter().count(metrics.ALERTS, change, event.severity, tenant=event.tenant)


def _count_deliveries(event: Any) -> None:
    for result, count in event.endings.items():
        meter().count(metrics.DELIVERIES, event.outbox, result, by=count, tenant=event.tenant)
    for seconds in event.seconds:
        meter().time(metrics.DELIVERY_SECONDS, event.outbox, seconds=seconds)


_COUNTERS: dict[type[Event], Callable[[Any], None]] = {
    ClaimsImported: _count_claims,
    ImportFailed: _count_failure,
    CubeRefreshed: _count_refresh,
    ReportEnded: _count_report,
    RulesRan: _count_rules,
    WatchEnded: _count_run,
    OutboxSettled: _count_deliveries,
    **dict.fromkeys((DriftDetected, DriftWorsened, DriftResolved, DriftAccepted), _count_finding),
    **dict.fromkeys((AlertOpened, AlertResolved), _count_alert),
}
MetricsListener.topics = frozenset(one.topic for one in _COUNTERS)


def count_tasks() -> None:
    """Connect to Celery; nothing without it."""
    if signals is None:
        return
    counter = _TaskCounter()
    for signal, receiver in (
        (signals.task_prerun, counter.begin),
        (signals.task_postrun, counter.end),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"claimkit metrics {receiver.__name__}")


class _TaskCounter:
    """Counts every task of the site: their names are known, and there are few."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def begin(self, *, task_id: str = "", **_kwargs: Any) -> None:
        self._began[task_id] = time.perf_counter()

    def end(
        self, *, task_id: str = "", task: Any = None, state: Any = None, **_kwargs: Any
    ) -> None:
        began = self._began.pop(task_id, None)
        name = str(getattr(task, "name", "") or "unnamed")
        meter().count(metrics.TASKS, name, str(state or "unknown").lower())
        if began is not None:
            meter().time(metrics.TASK_SECONDS, name, seconds=time.perf_counter() - began)
