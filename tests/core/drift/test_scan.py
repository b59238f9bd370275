"""What is nobody's doing, or nothing at all, and must not pass for a payer's denials."""

from __future__ import annotations

import numpy as np
import pytest

from claimkit.drift.allowed import fit_allowed, scan_allowed
from claimkit.drift.baseline import Span, at_least, fit_baseline
from claimkit.drift.history import make_history
from claimkit.drift.scan import scan
from claimkit.drift.streams import Level, make_streams
from claimkit.types import day_of

SINCE = 340
SPAN = Span(150, 343, 399)


def laid_out(world):
    """Return history, baseline and streams of a world's last eight weeks."""
    history = make_history(world.cube(), as_of=day_of(world.last))
    baseline = fit_baseline(history, SPAN)
    ready = np.ones(len(history.payers), np.bool_)
    return history, baseline, make_streams(history, baseline, budgets=(0.1, 1.0), is_ready=ready)


def scores(world, level):
    """Return the scores of a level's streams on the last night."""
    history, _, streams = laid_out(world)
    reach = np.full(len(history.payers), 10**6)
    found = scan(streams, SPAN.until - 1, dead_zone=0.05, reach=reach)
    mine = streams.level == level
    return found.score[mine], streams.cell[mine], history


@pytest.fixture
def remapped(make_world):
    """A world in which surgery is counted as evaluation from one day on, for all payers."""
    world = make_world(seed=31, per_day=200)
    world.columns["rate"] = world.columns["rate"] + 0.2 * (world.columns["group"] == 3)
    moved = (world.columns["group"] == 3) & (world.columns["decided"] >= SINCE)
    world.columns["group"] = np.where(moved, 0, world.columns["group"])
    return world


def test_group_into_which_others_are_mapped_is_no_payers_doing(remapped):
    found, cell, history = scores(remapped, Level.CELL)
    is_target = np.array([history.groups[at] == "evaluation" for at in history.cell_group[cell]])

    assert (found[is_target] < 3.5).all()


def test_amounts_of_a_group_into_which_others_are_mapped_are_no_payers_doing(remapped):
    history = make_history(remapped.cube(), as_of=day_of(remapped.last))
    allowed = fit_allowed(history, SPAN)
    reach = np.full(len(history.payers), 10**6)

    of_payer, of_cell = scan_allowed(history, allowed, SPAN.until - 1, reach=reach)

    assert of_cell.score.max() < 3.5
    # Each payer allows less on the whole; that half of it came from there is told by no group.
    assert np.isfinite(of_payer.score).all()


def test_one_payer_that_changes_in_a_group_stands_out_from_the_others(make_world):
    world = make_world(seed=32, per_day=200)
    world.deny_more(world.of(payer="BITTERN", group="imaging"), since=SINCE, points=0.20)

    found, cell, history = scores(world, Level.CELL)
    best = int(cell[np.argmax(found)])

    assert found.max() > 6
    assert history.payers[history.cell_payer[best]] == "BITTERN"
    assert history.groups[history.cell_group[best]] == "imaging"
    assert np.sort(found)[-2] < 4


@pytest.mark.parametrize("later", [8, -5, -8])
def test_payer_that_decides_at_another_age_denies_no_more_than_before(make_world, later):
    """Denials take twelve days longer than payments, so their share depends on the age of claims."""
    world = make_world(seed=33, per_day=200)
    columns = world.columns
    denied = columns["draw"] < columns["rate"]
    columns["decided"] = columns["decided"] + 12 * denied + 6
    moved = world.of(payer="ALBATROSS") & (columns["decided"] >= SINCE)
    columns["decided"] = columns["decided"] + later * moved

    found, _, _ = scores(world, Level.PAYER)

    assert found.max() < 3


def test_rate_whatever_the_age_is_what_the_baseline_denied(make_world):
    history, baseline, _ = laid_out(make_world(seed=34, per_day=200))
    rows = history.decided.rows(SPAN.start, SPAN.end)
    denied = history.decided.reason[rows] >= 0
    seen = float(history.decided.claims[rows][denied].sum())

    expected = float((baseline.ageless * baseline.claims).sum())

    assert expected == pytest.approx(seen, rel=0.01)
    assert (at_least(baseline.ageless, baseline.ageless) == 1).all()


def test_group_that_is_new_is_known_as_badly_as_groups_differ(make_world):
    world = make_world(seed=35, per_day=200)
    new = world.columns["group"] == 3
    gone = new & (world.columns["decided"] < SPAN.end)
    world.columns = {name: column[~gone] for name, column in world.columns.items()}

    history, baseline, streams = laid_out(world)
    is_new = np.array([history.groups[at] == "surgery" for at in history.cell_group])
    of_payer = streams.precision[streams.level == Level.PAYER]

    # Rates are 6 to 15 %: a relative standard deviation of about 0.4.
    assert (baseline.group_error[is_new] > 0.05).all()
    assert (baseline.group_error[~is_new] < 0.02).all()
    assert (baseline.denials[is_new] < 15).all()
    # What is not known of a third of its denials is not known of the payer.
    assert (of_payer < 0.5 * baseline.payer_denials).all()
