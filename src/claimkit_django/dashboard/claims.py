"""Claims as rows of a table: a page of those behind a finding, and what payers remarked on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claimkit.claims.remarks import RemarkTable, share_remarks
from claimkit_django.claims.listing import (
    AXES,
    choose_claims,
    count_remarks,
    names_of,
    outcome_word,
)
from claimkit_django.dashboard.pages import listed
from claimkit_django.keysets import SortKey
from claimkit_django.runtime import plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claimkit_django.claims.listing import Names
    from claimkit_django.claims.models import Claim
    from claimkit_django.dashboard.pages import DashboardPage

__all__ = ["shown_claims", "shown_remarks"]

_KEYS = (SortKey("listed_on", descending=True), SortKey("id", descending=True))
#: On a page that shows much else.
_ROWS = 10
#: Claims whose remarks are counted, the latest decisions.
_REMARKED = 2_000


def shown_claims(page: DashboardPage, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of claims, the latest decisions first; two queries, and one for new names."""
    found = listed(page.request, page.take_page(choose_claims(**asked), *_KEYS, size=_ROWS))
    names = names_of(page.tenant, found["rows"])
    return {**found, "rows": [_row(one, names) for one in found["rows"]]}


def shown_remarks(asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what payers remarked on the latest of these claims; three queries, empty without a remark."""
    table = RemarkTable(plugins().remark_codes.values())
    shares = share_remarks(count_remarks(choose_claims(**asked), latest=_REMARKED), table)
    if not any(one.code for one in shares):
        return {}
    return {"rows": shares, "knows": len(table) > 0, "latest": _REMARKED}


def _row(claim: Claim, names: Names) -> dict[str, Any]:
    named = {axis: names.get((axis, getattr(claim, axis)), "") for axis in AXES}
    return {**named, "claim": claim, "outcome": outcome_word(claim.outcome)}
