from __future__ import annotations

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.cube import MAX_AGE
from claimkit.drift.history import make_history
from claimkit.drift.incidents import Run
from claimkit.drift.speed import delay, make_at_risk, scan_speed, slow_since
from claimkit.types import day_of

ONSET = 370


def run_of(world):
    return Run(make_history(world.cube(), as_of=day_of(world.last)), DriftConfig())


def slowed(world, *, payer="BITTERN", days=10, since=ONSET):
    mask = world.of(payer=payer) & (world.columns["decided"] >= since)
    world.columns["decided"] = np.where(
        mask, world.columns["decided"] + days, world.columns["decided"]
    )
    return world


def scores(run, night):
    speed = run.week(night).speed
    reach = np.full(len(run.history.payers), 10**6)
    found = scan_speed(speed, night, reach=reach)
    return dict(zip(run.history.payers, found.score.tolist(), strict=True))


def test_every_claim_waits_until_it_is_decided(make_world):
    world = make_world(seed=1)
    history = make_history(world.cube(), as_of=day_of(world.last))
    at_risk = make_at_risk(history)
    start = day_of(world.start) - history.first
    c = world.columns
    for day in (60, 200, 390):
        for code, name in enumerate(world.payers):
            # On the evening of the day, before that day's decisions leave.
            waiting = (c["payer"] == code) & (c["submitted"] <= day) & (c["decided"] >= day)
            pending = at_risk.pending[history.payers.index(name), day + start]
            assert pending.sum() == waiting.sum()
            ages = np.bincount(day - c["submitted"][waiting], minlength=MAX_AGE)
            np.testing.assert_array_equal(pending, ages[:MAX_AGE])


def test_a_payer_that_decides_as_ever_scores_low(make_world):
    for seed in range(3):
        run = run_of(make_world(seed=seed))
        assert max(scores(run, run.history.days - 1).values()) < 4


def test_a_delay_shows_within_days_and_in_its_payer_only(make_world):
    world = slowed(make_world(seed=2, per_day=80))
    run = run_of(world)
    found = scores(run, world.day(world.start) + ONSET + 6)

    assert max(found, key=found.get) == "BITTERN"
    assert found["BITTERN"] > 5
    assert max(score for name, score in found.items() if name != "BITTERN") < 4


def test_a_payer_that_decides_faster_is_no_delay(make_world):
    world = make_world(seed=3, per_day=80)
    mask = world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET)
    sooner = np.maximum(world.columns["submitted"] + 1, world.columns["decided"] - 5)
    world.columns["decided"] = np.where(mask, np.maximum(sooner, ONSET), world.columns["decided"])
    run = run_of(world)

    assert scores(run, ONSET + 10)["BITTERN"] < 4


def test_days_on_which_nobody_decides_are_nobodys_delay(make_world):
    """A holiday that no calendar knows, or a day of which no file came."""
    world = make_world(seed=4, per_day=80)
    decided = world.columns["decided"]
    # 377 is a Monday: those who would have decided on the two days decide on the third.
    world.columns["decided"] = np.where((decided == 377) | (decided == 378), 379, decided)
    run = run_of(world)

    assert max(scores(run, 379).values()) < 4
    alone = make_world(seed=4, per_day=80)
    mine = alone.of(payer="ALBATROSS") & (decided >= 377) & (decided <= 381)
    alone.columns["decided"] = np.where(mine, 390, decided)
    assert scores(run_of(alone), 381)["ALBATROSS"] > 5


def test_windows_do_not_reach_back_across_the_end_of_an_incident(make_world):
    world = slowed(make_world(seed=2, per_day=80))
    run = run_of(world)
    night = ONSET + 6
    speed = run.week(night).speed
    none = scan_speed(speed, night, reach=np.zeros(len(run.history.payers), np.int64))
    short = scan_speed(speed, night, reach=np.full(len(run.history.payers), 5))

    assert (none.score < 0).all()
    assert set(short.days.tolist()) <= {0, 3, 5}


@pytest.mark.parametrize("days", [4, 10])
def test_littles_law_tells_by_how_many_days(make_world, days):
    world = slowed(make_world(seed=5, per_day=120), days=days, since=330)
    run = run_of(world)
    payer = run.history.payers.index("BITTERN")
    span = run.week(330).span
    shift, error, usual = delay(run.history, run.at_risk, span, payer, run.history.days - 1, 14)
    lag = (world.columns["decided"] - world.columns["submitted"])[
        world.of(payer="BITTERN") & (world.columns["decided"] < 330)
    ]

    assert shift == pytest.approx(days, abs=max(1.5, 0.25 * days))
    assert usual == pytest.approx(lag.mean(), abs=2)
    assert 0.1 <= error < 2
    steady, _, _ = delay(
        run.history, run.at_risk, span, run.history.payers.index("ALBATROSS"),
        run.history.days - 1, 14,
    )  # fmt: skip
    assert abs(steady) < 1.5


def test_the_onset_of_a_silence_is_its_first_day_whatever_the_window(make_world):
    world = slowed(make_world(seed=5, per_day=160), days=40)
    run = run_of(world)
    onset = world.day(world.start) + ONSET
    speed, payer = run.week(onset + 6).speed, run.history.payers.index("BITTERN")

    found, shortfall = slow_since(speed, payer, onset - 7, onset + 6)

    assert abs(found - onset) <= 1
    assert shortfall > 0.85


def test_a_weekly_payer_is_not_blamed_for_a_day_on_which_hardly_anybody_decided(make_world):
    """Others catch up within the week, so that their week looks as ever; its day was the one."""
    world = make_world(seed=6, per_day=120)
    columns, wednesday = world.columns, 380
    weekly = world.of(payer="DIPPER")
    to_wednesday = (2 - columns["decided"]) % 7
    columns["decided"] = columns["decided"] + np.where(weekly, to_wednesday, 0)
    on_day = columns["decided"] == wednesday
    held = on_day & (weekly | (columns["draw"] * 97 % 1 < 0.8))
    columns["decided"] = columns["decided"] + np.where(held, np.where(weekly, 7, 2), 0)
    run = run_of(world)
    night = wednesday + 3 + day_of(world.start) - run.history.first

    assert scores(run, night)["DIPPER"] < 3
