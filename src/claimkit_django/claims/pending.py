"""Which claims of a file wait for their payers, for those who say how they will be decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit_django.claims.models import Claim, Dimension, Upload
from claimkit_django.claims.uids import claim_uid
from claimkit_django.runtime import PendingClaim

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator, Sequence

__all__ = ["PendingClaims"]

#: Claims that are read at a time.
_BATCH = 500
_AXES = ("payer", "procedure_group")


class PendingClaims:
    """The part ``pending`` of the store.

    Args:
        using: Alias of the database.
    """

    def __init__(self, using: str) -> None:
        self._using = using

    def of_upload(
        self, upload: str, *, sources: Collection[str]
    ) -> tuple[dt.datetime, Iterator[Sequence[PendingClaim]]] | None:
        """Return when a file of the tenant in scope came in, and batches of its claims without a decision.

        Claims that another file has told of since are left to that one. Two queries, and two per batch.

        Args:
            upload: Public identifier of the file.
            sources: Where it came from; None is returned for other files.
        """
        files = Upload.objects.using(self._using).filter(uid=upload, source__in=list(sources))
        came = files.values_list("created_at", flat=True).first()
        if came is None:
            return None
        axes = Dimension.objects.using(self._using).filter(axis="upload", name=upload)
        code = axes.values_list("code", flat=True).first()
        return came, iter(()) if code is None else self._batches(code)

    def _batches(self, upload: int) -> Iterator[Sequence[PendingClaim]]:
        claims = Claim.objects.using(self._using).filter(upload=upload, has_decision=False)
        after = 0
        while rows := list(claims.filter(id__gt=after).order_by("id")[:_BATCH]):
            after = rows[-1].pk
            yield self._named(rows)

    def _named(self, rows: Sequence[Claim]) -> list[PendingClaim]:
        codes = {code for one in rows for code in (one.payer, one.procedure_group)}
        names = {
            (axis, code): name
            for axis, code, name in Dimension.objects.using(self._using)
            .filter(axis__in=_AXES, code__in=codes)
            .values_list("axis", "code", "name")
        }
        return [
            PendingClaim(
                uid=claim_uid(one.claim_key),
                payer=names.get(("payer", one.payer), ""),
                procedure_group=names.get(("procedure_group", one.procedure_group), ""),
                authorized=bool(one.authorization_number),
                charge=one.charge,
            )
            for one in rows
        ]
