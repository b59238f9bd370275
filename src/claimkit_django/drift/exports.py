"""Findings for the reports room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claimkit.reports.exports import ExportColumn
from claimkit.reports.sources import FINDING_COLUMNS
from claimkit_django.drift.models import Finding

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from django.db.models import QuerySet

__all__ = ["FindingExport"]

_BATCH = 2_000


class FindingExport:
    """All findings with their life; a finding's day is the one that it is as of."""

    columns = (ExportColumn(name="uid", description="Identifier of the finding."), *FINDING_COLUMNS)

    def __init__(self, using: str) -> None:
        self._using = using

    def count(self, since: dt.date | None, until: dt.date | None) -> int:
        """Return how many findings there are."""
        return self._rows(since, until).count()

    def batches(
        self, names: Sequence[str], since: dt.date | None, until: dt.date | None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield findings in the order in which they were recorded."""
        after = 0
        while True:
            rows = self._rows(since, until).filter(id__gt=after).order_by("id")
            found = list(rows.values_list("id", *names)[:_BATCH])
            if found:
                ids, *columns = zip(*found, strict=True)
                after = ids[-1]
                yield [
                    [", ".join(one) for one in column] if name == "procedure_groups" else column
                    for name, column in zip(names, columns, strict=True)
                ]
            if len(found) < _BATCH:
                return

    def _rows(self, since: dt.date | None, until: dt.date | None) -> QuerySet[Finding]:
        rows: QuerySet[Finding] = Finding.objects.using(self._using).all()
        if since is not None:
            rows = rows.filter(as_of__gte=since)
        if until is not None:
            rows = rows.filter(as_of__lte=until)
        return rows
