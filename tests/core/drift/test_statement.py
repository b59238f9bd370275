from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.findings import Signal, Tier
from claimkit.drift.lattice import LatticeDetector

ONSET = 340


def alert(world, signal, payer="BITTERN", *, until=None):
    found = LatticeDetector().detect(
        world.cube(until=until), as_of=until or world.last, config=DriftConfig(scan_days=70)
    )
    (one,) = [
        each
        for each in found
        if (each.tier, each.signal, each.segment.payer) == (Tier.ALERT, signal, payer)
    ]
    return one


def delayed(world, days, *, since=ONSET):
    mask = world.of(payer="BITTERN") & (world.columns["decided"] >= since)
    decided = world.columns["decided"]
    world.columns["decided"] = np.where(mask, decided + days, decided)
    return world


def test_money_is_what_denials_beyond_the_usual_would_have_been_allowed(make_world):
    world = make_world(seed=2, per_day=120)
    world.deny_more(world.of(payer="ALBATROSS"), since=ONSET, points=0.2)
    found = alert(world, Signal.DENIAL_RATE, "ALBATROSS")
    c = world.columns
    mine = world.of(payer="ALBATROSS")
    month = mine & (c["decided"] >= world.days - 30) & (c["decided"] < world.days)
    paid = mine & (c["draw"] >= c["rate"]) & (c["decided"] < world.days)
    worth = np.mean(c["charge"][paid] * np.exp(c["ratio"][paid]))

    assert found.dollars_per_month == pytest.approx(0.2 * month.sum() * worth, rel=0.3)
    assert found.current - found.baseline == pytest.approx(found.effect)
    assert "at the mean allowed amount of paid claims" in " ".join(found.why)


def test_money_is_counted_by_charges_where_allowed_amounts_are_unknown(make_world):
    world = make_world(seed=2, per_day=120)
    world.deny_more(world.of(payer="ALBATROSS"), since=ONSET, points=0.2)
    world.columns["ratio"] = np.full(len(world.columns["ratio"]), -99.0)
    found = alert(world, Signal.DENIAL_RATE, "ALBATROSS")

    assert "at the mean charge of the segment" in " ".join(found.why)
    assert found.dollars_per_month > 0


def test_a_silent_payer_is_told_as_an_outage_while_it_is_young(make_world):
    world = delayed(make_world(seed=5, per_day=160), 40)
    found = alert(world, Signal.DECISION_TIME, until=world.start + dt.timedelta(days=ONSET + 5))

    assert "BITTERN has decided almost no claims since" in found.summary
    assert found.preliminary


def test_a_young_slow_down_says_how_many_decisions_are_missing(make_world):
    world = make_world(seed=5, per_day=160)
    half = world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET)
    half &= world.columns["draw"] * 1_000 % 1 < 0.6
    world.columns["decided"] = np.where(
        half, world.columns["decided"] + 30, world.columns["decided"]
    )
    found = alert(world, Signal.DECISION_TIME, until=world.start + dt.timedelta(days=ONSET + 9))

    assert re.search(
        r"BITTERN has decided \d+\.\d % fewer claims than were due since", found.summary
    )


def test_a_settled_delay_is_told_in_days_with_what_is_held_up(make_world):
    found = alert(delayed(make_world(seed=5, per_day=160), 9), Signal.DECISION_TIME)
    arrivals = 160 / 5

    assert re.search(r"decides claims \d+(\.\d)? days later since .*, where about", found.summary)
    assert "is held up" in found.summary
    assert found.dollars_per_month > arrivals
    assert not found.preliminary
    assert found.unit == "days"


def test_a_swap_of_reasons_says_that_the_rate_stays(make_world):
    world = make_world(seed=4, per_day=160)
    world.columns["rate"] += 0.1
    mine = world.of(payer="ALBATROSS") & (world.columns["decided"] >= 330)
    world.columns["reason"] = np.where(
        mine & (world.columns["reason"] == 1), 2, world.columns["reason"]
    )
    found = alert(world, Signal.DENIAL_REASON_MIX, "ALBATROSS")

    assert found.segment.category == "eligibility"
    assert "while the denial rate as a whole stays as it was" in found.summary


def test_less_allowed_is_told_as_shares_of_charges(make_world):
    world = make_world(seed=12, per_day=160)
    mask = world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET)
    world.columns["ratio"] = np.where(mask, world.columns["ratio"] - 0.12, world.columns["ratio"])
    found = alert(world, Signal.ALLOWED_AMOUNT)

    assert re.search(
        r"BITTERN allows 1\d\.\d % less for claims since .*: \d+\.\d % of charges, where \d+\.\d %",
        found.summary,
    )
    assert found.baseline > found.current


def test_why_it_fired_names_night_threshold_budget_and_baseline(make_world):
    world = make_world(seed=2, per_day=120)
    world.deny_more(world.of(payer="ALBATROSS"), since=ONSET, points=0.2)
    found = alert(world, Signal.DENIAL_RATE, "ALBATROSS")
    why = " ".join(found.why)

    assert found.score > found.threshold
    assert f"was {found.score:.1f}; the threshold is {found.threshold:.1f}" in why
    assert "0.1 times a month" in why
    assert "times as much as independent claims would" in why
