"""The plateau on which a payer stands since a change: what is normal while that change goes on.

An open incident must not hide the next one of the same payer. From the days after it was told,
which nobody selected, the level that it brought is learned, and what comes on top of that level is
scanned for like any first change. Those days are few, so the level is known badly at first, and
scores allow for that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.allowed import drops_by_cell
from claimkit.drift.localize import total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.allowed import Allowed
    from claimkit.drift.baseline import Baseline
    from claimkit.drift.history import History
    from claimkit.drift.localize import Totals
    from claimkit.drift.speed import Speed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["SETTLE_DAYS", "Plateau", "lower_allowed", "raise_baseline", "slow_speed"]

#: Days after an incident was told from which its level is learned, at least.
SETTLE_DAYS = 14
#: The days that told of a change were chosen by it, so they weigh no more than this part of the
#: days after them.
_SELECTED_WEIGHT = 0.5
#: Prior weight, in denials, of "as ever": of the place that changed, and of the payer's rest.
_INSIDE_DENIALS = 1.0
_OUTSIDE_DENIALS = 100.0
#: Nothing is known worse than this.
_LEAST = 0.01
#: Prior weight of a cell's rate, in claims, of its reasons, in denials, and of its allowed amounts.
_CELL_CLAIMS = 100.0
_REASON_DENIALS = 15.0
_ALLOWED_CLAIMS = 50.0
_MAX_RATE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """Which days show the level of a change; positions in the history."""

    payer: int
    onset: int
    #: Days that nobody selected: ``start <= day < end``. Windows may begin with ``end``.
    start: int
    end: int
    #: Where the payer changed; None means all of it.
    cells: tuple[int, ...] | None = None


def raise_baseline(history: History, baseline: Baseline, plateaus: Sequence[Plateau]) -> Baseline:
    """Return the baseline with the rates and reasons of some payers as they are on their plateaus.

    Rates are the posterior means of Poisson counts with gamma priors, first of the place that changed
    and of the payer's rest, then of each cell around its part; the precision is what the counts give.
    """
    raised = _Raised(baseline)
    for one in plateaus:
        raised.take(_reference(history, baseline, one), one, history)
    return raised.baseline()


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """Weighed sums over the days of a plateau, by cell of one payer."""

    claims: Floats
    observed: Floats
    expected: Floats
    reasons: Floats


def _reference(history: History, baseline: Baseline, plateau: Plateau) -> _Reference:
    cells = history.cells_of(plateau.payer)

    def sums(start: int, end: int) -> _Reference:
        totals: Totals = total(history, baseline, start, end)
        usual = totals.shared.ratio[0, plateau.payer, 0]
        return _Reference(
            totals.claims[cells],
            totals.observed[cells],
            totals.expected[cells] * usual,
            totals.reasons[cells],
        )

    after = sums(plateau.start, plateau.end)
    if plateau.onset >= plateau.start:
        return after
    selected = sums(plateau.onset, plateau.start)
    part = float(after.expected.sum()) / max(float(selected.expected.sum()), 1e-9)
    weight = _SELECTED_WEIGHT * min(1.0, part)
    return _Reference(
        after.claims + weight * selected.claims,
        after.observed + weight * selected.observed,
        after.expected + weight * selected.expected,
        after.reasons + weight * selected.reasons,
    )


class _Raised:
    """A baseline on its way to plateaus."""

    def __init__(self, baseline: Baseline) -> None:
        self._old = baseline
        self._new = {
            name: getattr(baseline, name).copy()
            for name in (
                "rate",
                "ageless",
                "share",
                "claims",
                "denials",
                "payer_denials",
                "payer_reasons",
                "reason_denials",
                "typical_payer",
                "typical_cell",
                "typical_payer_reason",
            )
        }

    def baseline(self) -> Baseline:
        """Return the baseline as it is raised."""
        return replace(self._old, **self._new)

    def take(self, seen: _Reference, plateau: Plateau, history: History) -> None:
        """Raise one payer."""
        where = history.cells_of(plateau.payer)
        payer, many = plateau.payer, seen.reasons.shape[1]
        error, level = 0.0, 0.0
        of_reason, reason_error = np.zeros(many), np.zeros(many)
        for part, prior in _parts(plateau, where):
            known, due, by_reason, known_reason = self._raise_part(seen, where.start, part, prior)
            error, level = error + due**2 / known, level + due
            reason_error += by_reason**2 / known_reason
            of_reason += by_reason
        new, old = self._new, self._old
        before = float(seen.expected.sum())
        new["payer_denials"][payer] = max(level**2 / max(error, 1e-12), _INSIDE_DENIALS)
        new["payer_reasons"][payer] = np.maximum(
            of_reason**2 / np.maximum(reason_error, 1e-12), _LEAST
        )
        grown = level / max(before, 1e-9)
        new["typical_payer"][payer] = 1 + (old.typical_payer[payer] - 1) * grown
        new["typical_cell"][where] = 1 + (old.typical_cell[where] - 1) * grown
        new["typical_payer_reason"][payer] = 1 + (old.typical_payer_reason[payer] - 1) * grown
        new["claims"][where] = np.maximum(seen.claims, 1.0)

    def _raise_part(
        self, seen: _Reference, first: int, part: Ints, prior: float
    ) -> tuple[float, float, Floats, Floats]:
        """Raise some cells of a payer; return denials known and due, and the same by reason."""
        old, new, at = self._old, self._new, part + first
        observed, expected = seen.observed[part], seen.expected[part]
        rate, share = old.rate[at], old.share[at]
        total_due, total_seen = float(expected.sum()), float(observed.sum())
        known = total_seen + prior
        factor = known / (total_due + prior)
        usual = np.minimum(rate * factor, _MAX_RATE)
        behind = expected / np.maximum(rate, 1e-9) + _CELL_CLAIMS
        new["rate"][at] = np.minimum((observed + _CELL_CLAIMS * usual) / behind, _MAX_RATE)
        new["ageless"][at] = old.ageless[at] * new["rate"][at] / np.maximum(rate, 1e-9)
        own = observed + _CELL_CLAIMS * usual
        new["denials"][at] = _together(own, known)
        weight = expected[:, None] + 1e-9
        mean = (weight * share).sum(0) / weight.sum()
        prior_reason = max(prior, _REASON_DENIALS) * mean
        reasons = seen.reasons[part]
        known_reason = reasons.sum(0) + prior_reason
        moved = known_reason / known_reason.sum() / np.maximum(mean, 1e-9)
        middle = share * moved
        middle /= middle.sum(1, keepdims=True)
        own_reason = reasons + _REASON_DENIALS * middle
        new["share"][at] = own_reason / own_reason.sum(1, keepdims=True)
        new["reason_denials"][at] = _together(own_reason, known_reason)
        due = total_due * factor
        return known, due, due * mean * moved, np.maximum(known_reason, 1e-9)


def _together(own: Floats, shared: Floats | float) -> Floats:
    """Return the precision of a value that is known around another one, which is known itself."""
    precision: Floats = 1 / (1 / np.maximum(own, _LEAST) + 1 / np.maximum(shared, _LEAST))
    return precision


def _parts(plateau: Plateau, where: slice) -> Iterator[tuple[Ints, float]]:
    """Yield the payer's cells that changed and the others, each with the weight of "as ever"."""
    cells = np.arange(where.stop - where.start)
    if plateau.cells is None:
        yield cells, _INSIDE_DENIALS
        return
    inside = np.isin(cells + where.start, plateau.cells)
    yield cells[inside], _INSIDE_DENIALS
    if not inside.all():
        yield cells[~inside], _OUTSIDE_DENIALS


