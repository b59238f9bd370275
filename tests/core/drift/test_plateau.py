from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.baseline import Span, fit_baseline
from claimkit.drift.findings import Signal, Tier, reconcile
from claimkit.drift.history import make_history
from claimkit.drift.lattice import LatticeDetector
from claimkit.drift.plateau import Plateau, raise_baseline, slow_speed
from claimkit.drift.speed import fit_speed, make_at_risk
from claimkit.types import day_of

FIRST, SECOND = 290, 335
CONFIG = DriftConfig(scan_days=130)


def alerts(world, *, until=None, config=CONFIG, **known):
    as_of = world.start + dt.timedelta(days=until) if until else world.last
    found = LatticeDetector().detect(world.cube(until=as_of), as_of=as_of, config=config, **known)
    return [one for one in found if one.tier is Tier.ALERT]


@pytest.fixture(scope="module")
def twice(make_world):
    """A world whose ALBATROSS denies imaging from one day on, and surgery from another."""
    world = make_world(seed=5, per_day=80)
    world.deny_more(world.of(payer="ALBATROSS", group="imaging"), since=FIRST, points=0.20)
    world.deny_more(
        world.of(payer="ALBATROSS", group="surgery"),
        since=SECOND,
        points=0.30,
        reason="bundling",
    )
    return world


def test_second_change_is_told_while_the_first_is_open(twice):
    first, second = sorted(alerts(twice), key=lambda one: one.detected_on)

    assert first.segment.procedure_groups == ("imaging",)
    assert second.segment.procedure_groups == ("surgery",)
    assert second.segment.category == "bundling"
    assert second.fingerprint != first.fingerprint
    assert abs((second.onset - twice.start).days - SECOND) <= 7
    assert second.interval[0] < 0.30 < second.interval[1]
    assert any("came on top of that level" in why for why in second.why)


def test_runs_night_by_night_tell_the_same_as_one_run(twice):
    standing = ()
    for night in range(FIRST, 400, 15):
        as_of = twice.start + dt.timedelta(days=night)
        found = LatticeDetector().detect(
            twice.cube(until=as_of),
            as_of=as_of,
            config=DriftConfig(scan_days=15),
            open_findings=standing,
        )
        recorded = reconcile(standing, found, as_of=as_of)
        standing = (*recorded.new, *recorded.worse, *recorded.same)
    told = {one.segment: one.detected_on for one in standing if one.tier is Tier.ALERT}

    assert told == {one.segment: one.detected_on for one in alerts(twice, until=night)}


def test_rise_in_the_same_place_is_a_finding_of_its_own(make_world):
    world = make_world(seed=6, per_day=120)
    world.deny_more(world.of(payer="ALBATROSS"), since=FIRST, points=0.10)
    world.deny_more(world.of(payer="ALBATROSS"), since=SECOND + 10, points=0.15)

    first, second = sorted(alerts(world), key=lambda one: one.detected_on)

    assert first.segment == second.segment
    # What was expected of the second is the level that the first one brought.
    assert second.baseline == pytest.approx(first.baseline + 0.10, abs=0.04)
    assert second.effect == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("seed", range(7, 9))
def test_level_that_stays_is_told_once(make_world, seed):
    world = make_world(seed=seed, per_day=80)
    world.deny_more(world.of(payer="BITTERN"), since=FIRST, points=0.15)

    assert len(alerts(world)) == 1


def test_allowed_amounts_may_fall_twice(make_world):
    world = make_world(seed=12, per_day=120)
    for group, since in (("imaging", FIRST), ("surgery", SECOND)):
        cut = world.of(payer="ALBATROSS", group=group) & (world.columns["decided"] >= since)
        world.columns["ratio"] = world.columns["ratio"] - 0.10 * cut

    found = [one for one in alerts(world) if one.signal is Signal.ALLOWED_AMOUNT]

    assert [one.segment.procedure_groups for one in found] == [("imaging",), ("surgery",)]
    assert all(one.effect == pytest.approx(-0.10, abs=0.02) for one in found)


@pytest.fixture(scope="module")
def slower(make_world):
    """A world whose ALBATROSS takes eight days longer, and later ten more."""
    world = make_world(seed=13, per_day=120)
    columns = world.columns
    for since, days in ((FIRST, 8), (SECOND + 20, 10)):
        late = world.of(payer="ALBATROSS") & (columns["decided"] >= since)
        columns["decided"] = columns["decided"] + days * late
    return world


def test_payer_may_slow_down_twice(slower):
    found = [one for one in alerts(slower) if one.signal is Signal.DECISION_TIME]

    assert len(found) == 2
    assert abs((found[1].onset - slower.start).days - SECOND - 20) <= 7


def test_payer_whose_slower_pace_was_accepted_is_watched_at_that_pace(slower):
    told = FIRST + 20
    accepted_on = slower.start + dt.timedelta(days=told)
    (first,) = [one for one in alerts(slower, until=told) if one.signal is Signal.DECISION_TIME]
    accepted = dataclasses.replace(first, accepted_on=accepted_on, accepted_by="gaston")

    before = alerts(slower, until=SECOND + 15, accepted_findings=[accepted])
    (again,) = [
        one
        for one in alerts(slower, accepted_findings=[accepted])
        if one.signal is Signal.DECISION_TIME
    ]

    assert [one for one in before if one.signal is Signal.DECISION_TIME] == []
    assert abs((again.onset - slower.start).days - SECOND - 20) <= 7
    assert again.detected_on <= slower.start + dt.timedelta(days=SECOND + 27)


def test_raised_baseline_expects_what_is_seen_on_the_plateau_as_well_as_it_is_known(make_world):
    world = make_world(seed=14, per_day=200)
    world.deny_more(world.of(payer="ALBATROSS"), since=FIRST, points=0.10)
    history = make_history(world.cube(), as_of=day_of(world.last))
    baseline = fit_baseline(history, Span(50, FIRST - 10, FIRST + 46))

    def rate(days):
        plateau = Plateau(payer=0, onset=FIRST, start=FIRST, end=FIRST + days)
        raised = raise_baseline(history, baseline, [plateau])
        cells = history.cells_of(0)
        return (raised.rate - baseline.rate)[cells].mean(), raised.payer_denials[0]

    (few, little), (many, much) = rate(14), rate(56)
    assert few == pytest.approx(0.10, abs=0.03)
    assert many == pytest.approx(0.10, abs=0.015)
    # Four times as many days, about four times as many denials behind it.
    assert 3 < much / little < 5
    assert much < baseline.payer_denials[0]


def test_pace_of_a_plateau_is_what_was_decided_of_what_was_due(slower):
    history = make_history(slower.cube(), as_of=day_of(slower.last))
    speed = fit_speed(history, make_at_risk(history), Span(60, FIRST - 5, FIRST + 60))
    start, end = FIRST + 10, FIRST + 40

    slow = slow_speed(speed, [Plateau(payer=0, onset=FIRST, start=start, end=end)])

    def due(one):
        return one.expected[0, end - one.start] - one.expected[0, start - one.start]

    seen = speed.observed[0, end - speed.start] - speed.observed[0, start - speed.start]
    assert due(slow) == pytest.approx(seen, rel=0.02)
    assert due(slow) < 0.95 * due(speed)
    assert slow.known[0] == pytest.approx(due(slow))
    assert np.isinf(slow.known[1:]).all()
