"""Runs of reports: compose one period, render each format, publish all of them or none.

The story: :func:`ask_report` makes the row of a period, or takes the one that is there;
:func:`run_report` takes a queued row, composes (:func:`claimkit.reports.period.compose_period`),
renders into the site's storage, and then in one transaction replaces the files, says what is
different from the period before, and tells ``reports.ready``. What rooms add to a report they name
in ``AppConfig.report_parts``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import tempfile
import time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.core.files import File
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string

from claimkit.drift.cube import DECISIONS
from claimkit.drift.power import watched_payers
from claimkit.drift.wording import date_words
from claimkit.errors import ClaimkitError, StoreError, UnknownName
from claimkit.events import ReportEnded, ReportFailed, ReportReady
from claimkit.reports.comparison import EarlierReport, came, went
from claimkit.reports.document import as_plain
from claimkit.reports.period import compose_period
from claimkit.reports.periods import Period, PeriodKind, period_before
from claimkit.tenants import use_tenant
from claimkit.types import SystemClock, TenantKey, day_of
from claimkit_django.conf import config
from claimkit_django.reports.models import ReportFile, ReportMail, ReportRun
from claimkit_django.runtime import make_bus, open_store, plugins
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import Model

    from claimkit.events import Event
    from claimkit.reports.document import Report
    from claimkit.types import Clock
    from claimkit_django.runtime import OrmStore

__all__ = [
    "ask_report",
    "check_formats",
    "dead_reports",
    "mark_failed",
    "period_of_run",
    "run_report",
    "tell_end",
]

logger = logging.getLogger(__name__)

#: Days before a period that say how well each payer is watched.
_WATCHED_DAYS = 400
#: A run that dies this often is not made again by itself.
_MOST_ATTEMPTS = 3


def check_formats(names: Sequence[str]) -> list[str]:
    """Return names of renderers, each once.

    Raises:
        UnknownName: nobody registered such a renderer.
    """
    known = plugins().renderers
    for name in names:
        if name not in known:
            raise UnknownName.of("report format", name, known)
    return list(dict.fromkeys(names))


def ask_report(
    period: Period,
    *,
    formats: Sequence[str],
    recipients: Sequence[str] = (),
    attach: bool = True,
    actor: str = "",
    using: str = DEFAULT_DB_ALIAS,
) -> tuple[ReportRun, bool]:
    """Queue the report of a period of the tenant in scope; return its row, and whether to start it.

    A report that is queued or running is left alone: it will be made. One that was made is made
    again, under the same identifier; until then its files stay.

    Raises:
        UnknownName: nobody registered such a renderer.
    """
    wanted = check_formats(formats)
    rows = ReportRun.objects.using(using)
    row, is_new = rows.get_or_create(
        kind=period.kind.value,
        first=period.first,
        last=period.last,
        defaults={
            "formats": wanted,
            "recipients": list(recipients),
            "attach": attach,
            "actor": actor,
        },
    )
    if is_new:
        return row, True
    ended = rows.filter(pk=row.pk, status__in=["success", "failed"])
    again = ended.update(
        status=ReportRun.Status.QUEUED,
        formats=wanted,
        recipients=list(recipients) or row.recipients,
        attach=attach,
        actor=actor,
        attempts=0,
        error_code="",
        error_message="",
        heartbeat_at=timezone.now(),
        finished_at=None,
    )
    row.refresh_from_db()
    return row, bool(again)


def period_of_run(row: ReportRun) -> Period:
    """Return the period that a run is about."""
    return Period(kind=PeriodKind(row.kind), first=row.first, last=row.last)


def run_report(
    tenant: TenantKey, uid: str, *, using: str = DEFAULT_DB_ALIAS, clock: Clock | None = None
) -> ReportRun | None:
    """Make one queued report; None if another worker has taken it.

    Raises:
        ClaimkitError: it cannot be made; the row says why, and files that were there stay.
    """
    with use_tenant(tenant):
        rows = ReportRun.objects.using(using)
        taken = rows.filter(uid=uid, status=ReportRun.Status.QUEUED).update(
            status=ReportRun.Status.RUNNING,
            heartbeat_at=timezone.now(),
            attempts=F("attempts") + 1,
        )
        if not taken:
            return None
        row: ReportRun = rows.get(uid=uid)
        made: list[ReportFile] = []
        began = time.monotonic()
        try:
            report = _compose(row, tenant, open_store(using), clock or SystemClock())
            for name in row.formats:
                made.append(_render(row, name, report, using))
                rows.filter(pk=row.pk).update(heartbeat_at=timezone.now())
            _publish(row, report, made, tenant, using)
        except Exception as error:
            # Isolation point: the row must not say "running" for ever. Told on, of course.
            _forget(made)
            mark_failed(row, using, error, told=failed_event(row, tenant, error))
            tell_end(tenant, "report", "failed", time.monotonic() - began, using)
            raise
        tell_end(tenant, "report", "success", time.monotonic() - began, using)
    return row


def tell_end(tenant: TenantKey, kind: str, status: str, seconds: float, using: str) -> None:
    """Tell those who count that a run of a report or of an export ended."""
    bus = make_bus(open_store(using))
    with bus.transaction():
        bus.stage(
            ReportEnded(tenant=tenant, at=timezone.now(), kind=kind, status=status, seconds=seconds)
        )


def failed_event(row: ReportRun, tenant: TenantKey, error: Exception) -> ReportFailed:
    """Return the event that tells that a report could not be made."""
    return ReportFailed(
        tenant=tenant,
        at=timezone.now(),
        report=row.uid,
        kind=row.kind,
        first=row.first,
        last=row.last,
        reason=_code_of(error),
    )


def dead_reports(model: type[ReportRun], *, using: str, now: dt.datetime) -> tuple[int, int]:
    """Queue reports of all tenants again whose run died; those that died too often have failed.

    Returns how many were queued, and how many failed.
    """
    silent = now - dt.timedelta(minutes=config().reports.dead_after_minutes)
    dead = model.unscoped.using(using).filter(status="running", heartbeat_at__lt=silent)
    died = StoreError(
        "the run stopped without a word, three times", remedy="Start it again", code="run_died"
    )
    failed = 0
    for row in dead.filter(attempts__gte=_MOST_ATTEMPTS).select_related("tenant"):
        with enter(row.tenant):
            told = failed_event(row, TenantKey(row.tenant.key), died)
            failed += mark_failed(row, using, died, told=told)
    queued = dead.filter(attempts__lt=_MOST_ATTEMPTS).update(status="queued", heartbeat_at=now)
    return queued, failed


# -- making -----------------------------------------------------------------------------------


def _compose(row: ReportRun, tenant: TenantKey, store: OrmStore, clock: Clock) -> Report:
    period, now = period_of_run(row), clock.now()
    before = period_before(period)
    owner = Tenant.objects.using(store.using).get(key=tenant)
    today = _today(owner, now)
    since = min(day_of(before.first), day_of(period.last) - _WATCHED_DAYS)
    decisions = store.cube.read(tenant, DECISIONS, since=since, until=day_of(period.last) + 1)
    other = _run_before(row, store.using)
    return compose_period(
        tenant_name=owner.name,
        period=period,
        findings=store.findings.all(tenant),
        decisions=decisions,
        payers=watched_payers(decisions, as_of=min(period.last, today), config=config().drift),
        generated_at=now,
        earlier=_remembered(other) if other else None,
        today=today,
        config=config().reports,
        **_parts(period, store.using),
    )


def _today(owner: Tenant, now: dt.datetime) -> dt.date:
    """Return the tenant's day, in UTC where its time zone does not exist: a report is still made."""
    try:
        return now.astimezone(ZoneInfo(owner.timezone)).date()
    except (KeyError, ValueError, OSError):
        return now.date()


