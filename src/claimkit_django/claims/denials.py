"""Which claims a payer denied, for letters about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.claims.model import Outcome
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.models import Claim, Dimension
from claimkit_django.runtime import DeniedClaim

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

__all__ = ["Denials"]


class Denials:
    """The part ``denials`` of the store.

    Args:
        using: Alias of the database.
    """

    def __init__(self, using: str) -> None:
        self._using = using

    def rows(
        self, *, payer: str, groups: Sequence[str], since: dt.date, limit: int
    ) -> list[DeniedClaim]:
        """Return claims of the tenant in scope that stand denied, the dearest first; two queries.

        Args:
            payer: Normalized name.
            groups: Procedure groups; none: all.
            since: First day of the decisions.
            limit: Most claims to return.
        """
        names = Dimension.objects.using(self._using)
        asked = Claim.objects.using(self._using).filter(
            payer__in=names.filter(axis="payer", name=payer).values("code"),
            outcome=OUTCOMES[Outcome.DENIED],
            decided_on__gte=since,
            listed_on__gte=since,
        )
        if groups:
            found = names.filter(axis="procedure_group", name__in=list(groups))
            asked = asked.filter(procedure_group__in=found.values("code"))
        rows = list(asked.order_by("-charge", "claim_key")[:limit])
        reasons = dict(
            names.filter(axis="reason", code__in={one.reason for one in rows}).values_list(
                "code", "name"
            )
        )
        return [
            DeniedClaim(
                number=one.patient_control_number,
                payer_number=one.payer_claim_control_number,
                service_on=one.service_from,
                decided_on=one.decided_on,
                reason=reasons.get(one.reason, ""),
                charge=one.charge,
            )
            for one in rows
        ]
