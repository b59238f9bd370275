"""Quiet claims as facts and as a cube, for tests of measures and detectors: change some, and look.

>>> from claimkit.testing.cubes import make_cube, make_facts
>>> cube = make_cube(make_facts(days=30))
>>> sorted(cube)
['decisions', 'inflow', 'measures', 'money', 'payments', 'slices']
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.tally import tally
from claimkit.events import ClaimFacts, FactsChange
from claimkit.types import day_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.drift.cube import Cells
    from claimkit.drift.measures import Measure

__all__ = ["FIRST_DAY", "GROUPS", "PAYERS", "make_cube", "make_facts"]

#: Submission of the first claims: a Monday.
FIRST_DAY = dt.date(2025, 1, 6)
PAYERS = ("ALBATROSS", "BITTERN", "CORMORANT", "DIPPER")
GROUPS = ("evaluation", "imaging", "laboratory", "surgery")
_REASONS = (("authorization_referral", "CO-197"), ("bundling", "CO-97"), ("eligibility", "CO-27"))
_FACILITIES = ("11", "22")


def make_facts(*, days: int = 420, per_day: int = 40, seed: int = 0) -> list[ClaimFacts]:
    """Return the facts of ``per_day`` claims a day that payers treat alike from first to last.

    A tenth is denied, decisions take about ten days and payments four, and three fifths of charges
    are allowed. The last claims are not decided or not paid by the end of the last day.
    """
    rng = np.random.default_rng([20260301, seed])
    count = days * per_day
    origin = day_of(FIRST_DAY)
    submitted = origin + np.sort(rng.integers(0, days, count))
    decided = submitted + np.maximum(1, rng.poisson(10, count))
    paid = decided + rng.poisson(4, count)
    payer = rng.choice(len(PAYERS), count, p=(0.4, 0.3, 0.2, 0.1))
    group, reason = rng.integers(0, len(GROUPS), count), rng.integers(0, len(_REASONS), count)
    facility = rng.integers(0, len(_FACILITIES), count)
    is_denied = rng.random(count) < 0.1
    charge = np.rint(np.exp(9.5 + 0.4 * rng.standard_normal(count))).astype(np.int64)
    allowed = np.rint(charge * (0.6 + 0.02 * rng.standard_normal(count))).astype(np.int64)
    end = origin + days
    rows = zip(
        *(one.tolist() for one in (submitted, decided, paid, payer, group, reason, facility)),
        *(one.tolist() for one in (is_denied, charge, allowed)),
        strict=True,
    )
    return [_facts(end, row) for row in rows]


def _facts(end: int, row: Sequence[int]) -> ClaimFacts:
    submitted, decided, paid, payer, group, reason, facility, is_denied, charge, allowed = row
    is_decided = decided < end
    is_paid = is_decided and not is_denied
    category, code = _REASONS[reason] if is_decided and is_denied else ("", "")
    return ClaimFacts(
        payer=PAYERS[payer],
        procedure_group=GROUPS[group],
        facility=_FACILITIES[facility],
        line_of_business="MC",
        submitted_day=submitted,
        decided_day=decided if is_decided else None,
        paid_day=paid if is_paid and paid < end else None,
        outcome="pending" if not is_decided else "denied" if is_denied else "paid",
        category=category,
        reason=code,
        charge=charge,
        allowed=allowed if is_paid else None,
        paid=allowed if is_paid else 0,
        first_pass=True,
    )


def make_cube(
    facts: Iterable[ClaimFacts],
    *,
    dimensions: Sequence[str] = (),
    measures: Sequence[Measure] = (),
) -> Mapping[str, Cells]:
    """Return the cube of claims: table name → cells."""
    changes = [FactsChange(None, one) for one in facts]
    return tally(changes, dimensions=dimensions, measures=measures)