def _run_before(row: ReportRun, using: str) -> ReportRun | None:
    """Return the run of the period before, if it was made."""
    before = period_before(period_of_run(row))
    rows = ReportRun.objects.using(using).filter(kind=row.kind, status="success")
    found: ReportRun | None = rows.filter(first=before.first, last=before.last).first()
    return found


def _remembered(run: ReportRun) -> EarlierReport:
    words, up_to = period_of_run(run).words, run.changes.get("up_to")
    return EarlierReport(
        words=f"{words}, up to {date_words(dt.date.fromisoformat(up_to))}" if up_to else words,
        figures=run.changes.get("figures", {}),
        findings=run.changes.get("findings", {}),
    )


def _parts(period: Period, using: str) -> dict[str, Any]:
    """Return what installed rooms add to the report of a period."""
    found: dict[str, Any] = {}
    for app in apps.get_app_configs():
        path: str = getattr(app, "report_parts", "")
        if path:
            found |= import_string(path)(period, using)
    return found


def _render(row: ReportRun, name: str, report: Report, using: str) -> ReportFile:
    """Render one format into the storage; its row is not saved yet.

    Raises:
        StoreError: the renderer failed, or the storage takes no file.
    """
    renderer = plugins().renderers.get(name)
    if renderer is None:
        raise UnknownName.of("report format", name, plugins().renderers)
    with tempfile.TemporaryFile() as out:
        try:
            renderer.render(report, out)
        except ClaimkitError:
            raise
        except Exception as error:
            # Isolation point: a renderer may be anybody's.
            raise StoreError(
                f"the renderer {name} failed with {type(error).__name__}",
                remedy="Ask for other formats, or tell the author of its plugin",
                code="renderer_failed",
            ) from error
        size = out.tell()
        out.seek(0)
        digest = hashlib.file_digest(out, "sha256").hexdigest()
        out.seek(0)
        made = ReportFile(
            run=row, renderer=name, media_type=renderer.media_type, bytes=size, sha256=digest
        )
        made._state.db = using
        save_file(made, f"report.{renderer.extension}", File(out))
    return made


