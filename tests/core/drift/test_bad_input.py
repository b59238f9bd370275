"""Bad and poor input: a clear state each, no false alarm, no crash."""

from __future__ import annotations

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.cube import DECISIONS, INFLOW, MONEY, Cells
from claimkit.drift.findings import Tier
from claimkit.drift.lattice import LatticeDetector
from claimkit.drift.power import PayerState, watched_payers

CONFIG = DriftConfig(scan_days=60)


def alerts(world, cube=None):
    found = LatticeDetector().detect(cube or world.cube(), as_of=world.last, config=CONFIG)
    return [one for one in found if one.tier is Tier.ALERT]


def states(world, cube=None):
    decisions = (cube or world.cube())[DECISIONS.name]
    watched = watched_payers(decisions, as_of=world.last, config=CONFIG)
    return {one.payer: one.state for one in watched}


def keep(world, mask):
    world.columns = {name: column[mask] for name, column in world.columns.items()}
    return world


def every(world, nth):
    return np.arange(len(world.columns["payer"])) % nth == 0


def test_decisions_before_their_submission_count_as_decisions_of_unknown_age(make_world):
    world = make_world(seed=50)
    c = world.columns
    c["decided"] = np.where(every(world, 3), c["submitted"] - 5, c["decided"])

    assert alerts(world) == []
    assert set(states(world).values()) == {PayerState.WATCHED}


def test_decisions_in_the_far_future_are_not_seen_yet(make_world):
    world = make_world(seed=51)
    c = world.columns
    c["decided"] = np.where(every(world, 50), c["decided"] + 4_000, c["decided"])

    assert alerts(world) == []
    assert set(states(world).values()) == {PayerState.WATCHED}


def test_submissions_in_the_far_future_are_not_seen_yet(make_world):
    """Decided before they are sent, by a slip of the year: of unknown age where they are decided."""
    world = make_world(seed=62)
    c = world.columns
    c["submitted"] = np.where(every(world, 50), c["submitted"] + 3_650, c["submitted"])

    assert alerts(world) == []
    assert set(states(world).values()) == {PayerState.WATCHED}


def test_amounts_of_zero_and_below_leave_denials_as_they_are(make_world):
    world = make_world(seed=1, per_day=80)
    world.deny_more(world.of(payer="BITTERN", group="imaging"), since=340, points=0.35)
    cube = dict(world.cube())
    decisions = cube[DECISIONS.name]
    sign = np.where(np.arange(len(decisions)) % 3 == 0, -1, 0)
    amounts = {name: decisions.measures[name] * sign for name in ("charge", "allowed", "paid")}
    cube[DECISIONS.name] = Cells(
        table=DECISIONS,
        names=decisions.names,
        labels=decisions.labels,
        numbers=decisions.numbers,
        measures={"claims": decisions.measures["claims"], **amounts},
    )
    cube[MONEY.name] = Cells.empty(MONEY)

    (found,) = alerts(world, cube)

    assert found.segment.payer == "BITTERN"
    assert found.dollars_per_month == 0


def test_one_claim_a_month_is_silence(make_world):
    world = make_world(seed=53)
    keep(world, every(world, 1_300))

    assert alerts(world) == []
    assert PayerState.WATCHED not in states(world).values()


def test_a_single_payer_is_watched_against_its_own_past(make_world):
    quiet = make_world(seed=54, payers=("ALBATROSS",))
    drifting = make_world(seed=54, payers=("ALBATROSS",))
    drifting.deny_more(drifting.of(payer="ALBATROSS"), since=360, points=0.15)

    assert alerts(quiet) == []
    assert [one.segment.payer for one in alerts(drifting)] == ["ALBATROSS"]


def test_where_everything_is_denied_nothing_can_rise(make_world):
    world = make_world(seed=55)
    world.columns["rate"] = np.full_like(world.columns["rate"], 1.1)

    assert alerts(world) == []
    assert set(states(world).values()) == {PayerState.SPARSE}


def test_where_nothing_was_ever_denied_the_first_denials_are_news(make_world):
    quiet = make_world(seed=56)
    quiet.columns["rate"] = np.full_like(quiet.columns["rate"], -1.0)
    world = make_world(seed=56)
    world.columns["rate"] = np.full_like(world.columns["rate"], -1.0)
    world.deny_more(world.of(payer="BITTERN"), since=370, points=1.2)

    assert alerts(quiet) == []
    assert set(states(quiet).values()) == {PayerState.WATCHED}
    assert [one.segment.payer for one in alerts(world)] == ["BITTERN"]


def test_a_year_that_is_missing_is_no_drift(make_world):
    world = make_world(seed=57, days=800)
    submitted = world.columns["submitted"]
    keep(world, (submitted < 200) | (submitted >= 565))

    assert alerts(world) == []


@pytest.mark.parametrize("table", [DECISIONS, MONEY, INFLOW], ids=lambda one: one.name)
def test_a_table_without_rows_is_no_drift(make_world, table):
    world = make_world(seed=58)
    cube = {**world.cube(), table.name: Cells.empty(table)}

    assert alerts(world, cube) == []


def test_a_payer_that_comes_late_is_learning(make_world):
    world = make_world(seed=59)
    late = world.of(payer="BITTERN") & (world.columns["submitted"] < 330)
    keep(world, ~late)

    assert alerts(world) == []
    assert states(world)["BITTERN"] is PayerState.LEARNING
    assert states(world)["ALBATROSS"] is PayerState.WATCHED


def test_a_procedure_group_that_comes_late_is_expected_to_be_like_its_payer(make_world):
    """Denied like the rest of its payer, where payers deny a tenth of what is usual elsewhere."""
    world = make_world(seed=61, per_day=120)
    world.columns["rate"] = np.full_like(world.columns["rate"], 0.02)
    late = (world.columns["group"] == world.groups.index("imaging")) & (
        world.columns["submitted"] < 350
    )
    keep(world, ~late)

    assert alerts(world) == []
