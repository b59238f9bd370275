"""The parts of a difference are the whole difference, and each part is what it says."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.drift.cube import DECISIONS, Cells
from claimkit.reports.movement import movement_of
from claimkit.reports.periods import PeriodKind, period_before, period_of
from claimkit.types import day_of

PERIOD = period_of(PeriodKind.MONTHLY, dt.date(2026, 3, 1))
BEFORE = period_before(PERIOD)
rows = st.lists(
    st.tuples(
        st.sampled_from(["Aetna", "Cigna", ""]),
        st.sampled_from(["imaging", "lab"]),
        st.sampled_from(["paid", "eligibility", "bundling"]),
        st.sampled_from([BEFORE.first, BEFORE.last, PERIOD.first, PERIOD.last]),
        st.integers(1, 50),
        st.integers(0, 1_000_000),
    ),
    max_size=40,
)


def cells_of(found):
    payer, group, outcome, day, claims, charge = zip(*found, strict=True) if found else ((),) * 6
    return Cells.from_columns(
        DECISIONS,
        labels={
            "payer": payer,
            "procedure_group": group,
            "outcome": outcome,
            "reason": [""] * len(payer),
        },
        numbers={"decided_day": [day_of(one) for one in day], "age_days": [9] * len(payer)},
        measures={"claims": claims, "charge": charge, "allowed": charge, "paid": charge},
    )


@given(found=rows)
def test_the_parts_add_up_to_the_difference(found):
    moved = movement_of(cells_of(found), PERIOD, BEFORE)

    parts = moved.by_volume + moved.by_mix + sum(value for _, value in moved.by_payer)
    assert parts == pytest.approx(moved.now.denied_charge - moved.before.denied_charge, abs=1e-3)
    assert moved.now.decided == sum(one[4] for one in found if one[3] >= PERIOD.first)
    assert sum(now for _, _, now in moved.categories) == moved.now.denied


@given(found=rows)
def test_the_way_back_has_the_opposite_parts(found):
    there = movement_of(cells_of(found), PERIOD, BEFORE)
    back = movement_of(cells_of(found), BEFORE, PERIOD)

    assert back.by_volume == pytest.approx(-there.by_volume, abs=1e-3)
    assert back.by_mix == pytest.approx(-there.by_mix, abs=1e-3)
    assert dict(back.by_payer) == pytest.approx(
        {payer: -value for payer, value in there.by_payer}, abs=1e-3
    )


def _four(aetna_denied, cigna_denied, *, aetna, cigna):
    return [
        ("Aetna", "lab", "eligibility", aetna_denied),
        ("Aetna", "lab", "paid", aetna - aetna_denied),
        ("Cigna", "lab", "eligibility", cigna_denied),
        ("Cigna", "lab", "paid", cigna - cigna_denied),
    ]


def _moved(before, now):
    found = [
        (payer, group, outcome, period.first, count, 100 * count)
        for period, part in ((BEFORE, before), (PERIOD, now))
        for payer, group, outcome, count in part
        if count
    ]
    return movement_of(cells_of(found), PERIOD, BEFORE)


def test_twice_the_claims_are_volume_only():
    moved = _moved(_four(10, 20, aetna=100, cigna=100), _four(20, 40, aetna=200, cigna=200))

    assert moved.by_volume == pytest.approx(3_000)
    assert moved.by_mix == pytest.approx(0)
    assert dict(moved.by_payer) == pytest.approx({"Aetna": 0, "Cigna": 0})


def test_more_claims_of_the_strict_payer_are_mix_only():
    moved = _moved(_four(10, 40, aetna=100, cigna=100), _four(5, 60, aetna=50, cigna=150))

    assert moved.by_volume == pytest.approx(0)
    assert moved.by_mix == pytest.approx(1_500)
    assert dict(moved.by_payer) == pytest.approx({"Aetna": 0, "Cigna": 0})


def test_a_payer_that_denies_more_is_named():
    moved = _moved(_four(10, 20, aetna=100, cigna=100), _four(30, 20, aetna=100, cigna=100))

    assert moved.by_mix == pytest.approx(0)
    assert dict(moved.by_payer) == pytest.approx({"Aetna": 2_000, "Cigna": 0})
    assert moved.now.denial_rate == pytest.approx(0.25)
    assert moved.before.denial_rate == pytest.approx(0.15)


def test_a_payer_that_is_new_changed_the_mix_and_not_its_mind():
    moved = _moved(_four(10, 0, aetna=100, cigna=0), _four(10, 90, aetna=100, cigna=100))

    assert dict(moved.by_payer) == pytest.approx({"Aetna": 0, "Cigna": 0})
    assert moved.by_mix > 0


def test_nothing_moves_where_nothing_is():
    moved = movement_of(cells_of([]), PERIOD, BEFORE)

    assert (moved.now.decided, moved.payers, moved.categories) == (0, (), ())
    assert moved.now.denial_rate is None