def save_file(row: Any, name: str, file: File[Any]) -> None:
    """Put a file into the storage of ``row.file``, without saving the row.

    Raises:
        StoreError: the storage takes no file, such as when it is full.
    """
    try:
        row.file.save(name, file, save=False)
    except OSError as error:
        raise StoreError(
            f"the site's storage took no file: {error.strerror or type(error).__name__}",
            remedy="Make room or mend it, then start again",
            code="storage_failed",
        ) from error


def _publish(
    row: ReportRun, report: Report, made: list[ReportFile], tenant: TenantKey, using: str
) -> None:
    """Replace the files, tell that the report is ready, and queue its mails: all at once."""
    store = open_store(using)
    bus = make_bus(store)
    now = timezone.now()
    with bus.transaction(store.atomic()):
        mine = ReportRun.objects.using(using).select_for_update().get(pk=row.pk)
        if mine.status != ReportRun.Status.RUNNING or mine.attempts != row.attempts:
            raise StoreError(
                "another worker took this report over", remedy="Look at it again in a minute"
            )
        old = list(ReportFile.objects.using(using).filter(run=row))
        ReportFile.objects.using(using).filter(run=row).delete()
        for one in made:
            one.save(using=using)
        row.status = ReportRun.Status.SUCCESS
        row.headline = report.headline
        row.content_hash = report.content_hash
        row.changes = _changes(row, report, using)
        row.heartbeat_at = row.finished_at = now
        row.save(using=using)
        _queue_mails(row, now, using)
        bus.stage(
            ReportReady(
                tenant=tenant,
                at=now,
                report=row.uid,
                kind=row.kind,
                first=row.first,
                last=row.last,
                headline=report.headline,
            )
        )
        transaction.on_commit(lambda: _forget(old), using=using)


def _queue_mails(row: ReportRun, now: dt.datetime, using: str) -> None:
    """Mail the report to everybody who has not got it yet; a report made again is not sent twice."""
    known = set(ReportMail.objects.using(using).filter(run=row).values_list("address", flat=True))
    ReportMail.objects.using(using).bulk_create(
        [
            ReportMail(run=row, address=address, due_at=now)
            for address in dict.fromkeys(row.recipients)
            if address not in known
        ]
    )


def _changes(row: ReportRun, report: Report, using: str) -> dict[str, Any]:
    """Return what is different from the report of the period before, where there is one."""
    other = _run_before(row, using)
    earlier = _remembered(other) if other else EarlierReport(words="")
    return {
        "findings": {one.fingerprint: one.summary for one in report.findings},
        "figures": {one.label: one.value for one in report.key_figures},
        "kinds": {one.label: one.kind.value for one in report.key_figures},
        "compared_with": other.uid if other else "",
        "came": came(report.findings, earlier) if other else [],
        "went": went(report.findings, earlier),
        "figures_before": dict(earlier.figures),
        # Day up to which it tells, where the period had not ended.
        "up_to": report.as_of.isoformat() if report.as_of < row.last else None,
        "numbers": as_plain(report.traces),
    }


def _forget(files: Iterable[ReportFile]) -> None:
    """Remove files from the storage; one that stays is lost space and no lost report."""
    for one in files:
        if one.file:
            try:
                one.file.delete(save=False)
            except OSError:
                logger.warning("a file of a report could not be removed", exc_info=True)


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, ClaimkitError) else "internal_error"


def mark_failed(row: Model, using: str, error: Exception, *, told: Event | None = None) -> bool:
    """Write down why a run of reports or exports failed, if it is still the run of this worker.

    Args:
        row: The run, in its tenant's scope.
        using: Alias of the database.
        error: Why it failed.
        told: What is told in the same transaction.

    Returns:
        Whether it was written down.
    """
    known = isinstance(error, ClaimkitError)
    connection = connections[using]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    elif connection.needs_rollback:
        return False
    rows: Any = type(row)._default_manager
    bus = make_bus(open_store(using))
    try:
        with bus.transaction(transaction.atomic(using=using)):
            is_mine = (
                rows.using(using)
                .filter(
                    pk=row.pk,
                    status="running",
                    attempts=row.attempts,  # type: ignore[attr-defined]
                )
                .update(
                    status="failed",
                    finished_at=timezone.now(),
                    error_code=_code_of(error),
                    error_message=str(error) if known else "something unexpected stopped the run",
                )
            )
            if is_mine and told is not None:
                bus.stage(told)
    except DatabaseError:
        logger.exception("run could not be marked as failed")
        return False
    return bool(is_mine)
