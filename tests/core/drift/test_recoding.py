from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.findings import Tier
from claimkit.drift.history import make_history
from claimkit.drift.lattice import LatticeDetector
from claimkit.drift.recoding import find_moves, recode
from claimkit.types import day_of

MOVED = 300
GROUPS = ("evaluation", "imaging", "laboratory", "surgery", "telehealth")


def renamed(world, source, target):
    """Report one group as another from a day of submission on."""
    columns = world.columns
    mine = columns["group"] == GROUPS.index(source)
    mine &= columns["submitted"] >= MOVED
    columns["group"] = np.where(mine, GROUPS.index(target), columns["group"])
    return world


def without(world, keep):
    world.columns = {name: column[keep] for name, column in world.columns.items()}
    return world


def history_of(world):
    return make_history(world.cube(), as_of=day_of(world.last))


def moves_of(world, until):
    history = history_of(world)
    day = day_of(world.start) + until - history.first
    return [
        (history.groups[one.source], history.groups[one.target], history.first + one.day)
        for one in find_moves(history, day)
    ]


@pytest.fixture(scope="module")
def moved(make_world):
    """A world whose imaging is called surgery from one day on, where it is priced and denied otherwise."""
    world = make_world(seed=41, per_day=120)
    columns = world.columns
    of_payer = 0.3 * (columns["payer"] % 3 - 1) * (columns["group"] == GROUPS.index("imaging"))
    columns["ratio"] = columns["ratio"] + of_payer
    columns["rate"] = np.where(
        of_payer != 0, columns["rate"] + 0.05 + of_payer / 4, columns["rate"]
    )
    return renamed(world, "imaging", "surgery")


def test_group_that_comes_under_another_name_is_found_within_days(moved):
    since = day_of(moved.start) + MOVED

    assert moves_of(moved, MOVED) == []
    ((source, target, day),) = moves_of(moved, MOVED + 7)
    assert (source, target) == ("imaging", "surgery")
    assert abs(day - since) <= 3


def test_retired_code_is_found_under_its_new_name(make_world):
    world = renamed(make_world(seed=42, per_day=60, groups=GROUPS[:4]), "laboratory", "telehealth")
    world.groups = GROUPS

    assert [pair[:2] for pair in moves_of(world, MOVED + 21)] == [("laboratory", "telehealth")]


def test_service_that_was_given_up_moved_nowhere(make_world):
    world = make_world(seed=43, per_day=120)
    c = world.columns
    is_gone = (c["group"] == GROUPS.index("imaging")) & (c["submitted"] >= MOVED)

    assert moves_of(without(world, ~is_gone), MOVED + 40) == []


def test_group_that_grows_took_over_nothing(make_world):
    """All claims of a new service come on top; nobody lacks them."""
    world = make_world(seed=44, per_day=120, groups=GROUPS)
    c = world.columns
    is_early = (c["group"] == GROUPS.index("telehealth")) & (c["submitted"] < MOVED)

    assert moves_of(without(world, ~is_early), MOVED + 40) == []


def test_two_groups_are_looked_at_as_one_since_ever(moved):
    history = history_of(moved)
    (move,) = find_moves(history, day_of(moved.start) + MOVED + 14 - history.first)
    seen = recode(history, [move])

    gone = history.cell_group == move.source
    assert not np.isin(seen.decided.cell, np.flatnonzero(gone)).any()
    assert not np.isin(seen.paid.cell, np.flatnonzero(gone)).any()
    assert seen.decided.claims.sum() == history.decided.claims.sum()
    owner = history.cell_payer
    assert (owner[seen.decided.cell] == owner[history.decided.cell]).all()
    assert recode(history, []) is history


def test_another_mapping_is_nobodys_doing(moved):
    found = LatticeDetector().detect(
        moved.cube(), as_of=moved.last, config=DriftConfig(scan_days=110)
    )

    assert [one.summary for one in found if one.tier is Tier.ALERT] == []


def test_change_after_another_mapping_is_told_and_says_what_moved(moved):
    world = dataclasses.replace(moved)
    world.columns = dict(moved.columns)
    world.deny_more(world.of(payer="BITTERN", group="surgery"), since=350, points=0.3)

    (told,) = [
        one
        for one in LatticeDetector().detect(
            world.cube(), as_of=world.last, config=DriftConfig(scan_days=70)
        )
        if one.tier is Tier.ALERT
    ]

    assert told.segment.procedure_groups == ("surgery",)
    assert abs((told.onset - world.start).days - 350) <= 4
    assert any("Claims of imaging have come as surgery since" in why for why in told.why)
    assert told.detected_on - told.onset <= dt.timedelta(days=28)
