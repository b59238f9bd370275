"""Alerts for the reports room: rows to export, and what became of alerts in a period."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q, Sum

from claimkit.alerts.judgments import Verdict
from claimkit.alerts.policy import Action
from claimkit.reports.exports import ExportColumn, ExportKind
from claimkit.reports.period import AlertSummary
from claimkit_django.alerts.models import Alert, AlertEntry, Judgment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import QuerySet

    from claimkit.reports.periods import Period

__all__ = ["AlertExport", "report_parts"]

_BATCH = 5_000


def _of(kind: ExportKind, name: str, description: str) -> ExportColumn:
    return ExportColumn(name=name, kind=kind, description=description)


class AlertExport:
    """All alerts; an alert's day is the one on which it was opened, in UTC."""

    columns = (
        _of(ExportKind.TEXT, "uid", "Identifier of the alert."),
        _of(ExportKind.TEXT, "state", "open, acknowledged or resolved."),
        _of(ExportKind.TEXT, "severity", "low, medium, high or critical."),
        _of(ExportKind.TEXT, "kind", "What it is about, such as denial_rate."),
        _of(ExportKind.TEXT, "payer", "Normalized name."),
        _of(ExportKind.TEXT, "summary", "In one sentence."),
        _of(ExportKind.DATE, "onset", "Since when."),
        _of(ExportKind.MONEY, "dollars_per_month", "At risk."),
        _of(ExportKind.INSTANT, "opened_at", "When it was opened."),
        _of(ExportKind.INSTANT, "seen_at", "When it was last heard of."),
        _of(ExportKind.INSTANT, "resolved_at", "When it was over."),
        _of(ExportKind.INTEGER, "count", "How often it was heard of."),
        _of(ExportKind.INTEGER, "episode", "How often it was opened."),
        _of(ExportKind.TEXT, "assignee", "Who deals with it."),
        _of(ExportKind.DATE, "due_on", "Until when."),
    )

    def __init__(self, using: str) -> None:
        self._using = using

    def count(self, since: dt.date | None, until: dt.date | None) -> int:
        """Return how many alerts there are."""
        return self._rows(since, until).count()

    def batches(
        self, names: Sequence[str], since: dt.date | None, until: dt.date | None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield alerts in the order in which they were first opened."""
        after = 0
        while True:
            rows = self._rows(since, until).filter(id__gt=after).order_by("id")
            found = list(rows.values_list("id", *names)[:_BATCH])
            if found:
                ids, *columns = zip(*found, strict=True)
                after = ids[-1]
                yield columns
            if len(found) < _BATCH:
                return

    def _rows(self, since: dt.date | None, until: dt.date | None) -> QuerySet[Alert]:
        rows: QuerySet[Alert] = Alert.objects.using(self._using).all()
        if since is not None:
            rows = rows.filter(opened_at__gte=_midnight(since))
        if until is not None:
            rows = rows.filter(opened_at__lt=_midnight(until + dt.timedelta(days=1)))
        return rows


def report_parts(period: Period, using: str) -> dict[str, Any]:
    """Return what became of alerts in a period; four queries."""
    since, until = _midnight(period.first), _midnight(period.last + dt.timedelta(days=1))
    alerts = Alert.objects.using(using).aggregate(
        opened=Count("id", filter=Q(opened_at__gte=since, opened_at__lt=until)),
        resolved=Count("id", filter=Q(resolved_at__gte=since, resolved_at__lt=until)),
    )
    muted = (
        AlertEntry.objects.using(using)
        .filter(what=Action.MUTE.value, at__gte=since, at__lt=until)
        .order_by()
        .values_list("reason")
        .annotate(count=Count("id"))
    )
    judged = Judgment.objects.using(using)
    verdicts = judged.filter(judged_at__gte=since, judged_at__lt=until).aggregate(
        real=Count("id", filter=Q(verdict=Verdict.REAL.value)),
        noise=Count("id", filter=Q(verdict=Verdict.NOISE.value)),
    )
    recovered = judged.filter(recovered_on__gte=period.first, recovered_on__lte=period.last)
    summary = AlertSummary(
        opened=alerts["opened"],
        resolved=alerts["resolved"],
        muted=tuple(sorted(muted)),
        judged_real=verdicts["real"],
        judged_noise=verdicts["noise"],
        recovered=recovered.aggregate(total=Sum("recovered", default=0))["total"],
    )
    return {"alerts": summary}


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
