from __future__ import annotations

import math

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.allowed import localize_drop, measure_drop, scan_allowed
from claimkit.drift.history import make_history
from claimkit.drift.incidents import Run
from claimkit.types import day_of

ONSET = 350


def cut(world, mask, change, since=ONSET):
    mask = mask & (world.columns["decided"] >= since)
    world.columns["ratio"] = np.where(mask, world.columns["ratio"] + change, world.columns["ratio"])
    return world


def looked(world):
    run = Run(make_history(world.cube(), as_of=day_of(world.last)), DriftConfig())
    shift = day_of(world.start) - run.history.first
    return run, run.week(ONSET + shift).allowed, ONSET + shift


def scores(run, night):
    reach = np.full(len(run.history.payers), 10**6)
    by_payer, by_cell = scan_allowed(run.history, run.week(night).allowed, night, reach=reach)
    return dict(zip(run.history.payers, by_payer.score.tolist(), strict=True)), by_cell


def test_a_payer_that_allows_less_is_measured_and_found(make_world):
    world = make_world(seed=12, per_day=160)
    run, allowed, start = looked(cut(world, world.of(payer="BITTERN"), -0.08))
    payer = run.history.payers.index("BITTERN")
    drop = measure_drop(run.history, allowed, payer, None, start, run.history.days)
    found, _ = scores(run, run.history.days - 1)

    assert drop.size == pytest.approx(-0.08, abs=4 * drop.error)
    assert drop.error < 0.03
    assert localize_drop(run.history, allowed, payer, start, run.history.days) is None
    assert found["BITTERN"] > 5
    assert max(score for name, score in found.items() if name != "BITTERN") < 4


def test_one_group_that_falls_is_named(make_world):
    world = make_world(seed=13, per_day=160)
    run, allowed, start = looked(cut(world, world.of(payer="BITTERN", group="surgery"), -0.2))
    payer = run.history.payers.index("BITTERN")
    cells = localize_drop(run.history, allowed, payer, start, run.history.days)
    drop = measure_drop(run.history, allowed, payer, cells, start, run.history.days)

    assert [run.history.groups[run.history.cell_group[cell]] for cell in cells] == ["surgery"]
    assert drop.size == pytest.approx(-0.2, abs=4 * drop.error)
    paid = world.of(payer="BITTERN", group="surgery") & (world.columns["decided"] >= ONSET)
    paid &= (world.columns["draw"] >= world.columns["rate"]) & (
        world.columns["decided"] < world.days
    )
    assert drop.claims == paid.sum()


def test_a_payer_that_allows_more_or_as_ever_is_no_fall(make_world):
    world = make_world(seed=14, per_day=160)
    run, _, _ = looked(cut(world, world.of(payer="BITTERN"), 0.2))
    found, by_cell = scores(run, run.history.days - 1)

    assert max(found.values()) < 4
    assert by_cell.score.max() < 4.5


def test_d2_a_change_of_case_mix_is_no_fall(make_world):
    """More claims of the group that is allowed least: the mean falls and nobody pays less."""
    world = make_world(seed=15, per_day=160)
    c = world.columns
    moved = world.of(payer="ALBATROSS") & (c["submitted"] >= ONSET - 20) & (c["group"] == 0)
    c["ratio"] = np.where(moved, c["ratio"] - 0.3, c["ratio"])
    c["group"] = np.where(moved, 3, c["group"])
    run, allowed, start = looked(world)
    payer = run.history.payers.index("ALBATROSS")
    drop = measure_drop(run.history, allowed, payer, None, start, run.history.days)

    assert abs(drop.size) < 3 * drop.error
    assert scores(run, run.history.days - 1)[0]["ALBATROSS"] < 4


def test_nothing_is_measured_without_payments(make_world):
    run, allowed, _ = looked(make_world(seed=14))
    drop = measure_drop(run.history, allowed, 0, None, 3, 3)

    assert (drop.size, drop.claims) == (0, 0)
    assert math.isinf(drop.error)
    assert localize_drop(run.history, allowed, 0, 3, 3) is None


def test_windows_do_not_reach_back_across_the_end_of_an_incident(make_world):
    world = make_world(seed=12, per_day=160)
    run, _, _ = looked(cut(world, world.of(payer="BITTERN"), -0.2))
    night = run.history.days - 1
    by_payer, by_cell = scan_allowed(
        run.history, run.week(night).allowed, night, reach=np.zeros(5, np.int64)
    )

    assert by_payer.score.max() < 0
    assert by_cell.score.max() < 0