def lower_allowed(history: History, allowed: Allowed, plateaus: Sequence[Plateau]) -> Allowed:
    """Return what is usual of allowed amounts, with some payers as they are on their plateaus."""
    step = np.zeros(history.cells)
    precision = allowed.precision.copy()
    for one in plateaus:
        where = history.cells_of(one.payer)
        score, weight = drops_by_cell(history, allowed, one.payer, one.start, one.end)
        prior = _ALLOWED_CLAIMS / allowed.variance[where]
        for part, _ in _parts(one, where):
            known = float(weight[part].sum())
            mean = float(score[part].sum()) / known if known > 0 else 0.0
            at = part + where.start
            step[at] = (score[part] + prior[part] * mean) / (weight[part] + prior[part])
            precision[at] = _together(weight[part] + prior[part], known)
    return replace(
        allowed,
        mean=allowed.mean + step,
        precision=precision,
        score=allowed.score - step[:, None] * allowed.weight,
    )


def slow_speed(speed: Speed, plateaus: Sequence[Plateau]) -> Speed:
    """Return decisions due, with some payers as slow as on their plateaus."""
    expected, known = speed.expected.copy(), speed.known.copy()
    for one in plateaus:
        start, end = (
            min(max(0, day - speed.start), expected.shape[1] - 1) for day in (one.start, one.end)
        )
        due = float(expected[one.payer, end] - expected[one.payer, start])
        seen = float(speed.observed[one.payer, end] - speed.observed[one.payer, start])
        pace = min((seen + 1) / (due + 1), 1.0)
        expected[one.payer] *= pace
        known[one.payer] = max(due * pace, 1e-6)
    return replace(speed, expected=expected, known=known)
