"""Claims for the reports room: what can be exported, and which files a period brought."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from claimkit.reports.exports import ExportColumn
from claimkit.reports.sections import FileSummary
from claimkit.reports.sources import CLAIM_COLUMNS
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.models import Claim, Dimension, Upload
from claimkit_django.claims.uids import claim_uid

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from django.db.models import QuerySet

    from claimkit.reports.periods import Period

__all__ = ["ClaimExport", "report_parts"]

_BATCH = 5_000
_MOST_FILES = 50


_NAMED = (
    *("payer", "procedure_code", "procedure_group", "facility", "line_of_business", "provider"),
    *("category", "reason", "remark", "first_category", "first_reason"),
)
_OUTCOME_COLUMNS = ("outcome", "first_outcome")
_OUTCOME_NAMES = {code: outcome.value for outcome, code in OUTCOMES.items()}


class ClaimExport:
    """What is known of each claim now; a claim's day is the one that lists are ordered by."""

    columns = (
        ExportColumn(name="uid", description="Identifier of the claim."),
        *CLAIM_COLUMNS,
    )

    def __init__(self, using: str) -> None:
        self._using = using

    def count(self, since: dt.date | None, until: dt.date | None) -> int:
        """Return how many claims there are."""
        return self._rows(since, until).count()

    def batches(
        self, names: Sequence[str], since: dt.date | None, until: dt.date | None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield claims by their key, in constant memory; one query a batch."""
        dimensions: dict[int, str] = {0: ""}
        fields = ["claim_key", *("claim_key" if one == "uid" else one for one in names)]
        after: int | None = None
        while True:
            rows = self._rows(since, until)
            if after is not None:
                rows = rows.filter(claim_key__gt=after)
            found = list(rows.order_by("claim_key").values_list(*fields)[:_BATCH])
            if found:
                after = found[-1][0]
                # Not zip(*found): an iterator per row keeps the garbage collector busy.
                yield [
                    self._column(name, list(map(itemgetter(at), found)), dimensions)
                    for at, name in enumerate(names, start=1)
                ]
            if len(found) < _BATCH:
                return

    def _rows(self, since: dt.date | None, until: dt.date | None) -> QuerySet[Claim]:
        rows: QuerySet[Claim] = Claim.objects.using(self._using).all()
        if since is not None:
            rows = rows.filter(listed_on__gte=since)
        if until is not None:
            rows = rows.filter(listed_on__lte=until)
        return rows

    def _column(
        self, name: str, column: Sequence[Any], dimensions: dict[int, str]
    ) -> Sequence[Any]:
        if name == "uid":
            return list(map(claim_uid, column))
        if name in _OUTCOME_COLUMNS:
            return list(map(_OUTCOME_NAMES.__getitem__, column))
        if name in _NAMED:
            # Codes never change their names, so what is known stays true; one query for the rest.
            missing = set(column) - dimensions.keys()
            if missing:
                found = Dimension.objects.using(self._using).filter(code__gt=max(dimensions))
                dimensions.update(found.values_list("code", "name"))
            name_of: Callable[[int], str] = dimensions.__getitem__
            return list(map(name_of, column))
        return column


def report_parts(period: Period, using: str) -> dict[str, Any]:
    """Return the files that came in a period, the latest first."""
    uploads = Upload.objects.using(using).filter(
        created_at__date__gte=period.first,
        created_at__date__lte=period.last,
        status__in=["success", "partial"],
    )
    files = [
        FileSummary(
            name=one.name,
            claims=one.claims_new + one.claims_changed + one.claims_same,
            rejected=one.rows_rejected,
            upload=one.uid,
            notices=tuple((issue["code"], 1) for issue in one.quality.get("issues", ())),
        )
        for one in uploads.order_by("-created_at", "-id")[:_MOST_FILES]
    ]
    return {"files": files}
