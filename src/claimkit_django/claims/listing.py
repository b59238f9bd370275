"""Lists of claims: which, and the names behind their codes, a page at a time."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db.models import Count, Sum

from claimkit.claims.model import Outcome
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.models import Claim, Dimension

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from django.db.models import QuerySet

    from claimkit_django.tenants.models import Tenant

__all__ = ["AXES", "Names", "choose_claims", "count_remarks", "names_of", "outcome_word"]

#: (axis, code) → name.
Names: TypeAlias = "Mapping[tuple[str, int], str]"

#: Columns of a claim that hold codes into ``Dimension``; the axis has the same name.
AXES = (
    "payer",
    "procedure_code",
    "procedure_group",
    "facility",
    "line_of_business",
    "provider",
    "category",
    "reason",
    "remark",
)
_WORDS = {code: outcome.value for outcome, code in OUTCOMES.items()}


def outcome_word(code: int) -> str:
    """Return the word behind an outcome's code."""
    return _WORDS[code]


def choose_claims(
    *,
    decided_from: dt.date | str | None = None,
    decided_to: dt.date | str | None = None,
    outcome: str = "",
    **names: str,
) -> QuerySet[Claim]:
    """Return the claims of the tenant in scope that fit; none where a name never occurred.

    One query for the names, if there are any; the days include both ends.

    Args:
        decided_from: Decided on this day or later.
        decided_to: Decided on this day or earlier.
        outcome: The decision that stands now.
        names: Axis, such as ``payer``, and the exact name in it.
    """
    rows: QuerySet[Claim] = Claim.objects.all()
    if names:
        found = Dimension.objects.filter(axis__in=names, name__in=names.values())
        codes = {
            (axis, name): code for axis, name, code in found.values_list("axis", "name", "code")
        }
        rows = rows.filter(**{axis: codes.get((axis, name), -1) for axis, name in names.items()})
    # A decided claim is listed under its decision: the second condition is what the index has.
    if decided_from is not None:
        rows = rows.filter(decided_on__gte=decided_from, listed_on__gte=decided_from)
    if decided_to is not None:
        rows = rows.filter(decided_on__lte=decided_to, listed_on__lte=decided_to)
    return rows.filter(outcome=OUTCOMES[Outcome(outcome)]) if outcome else rows


def count_remarks(claims: QuerySet[Claim], *, latest: int) -> list[tuple[str, int, int]]:
    """Return how many of the ``latest`` claims have each remark, and their charge in cents.

    Two queries. Bounded, so that it costs the same however many claims are behind a finding.
    """
    newest = claims.order_by("-listed_on", "-id").values("pk")[:latest]
    rows = Claim.objects.filter(pk__in=newest).order_by().values("remark")
    found = list(rows.annotate(claims=Count("pk"), billed=Sum("charge")))
    names = Dimension.objects.filter(axis="remark", code__in=[row["remark"] for row in found])
    words = dict(names.values_list("code", "name"))
    return [(words.get(row["remark"], ""), row["claims"], row["billed"]) for row in found]


def names_of(tenant: Tenant, rows: Iterable[Any]) -> Names:
    """Return the names of all codes in ``rows``; one query for those not seen before."""
    known = _seen_names(tenant._state.db, tenant.pk, tenant.created_at)
    wanted = {(axis, code) for row in rows for axis in AXES if (code := getattr(row, axis))}
    missing = {code for axis, code in wanted if (axis, code) not in known}
    if missing:
        found = Dimension.objects.filter(code__in=missing).values_list("axis", "code", "name")
        known.update({(axis, code): name for axis, code, name in found})
    return known


@functools.lru_cache(maxsize=64)
def _seen_names(_using: str | None, _tenant_id: int, _since: dt.datetime) -> dict[Any, str]:
    """Return the names that this process has seen of a tenant: a code never changes its name."""
    return {}
