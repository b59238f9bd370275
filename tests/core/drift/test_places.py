from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.cube import SLICES, Cells, canonical
from claimkit.drift.lattice import LatticeDetector, replay
from claimkit.types import day_of

ONSET = 340
FACILITIES = ("11", "22", "81")
PLANS = ("HMO", "MA", "PPO")


@pytest.fixture
def with_slices():
    def build(world, *, facility, plan):
        c = world.columns
        known = c["decided"] <= world.day(world.last)
        denied = c["draw"] < c["rate"]
        names = [
            f'{{"facility":"{one}","line_of_business":"{two}"}}'
            for one in FACILITIES
            for two in PLANS
        ]
        cube = dict(world.cube())
        outcomes = cube["decisions"].names["outcome"]
        reasons = ("authorization_referral", "bundling", "eligibility", "missing_info_docs")
        cube["slices"] = canonical(
            Cells(
                table=SLICES,
                names={
                    "payer": world.payers,
                    "procedure_group": world.groups,
                    "outcome": ("paid", *reasons),
                    "slice": names,
                },
                labels={
                    "payer": c["payer"][known],
                    "procedure_group": c["group"][known],
                    "outcome": np.where(denied, c["reason"] + 1, 0)[known],
                    "slice": (facility * len(PLANS) + plan)[known],
                },
                numbers={"decided_day": (c["decided"] + day_of(world.start))[known]},
                measures={
                    "claims": np.ones(int(known.sum()), np.int64),
                    "charge": c["charge"][known],
                },
            )
        )
        assert set(outcomes) == {"paid", *reasons}
        return cube

    return build


@pytest.fixture
def place(make_world):
    """Return a world with the facility and plan of each claim, independent of all else."""
    world = make_world(days=418, per_day=160)
    rng = np.random.default_rng(20260505)
    size = len(world.columns["payer"])
    return world, rng.integers(0, 3, size), rng.integers(0, 3, size)


def alert(world, cube):
    found = LatticeDetector().detect(cube, as_of=world.last, config=DriftConfig())
    return next(one for one in found if one.segment.payer == "ALBATROSS")


def test_change_at_one_facility_is_told_with_its_numbers(place, with_slices):
    world, facility, plan = place
    world.deny_more(world.of(payer="ALBATROSS") & (facility == 1), since=ONSET, points=0.30)

    found = alert(world, with_slices(world, facility=facility, plan=plan))

    assert found.places == {"facility": ("22",)}
    assert found.summary.endswith("; the change is at facility 22.")
    observed, expected, claims = found.evidence.places["facility"]["22"]
    assert (observed - expected) / claims == pytest.approx(0.30, abs=0.06)
    assert next(iter(found.evidence.places["facility"])) == "22"
    assert set(found.evidence.places["line_of_business"]) == set(PLANS)


def test_change_of_one_plan_at_two_facilities_names_both_dimensions(place, with_slices):
    world, facility, plan = place
    mask = world.of(payer="ALBATROSS") & (facility != 2) & (plan == 1)
    world.deny_more(mask, since=ONSET, points=0.45)

    found = alert(world, with_slices(world, facility=facility, plan=plan))

    assert found.places == {"facility": ("11", "22"), "line_of_business": ("MA",)}


def test_change_everywhere_names_no_place(place, with_slices):
    world, facility, plan = place
    world.deny_more(world.of(payer="ALBATROSS"), since=ONSET, points=0.12)

    found = alert(world, with_slices(world, facility=facility, plan=plan))

    assert found.places == {}
    assert set(found.evidence.places) == {"facility", "line_of_business"}


def test_facility_that_was_always_worse_is_not_the_place(place, with_slices):
    world, facility, plan = place
    world.deny_more(facility == 0, since=0, points=0.20)
    world.deny_more(world.of(payer="ALBATROSS"), since=ONSET, points=0.12)

    assert alert(world, with_slices(world, facility=facility, plan=plan)).places == {}


def test_without_slices_nothing_is_narrowed(place):
    world, facility, _ = place
    world.deny_more(world.of(payer="ALBATROSS") & (facility == 1), since=ONSET, points=0.30)

    found = alert(world, world.cube())

    assert (found.places, found.evidence.places) == ({}, {})


def test_replay_narrows_too(place, with_slices):
    world, facility, plan = place
    world.deny_more(world.of(payer="ALBATROSS") & (facility == 1), since=ONSET, points=0.30)
    cube = with_slices(world, facility=facility, plan=plan)

    found = replay(
        cube, start=world.start + dt.timedelta(days=300), end=world.last, config=DriftConfig()
    )

    assert {one.segment.payer: one.places for one in found}["ALBATROSS"] == {"facility": ("22",)}
