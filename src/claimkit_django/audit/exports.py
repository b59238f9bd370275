"""The audit trail for the reports room; for admins, who alone may read it."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from claimkit.reports.exports import ExportColumn, ExportKind
from claimkit.tenants import Role
from claimkit_django.audit.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import QuerySet

__all__ = ["AuditExport"]

_BATCH = 5_000


def _of(name: str, description: str, kind: ExportKind = ExportKind.TEXT) -> ExportColumn:
    return ExportColumn(name=name, kind=kind, description=description, least_role=Role.ADMIN)


class AuditExport:
    """Who did what; an entry's day is the one on which it was done, in UTC."""

    columns = (
        _of("uid", "Identifier of the entry."),
        _of("at", "When it was done.", ExportKind.INSTANT),
        _of("actor", "Who did it, such as user:4711."),
        _of("via", "What they signed in with."),
        _of("network", "Network that they came from."),
        _of("request_id", "The request that it was done in."),
        _of("action", "What was done, such as api_token.made."),
        _of("target", "What it was done to."),
        _of("changes", "Fields with their value before and after, as JSON."),
    )

    def __init__(self, using: str) -> None:
        self._using = using

    def count(self, since: dt.date | None, until: dt.date | None) -> int:
        """Return how many entries there are."""
        return self._rows(since, until).count()

    def batches(
        self, names: Sequence[str], since: dt.date | None, until: dt.date | None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield entries in the order in which they were written."""
        after = 0
        while True:
            rows = self._rows(since, until).filter(id__gt=after).order_by("id")
            found = list(rows.values_list("id", *names)[:_BATCH])
            if found:
                ids, *columns = zip(*found, strict=True)
                after = ids[-1]
                yield [
                    [json.dumps(one, sort_keys=True) for one in column]
                    if name == "changes"
                    else column
                    for name, column in zip(names, columns, strict=True)
                ]
            if len(found) < _BATCH:
                return

    def _rows(self, since: dt.date | None, until: dt.date | None) -> QuerySet[AuditEntry]:
        rows: QuerySet[AuditEntry] = AuditEntry.objects.using(self._using).all()
        if since is not None:
            rows = rows.filter(at__gte=_midnight(since))
        if until is not None:
            rows = rows.filter(at__lt=_midnight(until + dt.timedelta(days=1)))
        return rows


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
