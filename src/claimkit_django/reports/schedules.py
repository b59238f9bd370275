"""What schedules make by themselves: reports that are due, and those that an outage left out.

The story: :func:`queue_due` asks each enabled schedule which periods are due and not made
(:func:`claimkit.reports.periods.missed`), queues their reports and remembers that it did, in one
transaction per schedule; workers that do it at once queue each report once. :func:`make_due` also
makes what is queued, brings runs that died back, and mails what is ready.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from claimkit.errors import ClaimkitError
from claimkit.events import ReportFailed
from claimkit.reports.periods import Calendar, PeriodKind, missed, period_of
from claimkit.types import TenantKey
from claimkit_django.reports.mails import send_due
from claimkit_django.reports.models import ReportRun, ReportSchedule
from claimkit_django.reports.runs import ask_report, dead_reports, run_report
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from claimkit.reports.periods import Period
    from claimkit_django.tenants.models import Tenant

__all__ = ["Made", "calendar_of", "make_due", "next_due", "queue_due"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one round did."""

    queued: int = 0
    made: int = 0
    failed: int = 0
    mailed: int = 0
    #: Schedules that cannot be kept, such as in a time zone that does not exist.
    broken: int = 0


def calendar_of(schedule: ReportSchedule, tenant: Tenant) -> Calendar:
    """Return when reports of a schedule are due.

    Raises:
        ConfigError: the tenant's time zone does not exist.
    """
    return Calendar(
        kind=PeriodKind(schedule.kind),
        timezone=tenant.timezone,
        at=schedule.at,
        after_days=schedule.after_days,
    )


def next_due(schedule: ReportSchedule, tenant: Tenant, now: dt.datetime) -> dt.datetime:
    """Return when the next report is due; in the past where one is overdue.

    Raises:
        ConfigError: the tenant's time zone does not exist.
    """
    calendar = calendar_of(schedule, tenant)
    if schedule.done_until is None:
        return calendar.due(calendar.latest(now))
    following = schedule.done_until + dt.timedelta(days=1)
    return calendar.due(period_of(calendar.kind, following))


def queue_due(*, now: dt.datetime, using: str = DEFAULT_DB_ALIAS) -> tuple[list[ReportRun], int]:
    """Queue what is due of all active tenants; return the reports, and how many schedules are broken."""
    queued: list[ReportRun] = []
    broken = 0
    rows = ReportSchedule.unscoped.using(using).filter(enabled=True, tenant__active=True)
    for schedule in rows.select_related("tenant").order_by("id"):
        try:
            with enter(schedule.tenant), transaction.atomic(using=using):
                queued += _queue(schedule, now, using)
        except ClaimkitError as error:
            # Isolation point: one tenant's broken schedule must not keep others from theirs.
            broken += 1
            logger.exception("schedule cannot be kept", extra={"schedule": schedule.uid})
            _tell_broken(schedule, error, now, using)
    return queued, broken


def _tell_broken(
    schedule: ReportSchedule, error: ClaimkitError, now: dt.datetime, using: str
) -> None:
    bus = make_bus(open_store(using))
    with bus.transaction(transaction.atomic(using=using)):
        bus.stage(
            ReportFailed(
                tenant=TenantKey(schedule.tenant.key),
                at=now,
                report=schedule.uid,
                kind=schedule.kind,
                first=now.date(),
                last=now.date(),
                reason=error.code,
            )
        )


def _queue(schedule: ReportSchedule, now: dt.datetime, using: str) -> list[ReportRun]:
    periods = _missed(schedule, now)
    if not periods:
        return []
    # Whoever moves the mark queues; others find it moved.
    moved = ReportSchedule.objects.using(using).filter(
        pk=schedule.pk, done_until=schedule.done_until
    )
    if not moved.update(done_until=periods[-1].last):
        return []
    asked = [
        ask_report(
            period,
            formats=schedule.formats,
            recipients=schedule.recipients,
            attach=schedule.attach,
            actor=f"schedule:{schedule.uid}",
            using=using,
        )
        for period in periods
    ]
    return [row for row, must_start in asked if must_start]


def _missed(schedule: ReportSchedule, now: dt.datetime) -> list[Period]:
    return missed(
        calendar_of(schedule, schedule.tenant),
        after=schedule.done_until,
        now=now,
        most=schedule.catch_up,
    )


def make_due(*, using: str = DEFAULT_DB_ALIAS, now: dt.datetime | None = None) -> Made:
    """Queue, make and mail everything that is due, in this thread; safe to run at once and again."""
    moment = now or timezone.now()
    _, died = dead_reports(ReportRun, using=using, now=moment)
    queued, broken = queue_due(now=moment, using=using)
    made = failed = 0
    waiting = ReportRun.unscoped.using(using).filter(status="queued", tenant__active=True)
    for key, uid in list(waiting.order_by("id").values_list("tenant__key", "uid")):
        try:
            made += run_report(TenantKey(key), uid, using=using) is not None
        except ClaimkitError:
            # Told by its row; the others are still to be made.
            failed += 1
            logger.warning("report failed", extra={"report": uid}, exc_info=True)
    return Made(
        queued=len(queued),
        made=made,
        failed=failed + died,
        mailed=send_due(using=using),
        broken=broken,
    )
