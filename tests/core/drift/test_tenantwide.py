from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.findings import ALL_PAYERS, Signal, Tier
from claimkit.drift.lattice import LatticeDetector

CONFIG = DriftConfig(scan_days=70)


def detect(cube, as_of, known=()):
    return LatticeDetector().detect(cube, as_of=as_of, config=CONFIG, open_findings=known)


def all_deny_more(world, since=345, points=0.06):
    everybody = np.ones(len(world.columns["payer"]), np.bool_)
    world.deny_more(everybody, since=since, points=points)
    return world


def test_what_all_payers_share_is_told_once(make_world):
    world = all_deny_more(make_world(seed=31, per_day=120))

    told = [one for one in detect(world.cube(), world.last) if one.tier is Tier.ALERT]
    (found,) = [one for one in told if one.segment.payer == ALL_PAYERS]

    # Five payers changed; one may stand out from the others by chance.
    assert len(told) <= 2
    assert found.segment.procedure_groups == ()
    assert found.signal is Signal.DENIAL_RATE
    assert found.interval[0] < 0.06 < found.interval[1]
    assert abs((found.onset - world.start).days - 345) <= 14
    assert found.dollars_per_month > 0
    assert "All payers alike deny" in found.summary
    assert found.evidence.observed[-1] > found.evidence.high[-1]
    assert len(found.evidence.days) == len(found.evidence.observed)


def test_the_notice_keeps_its_identity_and_ends(make_world):
    world = make_world(seed=31, per_day=120)
    before = np.asarray(world.columns["decided"]) < 385
    world.deny_more(before, since=345, points=0.06)
    first = world.start + dt.timedelta(days=375)
    (told,) = [
        one
        for one in detect(world.cube(until=first), first)
        if one.segment.payer == ALL_PAYERS and one.tier is Tier.ALERT
    ]

    again = [
        one
        for one in detect(world.cube(), world.last, [told])
        if one.fingerprint == told.fingerprint
    ]

    assert [one.segment.payer for one in again] == [ALL_PAYERS]
    assert again[0].onset <= first


def test_a_payer_that_changes_on_top_of_it_is_told_as_well(make_world):
    world = all_deny_more(make_world(seed=33, per_day=120))
    world.deny_more(world.of(payer="BITTERN"), since=350, points=0.25)

    told = {one.segment.payer for one in detect(world.cube(), world.last) if one.tier is Tier.ALERT}

    assert told == {ALL_PAYERS, "BITTERN"}


def test_two_payers_that_change_are_two_payers(make_world):
    world = make_world(seed=34, per_day=120)
    for payer in ("ALBATROSS", "CORMORANT"):
        world.deny_more(world.of(payer=payer), since=345, points=0.12)

    told = {one.segment.payer for one in detect(world.cube(), world.last) if one.tier is Tier.ALERT}

    assert told == {"ALBATROSS", "CORMORANT"}


@pytest.mark.parametrize(
    "payers", [("ALBATROSS", "BITTERN"), ("ALBATROSS", "BITTERN", "CORMORANT")]
)
def test_what_all_of_a_few_payers_do_is_told(make_world, payers):
    """Each is compared with the others, so where all of them change none of them stands out."""
    world = all_deny_more(make_world(seed=71, per_day=60, payers=payers), points=0.08)

    told = [one for one in detect(world.cube(), world.last) if one.tier is Tier.ALERT]

    assert ALL_PAYERS in {one.segment.payer for one in told}


@pytest.mark.parametrize("changed", [("ALBATROSS", "BITTERN"), ("BITTERN", "CORMORANT")])
def test_two_of_three_payers_are_those_two(make_world, changed):
    """Two causes are likelier than one that spares the third."""
    world = make_world(seed=72, per_day=150, payers=("ALBATROSS", "BITTERN", "CORMORANT"))
    for payer in changed:
        world.deny_more(world.of(payer=payer), since=345, points=0.12)

    told = {one.segment.payer for one in detect(world.cube(), world.last) if one.tier is Tier.ALERT}

    assert told == set(changed)


def test_one_of_two_payers_is_itself(make_world):
    world = make_world(seed=80, per_day=60, payers=("ALBATROSS", "BITTERN"))
    world.deny_more(world.of(payer="ALBATROSS"), since=345, points=0.12)

    told = {one.segment.payer for one in detect(world.cube(), world.last) if one.tier is Tier.ALERT}

    assert told == {"ALBATROSS"}


def test_sparse_tenants_get_no_notice(make_world):
    """A claim a day: what moves is chance."""
    for seed in range(60, 64):
        world = make_world(seed=seed, per_day=1)

        assert [
            one for one in detect(world.cube(), world.last) if one.segment.payer == ALL_PAYERS
        ] == []


def test_payers_that_all_decide_later_are_not_told_one_by_one(make_world):
    """A new clearinghouse: three days more for everybody."""
    world = make_world(seed=35, per_day=120)
    c = world.columns
    c["decided"] = np.where(c["decided"] >= 350, c["decided"] + 3, c["decided"])

    slow = [one for one in detect(world.cube(), world.last) if one.signal is Signal.DECISION_TIME]

    assert [one for one in slow if one.tier is Tier.ALERT] == []
