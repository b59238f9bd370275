"""Procedure groups whose claims come under another name since some day: a mapping, retired codes.

From one day on a group has hardly any claims, whoever the payer, and another one has as many more, payer
by payer. What is counted there is no longer what it was: rates and prices of the two are
mixed, differently for each payer, and that is no payer's doing. Looked at together since ever, as one
group, both are what they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.history import OTHER_GROUPS
from claimkit.drift.statistics import poisson_loss, sum_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from claimkit.drift.history import History

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Move", "find_moves", "recode"]

#: Days before a move that say how many claims a group usually has.
_USUAL_DAYS = 182
#: Claims that must be missing, and the part of them that may still come under the old name.
_MIN_MISSING = 20.0
_TRICKLE = 0.05
#: Log likelihood ratio of "they all come there now" against chance, and against the next best group.
_EVIDENCE = 10.0
_MARGIN = 4.0
#: What a group has more must be what the other one lacks, give or take this part of it.
_TOLERANCE = 0.4
#: Nothing is expected less often than this; a group without any past may have a claim.
_LEAST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Claims of one group that come under another one's name; numbers index ``History.groups``."""

    source: int
    target: int
    #: Position in the history of the first submission day.
    day: int


def find_moves(history: History, until: int) -> tuple[Move, ...]:
    """Return the groups that moved, as the submissions before day ``until`` show them.

    The day is the likeliest one, for Poisson counts, since when a group is all but gone. Where
    its claims are now is the group whose counts, payer by payer, are the likeliest with them added.
    Only whole groups are found: a part of one is seen as a change of what payers share in it.
    """
    arrived = history.arrived
    known = slice(0, int(np.searchsorted(arrived.day, until)))
    day, claims = arrived.day[known], arrived.claims[known]
    cell = arrived.cell[known].astype(np.int64)
    groups = len(history.groups)
    daily = sum_by(history.cell_group[cell] * until + day, claims, groups, until)
    moves: list[Move] = []
    added = np.zeros(history.cells)
    for source, since in _vanished(daily, history.groups):
        is_before = (day < since) & (day >= since - _USUAL_DAYS)
        before = sum_by(cell[is_before], claims[is_before], history.cells)
        after = sum_by(cell[day >= since], claims[day >= since], history.cells)
        owner = history.cell_payer
        pace = history.by_payer(after) / np.maximum(history.by_payer(before), 1.0)
        usual = before * pace[owner]
        target = _target(history, source, usual + added, after)
        if target is not None:
            moves.append(Move(source=source, target=target, day=since))
            added += _at(history, usual, source, target)
    return tuple(moves)


def recode(history: History, moves: Sequence[Move]) -> History:
    """Return the history with all decisions of groups that moved in the groups where they are now."""
    if not moves:
        return history
    cells = np.arange(history.cells)
    for move in moves:
        for payer in range(len(history.payers)):
            where = history.cells_of(payer)
            group = history.cell_group[where]
            to = np.flatnonzero(group == move.target)
            if len(to):
                moved = history.cell_group[cells] == move.source
                cells[moved & (history.cell_payer == payer)] = where.start + int(to[0])
    decided, paid = history.decided, history.paid
    return replace(
        history,
        decided=replace(decided, cell=cells[decided.cell]),
        paid=replace(paid, cell=cells[paid.cell]),
    )


def _vanished(daily: Floats, names: Sequence[str]) -> list[tuple[int, int]]:
    """Return the groups that are all but gone and the day since when, the largest loss first."""
    groups, days = daily.shape
    total = daily.sum(0)
    upto = np.concatenate([np.zeros((groups, 1)), daily.cumsum(1)], 1)
    all_upto = np.concatenate([[0.0], total.cumsum()])
    start = np.maximum(np.arange(days) - _USUAL_DAYS, 0)
    before = upto[:, :-1] - upto[:, start]
    share = before / np.maximum(all_upto[:-1] - all_upto[start], 1.0)
    expected = share * (all_upto[-1] - all_upto[:-1])
    seen = upto[:, -1:] - upto[:, :-1]
    is_gone = (expected >= _MIN_MISSING) & (seen <= _TRICKLE * expected)
    evidence = np.where(is_gone, poisson_loss(seen, np.maximum(expected, _LEAST)), 0.0)
    since = evidence.argmax(1)
    found = [
        (float(expected[group, since[group]]), group)
        for group in range(groups)
        if evidence[group, since[group]] > 0 and names[group] != OTHER_GROUPS
    ]
    return [(group, int(since[group])) for _, group in sorted(found, reverse=True)]


def _target(history: History, source: int, usual: Floats, after: Floats) -> int | None:
    """Return the group in which a vanished one's claims are now; None where that is not clear."""
    payers, groups = len(history.payers), len(history.groups)
    where = history.cell_payer, history.cell_group
    expected, seen = np.zeros((payers, groups)), np.zeros((payers, groups))
    expected[where], seen[where] = usual, after
    missing = expected[:, [source]]
    expected = np.maximum(expected, _LEAST)
    gain = (seen * np.log1p(missing / expected) - missing).sum(0)
    more = (seen - expected).sum(0) / max(float(missing.sum()), 1e-9)
    gain[np.abs(more - 1) > _TOLERANCE] = -np.inf
    gain[source] = -np.inf
    best, second = np.argsort(-gain, kind="stable")[:2].tolist() if groups > 1 else (0, 0)
    is_clear = gain[best] >= _EVIDENCE and gain[best] - gain[second] >= _MARGIN
    return best if is_clear else None


def _at(history: History, usual: Floats, source: int, target: int) -> Floats:
    """Return what is usual of the source's cells at the target's cells of the same payers."""
    moved = np.zeros(len(history.payers))
    mine = history.cell_group == source
    moved[history.cell_payer[mine]] = usual[mine]
    return np.where(history.cell_group == target, moved[history.cell_payer], 0.0)
