"""Which claims are behind a sum over first decisions, and in which row of which file each was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, Q, Sum

from claimkit.claims.model import EventKind, Outcome
from claimkit_django.claims.codes import EVENT_KINDS, OUTCOMES
from claimkit_django.claims.models import Claim, ClaimEvent, Dimension
from claimkit_django.claims.uids import claim_uid
from claimkit_django.runtime import ClaimBehind, ClaimsBehind

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from django.db.models import QuerySet

__all__ = ["Behind"]

#: What counts as paid, and what is no decision, as in :mod:`claimkit.drift.tally`; a test compares
#: them, for rooms do not import each other.
_PAID = tuple(OUTCOMES[one] for one in (Outcome.PAID, Outcome.ZERO_PAID, Outcome.PARTIAL))
_NO_DECISION = ("pended", "duplicate")
#: Label of denied claims without a category.
_UNMAPPED = "unmapped"
_MOST_UPLOADS = 100


class Behind:
    """The part ``behind`` of the store.

    Args:
        using: Alias of the database.
    """

    def __init__(self, using: str) -> None:
        self._using = using

    def rows(
        self,
        *,
        first: dt.date,
        last: dt.date,
        payers: Sequence[str],
        groups: Sequence[str],
        outcome: str,
        limit: int,
    ) -> ClaimsBehind:
        """Return the claims of the tenant in scope that a sum counts; six queries at most.

        Args:
            first: Earliest day of the first decision.
            last: Latest day.
            payers: Names, none: all; an empty name stands for claims without one.
            groups: Procedure groups, in the same way.
            outcome: ``paid``, ``denied``, a category of denials, or empty for every decision.
            limit: Most claims to return; sums and counts are over all.
        """
        rows = Claim.objects.using(self._using).filter(
            # A claim is listed under its latest decision or later: what the indexes have.
            listed_on__gte=first,
            first_decided_on__gte=first,
            first_decided_on__lte=last,
            first_pass=True,
        )
        if payers:
            rows = rows.filter(payer__in=self._codes("payer", payers))
        if groups:
            rows = rows.filter(procedure_group__in=self._codes("procedure_group", groups))
        rows = rows.filter(self._outcome(outcome)).order_by()
        sums = rows.aggregate(
            count=Count("id"),
            charge=Sum("charge", default=0),
            allowed=Sum("allowed", default=0),
            paid=Sum("paid", default=0),
        )
        by_upload = rows.values_list("upload").annotate(count=Count("id")).order_by("-count")
        uploads = list(by_upload[:_MOST_UPLOADS])
        found = list(rows.order_by("first_decided_on", "claim_key")[:limit])
        told = self._told(found)
        names = self._names(
            {code for code, _ in uploads}
            | {code for code, _ in told.values()}
            | {code for one in found for code in _codes_of(one)}
        )
        return ClaimsBehind(
            total=sums["count"],
            charge=sums["charge"],
            allowed=sums["allowed"],
            paid=sums["paid"],
            uploads=[(names.get(code, ""), count) for code, count in uploads],
            claims=[_claim(one, told.get(one.claim_key, (0, 0)), names) for one in found],
        )

    def _codes(self, axis: str, names: Sequence[str]) -> list[int]:
        """Return the codes of names; that of no name is 0, and one that never occurred has none."""
        known = Dimension.objects.using(self._using).filter(axis=axis, name__in=names)
        return [*known.values_list("code", flat=True), *([0] if "" in names else [])]

    def _outcome(self, outcome: str) -> Q:
        paid = Q(first_outcome__in=_PAID)
        if outcome == "paid":
            return paid
        denied = Q(first_outcome=OUTCOMES[Outcome.DENIED])
        if outcome in ("", "denied"):
            denied &= ~Q(first_category__in=self._codes("category", _NO_DECISION))
            return paid | denied if not outcome else denied
        unnamed = [0] if outcome == _UNMAPPED else []
        return denied & Q(first_category__in=[*self._codes("category", [outcome]), *unnamed])

    def _told(self, claims: Sequence[Claim]) -> Mapping[int, tuple[int, int]]:
        """Return upload and row of the statement that told each claim's first decision."""
        days = {one.claim_key: one.first_decided_on for one in claims}
        events: QuerySet[ClaimEvent] = ClaimEvent.objects.using(self._using).filter(
            claim_key__in=list(days), kind=EVENT_KINDS[EventKind.DECIDED]
        )
        found: dict[int, tuple[int, int]] = {}
        columns = ("claim_key", "decided_on", "paid_on", "upload", "position")
        for key, decided_on, paid_on, upload, position in events.order_by(
            "known_on", "position"
        ).values_list(*columns):
            if days[key] == (decided_on or paid_on):
                found.setdefault(key, (upload, position))
        return found

    def _names(self, codes: Iterable[int]) -> dict[int, str]:
        rows = Dimension.objects.using(self._using).filter(code__in=set(codes) - {0})
        return dict(rows.values_list("code", "name"))


def _codes_of(claim: Claim) -> tuple[int, ...]:
    return claim.payer, claim.procedure_group, claim.first_category


def _claim(claim: Claim, told: tuple[int, int], names: Mapping[int, str]) -> ClaimBehind:
    upload, position = told
    is_paid = claim.first_outcome in _PAID
    return ClaimBehind(
        uid=claim_uid(claim.claim_key),
        payer=names.get(claim.payer, ""),
        procedure_group=names.get(claim.procedure_group, ""),
        decided_on=claim.first_decided_on,  # type: ignore[arg-type]
        outcome="paid" if is_paid else names.get(claim.first_category, _UNMAPPED),
        charge=claim.charge,
        upload=names.get(upload, ""),
        row=position,
    )
