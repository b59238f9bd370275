from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.config import DriftConfig
from claimkit.drift.history import make_history
from claimkit.drift.incidents import Run
from claimkit.drift.localize import find_onset, localize, measure, total
from claimkit.drift.statistics import poisson_gain
from claimkit.types import day_of

ONSET = 350


def looked(world):
    """Return run, baseline before the change, and totals since it."""
    run = Run(make_history(world.cube(), as_of=day_of(world.last)), DriftConfig())
    baseline = run.week(ONSET).baseline
    shift = day_of(world.start) - run.history.first
    return run, baseline, total(run.history, baseline, ONSET + shift, run.history.days)


def named(run, place):
    history = run.history
    groups = None
    if place.cells is not None:
        groups = sorted(history.groups[history.cell_group[cell]] for cell in place.cells)
    return groups, None if place.reason is None else history.categories[place.reason]


@pytest.mark.parametrize(
    ("groups", "reason", "points"),
    [
        (("imaging",), "authorization_referral", 0.3),
        (("imaging", "surgery"), "", 0.35),
        ((), "", 0.15),
        ((), "eligibility", 0.15),
    ],
)
def test_the_place_that_is_named_is_the_one_that_changed(make_world, groups, reason, points):
    world = make_world(seed=6, per_day=160)
    for group in groups or ("",):
        world.deny_more(
            world.of(payer="BITTERN", group=group), since=ONSET, points=points, reason=reason
        )
    run, baseline, totals = looked(world)
    payer = run.history.payers.index("BITTERN")
    place = localize(run.history, baseline, totals, payer)
    effect = measure(run.history, baseline, totals, payer, place.cells, place.reason)

    assert named(run, place) == (sorted(groups) or None, reason or None)
    assert effect.size == pytest.approx(points, abs=4 * effect.error)
    assert effect.score > 5
    assert effect.observed - effect.expected == pytest.approx(effect.size * effect.claims)


def test_where_nothing_changed_the_effect_is_within_its_error(make_world):
    run, baseline, totals = looked(make_world(seed=7, per_day=160))
    effects = [
        measure(run.history, baseline, totals, payer, None)
        for payer in range(len(run.history.payers))
    ]

    assert all(abs(one.score) < 4 for one in effects)
    assert sum(one.claims for one in effects) == totals.claims.sum()


def test_more_claims_make_the_error_smaller(make_world):
    errors = []
    for per_day in (40, 160):
        run, baseline, totals = looked(make_world(seed=8, per_day=per_day))
        payer = run.history.payers.index("ALBATROSS")
        errors.append(measure(run.history, baseline, totals, payer, None).error)

    assert errors[1] < 0.75 * errors[0]


def test_d2_a_change_of_case_mix_is_no_effect(make_world):
    """Twice as many claims of the group that is denied most: expected rises with them."""
    world = make_world(seed=9, per_day=160)
    c = world.columns
    moved = world.of(payer="ALBATROSS") & (c["submitted"] >= ONSET - 20) & (c["group"] == 0)
    rate = c["rate"] - (0.06 + 0.03 * (c["group"] % 4))
    c["group"] = np.where(moved, 3, c["group"])
    c["rate"] = 0.06 + 0.03 * (c["group"] % 4) + rate
    run, baseline, totals = looked(world)
    payer = run.history.payers.index("ALBATROSS")
    effect = measure(run.history, baseline, totals, payer, None)
    raw = effect.observed / effect.claims
    before = world.of(payer="ALBATROSS") & (c["decided"] < ONSET - 30)

    assert raw > (c["draw"] < c["rate"])[before].mean() + 0.01
    assert abs(effect.score) < 3


def test_d2_what_moves_all_payers_is_no_payers_effect(make_world):
    world = make_world(seed=10, per_day=160)
    world.deny_more(np.ones(len(world.columns["rate"]), bool), since=ONSET, points=0.03)
    run, baseline, totals = looked(world)
    plain = [
        (totals.observed - totals.expected)[run.history.cells_of(at)].sum()
        / totals.claims[run.history.cells_of(at)].sum()
        for at in range(5)
    ]
    effects = [measure(run.history, baseline, totals, at, None).size for at in range(5)]

    assert sum(plain) > 0.1
    assert sum(effects) < 0.6 * sum(plain)


def test_nothing_can_be_measured_without_claims(make_world):
    run, baseline, _ = looked(make_world(seed=7))
    nothing = total(run.history, baseline, 5, 5)
    effect = measure(run.history, baseline, nothing, 0, None)

    assert (effect.claims, effect.size, effect.score) == (0, 0, 0)
    assert math.isinf(effect.error)
    place = localize(run.history, baseline, nothing, 0)
    assert (place.cells, place.reason) == (None, None)


@pytest.mark.parametrize("points", [0.2, 0.4])
def test_the_onset_is_near_the_day_of_the_change(make_world, points):
    world = make_world(seed=11, per_day=160)
    world.deny_more(world.of(payer="BITTERN"), since=ONSET, points=points)
    run, baseline, _ = looked(world)
    history = run.history
    shift = day_of(world.start) - history.first
    found = find_onset(
        history, baseline, history.payers.index("BITTERN"), (None, None),
        ONSET + shift - 30, ONSET + shift + 20, history.days,
    )  # fmt: skip

    assert abs(found - (ONSET + shift)) <= 4


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.floats(0.5, 20)), min_size=2, max_size=7
    )
)  # fmt: skip
def test_the_best_subset_is_a_prefix_of_the_cells_by_observed_over_expected(cells):
    """Linear-time subset scanning (Neill 2012), by trying all subsets."""
    observed, expected = (np.array(column, float) for column in zip(*cells, strict=True))
    order = np.argsort(-observed / expected, kind="stable")
    prefixes = poisson_gain(observed[order].cumsum(), expected[order].cumsum()).max()
    subsets = max(
        float(poisson_gain(observed[list(s)].sum(), expected[list(s)].sum()))
        for size in range(1, len(cells) + 1)
        for s in itertools.combinations(range(len(cells)), size)
    )

    assert prefixes == pytest.approx(subsets)
