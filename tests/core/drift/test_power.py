from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from claimkit.config import DriftConfig
from claimkit.drift.cube import DECISIONS, Cells
from claimkit.drift.power import PayerState, smallest_change, watched_payers
from claimkit.types import day_of

TODAY = dt.date(2026, 3, 20)
CONFIG = DriftConfig()

rates = st.floats(0.01, 0.9)
counts = st.integers(20, 100_000)


@given(rates, counts, st.floats(1, 5), st.floats(2, 6))
def test_the_smallest_change_carries_just_the_evidence_that_is_asked_for(
    rate, claims, dispersion, threshold
):
    """SciPy's entropy is the oracle: n · KL(p₁‖p₀) / φ = h² / 2."""
    change = smallest_change(rate=rate, claims=claims, dispersion=dispersion, threshold=threshold)

    if change is None:
        assert claims * -math.log(rate) / dispersion < threshold**2 / 2
        return
    later = min(rate + change, 1 - 1e-15)
    evidence = claims * stats.entropy([later, 1 - later], [rate, 1 - rate]) / dispersion
    assert 0 < change <= 1 - rate
    assert evidence == pytest.approx(threshold**2 / 2, rel=1e-6, abs=1e-9)


@given(rates, counts, st.integers(2, 10))
def test_more_claims_show_smaller_changes(rate, claims, times):
    few, many = (smallest_change(rate=rate, claims=n) for n in (claims, claims * times))

    assert few is None or many < few


@pytest.mark.parametrize("claims", [0, -3])
def test_without_claims_nothing_shows(claims):
    assert smallest_change(rate=0.1, claims=claims) is None


def test_a_rate_of_nothing_or_all_is_taken_for_nearly_so():
    assert smallest_change(rate=0.0, claims=1_000) == smallest_change(rate=0.001, claims=1_000)
    assert smallest_change(rate=1.0, claims=1_000) == smallest_change(rate=0.97, claims=1_000)


def cube(*rows):
    """Return decisions cells of payer, days before today, outcome, claims."""
    today = day_of(TODAY)
    return Cells.from_columns(
        DECISIONS,
        labels={
            "payer": [row[0] for row in rows],
            "procedure_group": ["imaging"] * len(rows),
            "outcome": [row[2] for row in rows],
            "reason": [""] * len(rows),
        },
        numbers={
            "decided_day": [today - row[1] for row in rows],
            "age_days": [14] * len(rows),
            "known_day": [today] * len(rows),
        },
        measures={
            "claims": [row[3] for row in rows],
            **{name: [0] * len(rows) for name in ("charge", "allowed", "paid")},
        },
    )


def watched(*rows, as_of=TODAY):
    return {one.payer: one for one in watched_payers(cube(*rows), as_of=as_of, config=CONFIG)}


def test_each_payer_has_its_state():
    found = watched(
        ("ALBATROSS", 300, "paid", 900),
        ("ALBATROSS", 10, "bundling", 100),
        ("BITTERN", 300, "paid", 400),
        ("BITTERN", 28, "paid", 40),
        ("CORMORANT", 300, "paid", 30),
        ("CORMORANT", 3, "paid", 1),
        ("DIPPER", 20, "paid", 20),
    )

    assert list(found) == ["ALBATROSS", "BITTERN", "CORMORANT", "DIPPER"]
    assert {name: one.state for name, one in found.items()} == {
        "ALBATROSS": PayerState.WATCHED,
        "BITTERN": PayerState.SILENT,
        "CORMORANT": PayerState.SPARSE,
        "DIPPER": PayerState.LEARNING,
    }
    first = found["ALBATROSS"]
    assert (first.decisions, first.denial_rate) == (100, 0.1)
    assert (first.since, first.until) == (
        TODAY - dt.timedelta(days=300),
        TODAY - dt.timedelta(days=10),
    )
    assert first.smallest_change == smallest_change(rate=0.1, claims=100)
    assert first.ready_on is None


def test_a_learning_payer_says_from_when_on_it_is_watched():
    late = watched(("ALBATROSS", 300, "paid", 900), ("DIPPER", 20, "paid", 20))["DIPPER"]
    wait = (late.ready_on - late.since).days

    # A late payer waits for baseline and longest window, and for the next night of a refit.
    assert CONFIG.min_baseline_days + 56 <= wait < CONFIG.min_baseline_days + 56 + 7
    assert day_of(late.ready_on) % 7 == 0
    again = watched(
        ("ALBATROSS", 300, "paid", 900), ("DIPPER", 20, "paid", 20), as_of=late.ready_on
    )
    assert again["DIPPER"].state is not PayerState.LEARNING


def test_a_young_tenant_waits_for_the_shortest_window_only():
    (only,) = watched(("DIPPER", 20, "paid", 20)).values()

    assert CONFIG.min_baseline_days + 14 <= (only.ready_on - only.since).days < 90 + 14 + 7


def test_what_is_decided_later_and_what_was_taken_back_does_not_count():
    found = watched(
        ("ALBATROSS", -1, "paid", 9), ("BITTERN", 3, "paid", -2), ("EGRET", 3, "paid", 1)
    )

    assert list(found) == ["EGRET"]


def test_nothing_is_watched_where_there_is_nothing():
    assert watched_payers(Cells.empty(DECISIONS), as_of=TODAY, config=CONFIG) == ()
