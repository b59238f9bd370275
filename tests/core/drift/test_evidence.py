from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.findings import Signal, Tier
from claimkit.drift.lattice import LatticeDetector

CONFIG = DriftConfig(scan_days=70)
ONSET = 340
REASONS = ("authorization_referral", "bundling", "eligibility", "missing_info_docs")


def alert(world, signal, payer="BITTERN"):
    found = LatticeDetector().detect(world.cube(), as_of=world.last, config=CONFIG)
    (one,) = [
        each
        for each in found
        if (each.tier, each.signal, each.segment.payer) == (Tier.ALERT, signal, payer)
    ]
    return one


def weeks(world, evidence):
    """Return for each week shown the mask of what was decided in it."""
    decided = world.columns["decided"]
    for day in evidence.days:
        start = (day - world.start).days
        yield (decided >= start) & (decided < start + evidence.period_days)


@pytest.fixture
def denying(make_world):
    world = make_world(seed=4, per_day=120)
    world.deny_more(world.of(payer="ALBATROSS"), since=ONSET, points=0.2, reason="eligibility")
    return world


def test_every_week_shows_the_claims_and_denials_that_there_were(denying):
    found = alert(denying, Signal.DENIAL_RATE, "ALBATROSS")
    evidence, c = found.evidence, denying.columns
    mine = denying.of(payer="ALBATROSS")
    denied = c["draw"] < c["rate"]
    if found.segment.category:
        denied &= c["reason"] == REASONS.index(found.segment.category)
    assert found.segment.procedure_groups == ()

    for week, observed, claims in zip(
        weeks(denying, evidence), evidence.observed, evidence.claims, strict=True
    ):
        assert claims == (mine & week).sum()
        assert observed == pytest.approx(denied[mine & week].mean())


def test_reasons_codes_and_groups_are_those_since_the_change(denying):
    found = alert(denying, Signal.DENIAL_RATE, "ALBATROSS")
    evidence, c = found.evidence, denying.columns
    since = (c["decided"] >= (found.onset - denying.start).days) & (c["decided"] < denying.days)
    mine = denying.of(payer="ALBATROSS") & since
    denied = mine & (c["draw"] < c["rate"])
    counts = np.bincount(c["reason"][denied], minlength=4)

    assert evidence.reasons_since == pytest.approx(
        {name: counts[at] / counts.sum() for at, name in enumerate(REASONS)}
    )
    assert next(iter(evidence.reasons_since)) == "eligibility"
    assert sum(evidence.reasons_before.values()) == pytest.approx(1)
    assert evidence.reasons_before["eligibility"] < 0.35
    for group, (seen, _, claims) in evidence.groups.items():
        place = denying.of(payer="ALBATROSS", group=group) & since
        told = place & (c["draw"] < c["rate"])
        if found.segment.category:
            told &= c["reason"] == REASONS.index(found.segment.category)
        assert claims == place.sum()
        assert seen == told.sum()


def test_weeks_before_the_change_keep_within_the_band_and_those_since_do_not(denying):
    evidence = alert(denying, Signal.DENIAL_RATE, "ALBATROSS").evidence
    inside = [
        low <= seen <= high
        for low, seen, high in zip(evidence.low, evidence.observed, evidence.high, strict=True)
    ]
    change = denying.start + dt.timedelta(days=ONSET)
    before = [one for one, day in zip(inside, evidence.days, strict=True) if day < change]
    since = [one for one, day in zip(inside, evidence.days, strict=True) if day >= change]

    assert sum(before) >= 0.8 * len(before)
    assert sum(since) <= 0.1 * len(since)


def test_allowed_amounts_are_shown_as_the_logarithm_of_their_share(make_world):
    world = make_world(seed=12, per_day=160)
    mask = world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET)
    world.columns["ratio"] = np.where(mask, world.columns["ratio"] - 0.12, world.columns["ratio"])
    found = alert(world, Signal.ALLOWED_AMOUNT)
    evidence, c = found.evidence, world.columns
    mine = world.of(payer="BITTERN") & (c["draw"] >= c["rate"])
    means = [c["ratio"][mine & week].mean() for week in weeks(world, evidence)]

    assert found.effect == pytest.approx(-0.12, abs=0.03)
    # Expected follows today's case mix; so does what was seen, but for the mix of single weeks.
    assert np.corrcoef(means, evidence.observed)[0, 1] > 0.9
    assert evidence.observed[-1] < evidence.low[-1]
    assert evidence.observed[0] == pytest.approx(evidence.expected[0], abs=0.05)


def test_a_delay_is_shown_as_days_that_claims_wait(make_world):
    world = make_world(seed=5, per_day=120)
    mask = world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET)
    world.columns["decided"] = np.where(
        mask, world.columns["decided"] + 9, world.columns["decided"]
    )
    found = alert(world, Signal.DECISION_TIME)
    evidence = found.evidence

    assert found.effect == pytest.approx(9, abs=2)
    assert evidence.observed[-1] == pytest.approx(evidence.expected[-1] + 9, abs=2.5)
    assert evidence.observed[0] == pytest.approx(evidence.expected[0], abs=2)
    assert evidence.observed[-1] > evidence.high[-1]


def test_weeks_end_with_the_night_and_reach_two_months_before_the_change(denying):
    found = alert(denying, Signal.DENIAL_RATE, "ALBATROSS")
    days = found.evidence.days

    assert days[-1] + dt.timedelta(days=6) == found.as_of == denying.last
    assert all((later - one).days == 7 for one, later in itertools.pairwise(days))
    assert (found.onset - days[0]).days >= 8 * 7 - 7
    assert len(days) >= 16
