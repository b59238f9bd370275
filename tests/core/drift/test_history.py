from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from claimkit.drift.history import (
    OTHER_CATEGORIES,
    OTHER_GROUPS,
    UNKNOWN_BAND,
    make_history,
)
from claimkit.drift.tally import tally
from claimkit.events import ClaimFacts, FactsChange
from claimkit.types import day_of

TODAY = day_of(dt.date(2026, 3, 20))


def facts(count, *, ago=10, lag=14, payer="MERIDIAN", group="imaging", **values):
    decided = TODAY - ago
    fields = {
        "payer": payer,
        "procedure_group": group,
        "facility": "",
        "line_of_business": "",
        "submitted_day": decided - lag,
        "decided_day": decided,
        "paid_day": None,
        "outcome": "paid",
        "category": "",
        "reason": "",
        "charge": 40_000,
        "allowed": 20_000,
        "paid": 18_000,
        "first_pass": True,
    }
    return [ClaimFacts(**{**fields, **values})] * count


def denied(count, category, **values):
    return facts(count, outcome="denied", category=category, reason="CO-16", **values)


def history(*batches, as_of=TODAY):
    changes = [FactsChange(None, one) for batch in batches for one in batch]
    return make_history(tally(changes), as_of=as_of)


def names(found):
    return [
        (found.payers[payer], found.groups[group])
        for payer, group in zip(found.cell_payer.tolist(), found.cell_group.tolist(), strict=True)
    ]


def test_payers_without_the_volume_to_say_anything_are_left_out():
    found = history(facts(30), facts(29, payer="SPIP"))

    assert found.payers == ("MERIDIAN",)
    assert found.decided.claims.sum() == 30
    assert history(facts(29), facts(29, payer="SPIP")) is None


def test_small_groups_of_a_payer_are_folded_into_one():
    found = history(
        facts(40),
        facts(20, group="lab"),
        facts(10, group="surgery"),
        facts(50, payer="SPIP", group="lab"),
    )

    assert names(found) == [
        ("MERIDIAN", "imaging"),
        ("MERIDIAN", OTHER_GROUPS),
        ("SPIP", "lab"),
    ]
    by_cell = np.bincount(found.decided.cell, found.decided.claims, found.cells)
    assert by_cell.tolist() == [40, 30, 50]
    assert found.by_payer(by_cell).tolist() == [70, 50]
    assert [found.cells_of(0), found.cells_of(1)] == [slice(0, 2), slice(2, 3)]


def test_rare_reasons_are_folded_and_paid_claims_have_none():
    found = history(
        facts(100), denied(990, "bundling"), denied(9, "appeal"), denied(1, "duplicates")
    )

    assert found.categories == ("appeal", "bundling", OTHER_CATEGORIES)
    counts = np.bincount(found.decided.reason + 1, found.decided.claims, 4)
    assert counts.tolist() == [100, 9, 990, 1]


def test_no_more_than_twelve_reasons_are_told_apart():
    found = history(*(denied(30 + n, f"reason_{n:02d}") for n in range(15)))

    assert found.categories == (*(f"reason_{n:02d}" for n in range(3, 15)), OTHER_CATEGORIES)
    assert found.decided.claims[found.decided.reason == 12].sum() == 30 + 31 + 32


@pytest.mark.parametrize(
    ("lag", "band"), [(0, 0), (4, 0), (5, 1), (8, 1), (9, 2), (29, 5), (30, 6), (44, 6), (45, 7), (500, 7)]
)  # fmt: skip
def test_decisions_are_in_the_band_of_their_age(lag, band):
    assert set(history(facts(30, lag=lag)).decided.band.tolist()) == {band}


def test_an_unknown_submission_has_a_band_of_its_own():
    found = history(facts(40, submitted_day=None))

    assert set(found.decided.band.tolist()) == {UNKNOWN_BAND}
    assert found.inflow.sum() == 0


def test_days_count_from_the_first_submission_to_the_night():
    found = history(facts(40, ago=10, lag=14), facts(20, ago=3, lag=4))

    assert found.first == TODAY - 24
    assert found.days == 25
    assert found.since.tolist() == [14]
    assert np.flatnonzero(found.inflow[0]).tolist() == [0, 17]
    assert found.inflow[0, [0, 17]].tolist() == [40, 20]
    assert found.decided.day.tolist() == [14, 21]


def test_rows_of_days_are_those_of_the_days_and_stay_inside():
    found = history(facts(40, ago=10, lag=14), facts(20, ago=3, lag=4))
    decided = found.decided

    assert decided.claims[decided.rows(14, 15)].tolist() == [40]
    assert decided.claims[decided.rows(15, 25)].tolist() == [20]
    assert decided.claims[decided.rows(-9, 999)].tolist() == [40, 20]
    assert decided.claims[decided.rows(20, 3)].tolist() == []
    assert found.paid.allowed[found.paid.rows(14, 15)].tolist() == [40 * 20_000]


def test_nothing_after_the_night_is_seen():
    early = history(facts(40, ago=10), facts(40, ago=3), as_of=TODAY - 5)
    only = history(facts(40, ago=10), as_of=TODAY - 5)

    assert early.decided.claims.tolist() == only.decided.claims.tolist() == [40]
    assert early.days == only.days


def test_what_is_too_long_ago_is_not_looked_at():
    found = history(facts(40, ago=10), facts(40, ago=1_200))

    assert found.decided.claims.sum() == 40
    assert found.days <= 1_000


def test_a_claim_that_was_taken_back_counts_nowhere():
    changes = [FactsChange(None, one) for one in facts(40)]
    changes += [FactsChange(one, None) for one in facts(40)]

    assert make_history(tally(changes), as_of=TODAY) is None


def test_the_ratio_of_allowed_to_charge_is_kept_as_its_logarithm():
    found = history(facts(40))

    assert found.paid.claims.sum() == 40
    assert found.paid.ratio.sum() / 40 == pytest.approx(np.log(0.5), abs=1e-4)
    assert found.paid.squared.sum() / 40 == pytest.approx(np.log(0.5) ** 2, abs=1e-3)


def test_the_order_in_which_claims_come_does_not_matter():
    parts = [
        facts(40),
        denied(7, "bundling", group="lab"),
        denied(40, "appeal", ago=4),
        facts(30, group="lab"),
    ]
    one, other = history(*parts), history(*parts[::-1])

    assert names(one) == names(other)
    for name in ("day", "cell", "age", "band", "reason", "claims", "charge", "allowed"):
        np.testing.assert_array_equal(getattr(one.decided, name), getattr(other.decided, name))
