"""Claims as rows of a table: a page of those behind a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claimkit_django.claims.listing import AXES, choose_claims, names_of, outcome_word
from claimkit_django.dashboard.pages import listed
from claimkit_django.keysets import SortKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claimkit_django.claims.listing import Names
    from claimkit_django.claims.models import Claim
    from claimkit_django.dashboard.pages import DashboardPage

__all__ = ["shown_claims"]

_KEYS = (SortKey("listed_on", descending=True), SortKey("id", descending=True))
#: On a page that shows much else.
_ROWS = 10


def shown_claims(page: DashboardPage, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of claims, the latest decisions first; two queries, and one for new names."""
    found = listed(page.request, page.take_page(choose_claims(**asked), *_KEYS, size=_ROWS))
    names = names_of(page.tenant, found["rows"])
    return {**found, "rows": [_row(one, names) for one in found["rows"]]}


def _row(claim: Claim, names: Names) -> dict[str, Any]:
    named = {axis: names.get((axis, getattr(claim, axis)), "") for axis in AXES}
    return {**named, "claim": claim, "outcome": outcome_word(claim.outcome)}
