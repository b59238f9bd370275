"""One week of nights: everything that is fitted once and scanned each night.

The baseline is refitted every seven days, on a grid of calendar days, so that a night gives the
same answer whichever run looks at it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.allowed import fit_allowed, scan_allowed
from claimkit.drift.baseline import Span, fit_baseline
from claimkit.drift.findings import Signal
from claimkit.drift.plateau import lower_allowed, raise_baseline, slow_speed
from claimkit.drift.recoding import find_moves, recode
from claimkit.drift.scan import scan, scan_swaps
from claimkit.drift.speed import fit_speed, scan_speed
from claimkit.drift.streams import SCAN_WINDOW, Level, make_streams, thresholds
from claimkit.drift.tenantwide import ALL, scan_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from claimkit.config import DriftConfig
    from claimkit.drift.history import History
    from claimkit.drift.plateau import Plateau
    from claimkit.drift.speed import AtRisk
    from claimkit.types import Day

__all__ = [
    "MIN_SCAN_WINDOW",
    "REFIT_DAYS",
    "Family",
    "Hit",
    "Week",
    "ready_on",
    "scan_length",
    "week_start",
]

#: Shortest scan range that a short history is scanned with.
MIN_SCAN_WINDOW = 14
#: Nights between two fits of the baseline.
REFIT_DAYS = 7
#: Part of the baseline's weeks in which a payer must have decided something.
_MIN_ACTIVE_PART = 0.6
#: Swaps of reasons are looked for every so many nights; they build up over weeks.
_SWAP_NIGHTS = 2


class Family(StrEnum):
    """What an incident is about; a payer has at most one open incident of each."""

    DENIAL = "denial"
    SPEED = "speed"
    ALLOWED = "allowed"
    #: All payers alike.
    TENANT = "tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A payer whose score passed a threshold on one night."""

    family: Family
    signal: Signal
    level: Level
    payer: int
    #: Length of the window that scored best.
    days: int
    score: float
    #: Thresholds: alert, then watch list.
    limits: tuple[float, float]
    #: Cell and reason of the stream that scored best; the rising reason of a swap.
    cell: int | None = None
    reason: int | None = None

    @property
    def is_alert(self) -> bool:
        """Whether the score passes the threshold for alerts, not only the watch list's."""
        return self.score > self.limits[0]


def week_start(day: int, first: int) -> int:
    """Return the position of the refit that serves position ``day`` of a history from ``first``."""
    return day - (day + first) % REFIT_DAYS


def scan_length(history: History, start: int, config: DriftConfig) -> int:
    """Return how many days before ``start`` are scanned: fewer while the history is short.

    A young tenant gives up the longest windows, not the baseline: what it cannot do is to see
    slow changes.
    """
    known = start - int(history.since.min())
    spare = known - config.min_baseline_days - MIN_SCAN_WINDOW
    return min(SCAN_WINDOW, max(MIN_SCAN_WINDOW, spare))


def ready_on(since: Day, tenant_since: Day, config: DriftConfig) -> Day:
    """Return the first night on which a payer can be tested that is known since day ``since``.

    A payer that is known as long as its tenant, two weeks more or less, waits for the shortest
    scan range, one that comes later for the longest, which the tenant has by then.
    """
    is_late = since - tenant_since > MIN_SCAN_WINDOW
    night = since + config.min_baseline_days + (SCAN_WINDOW if is_late else MIN_SCAN_WINDOW)
    return night + -night % REFIT_DAYS


class Week:
    """Baseline, streams, speed and allowed amounts for the nights of one week."""

    def __init__(self, history: History, at_risk: AtRisk, start: int, config: DriftConfig) -> None:
        end = start - scan_length(history, start, config)
        span = Span(max(0, end - config.baseline_days), end, min(history.days, start + REFIT_DAYS))
        #: What moved to another name by then, and the past with it where it is now.
        self.moves = find_moves(history, start)
        self._history = history = recode(history, self.moves)
        self._config = config
        self._budgets = (config.budget, config.watch_budget)
        self.span = span
        self.baseline = fit_baseline(history, span)
        self.is_ready = _is_ready(history, span, config)
        self.streams = make_streams(
            history, self.baseline, budgets=self._budgets, is_ready=self.is_ready
        )
        self.speed = fit_speed(history, at_risk, span)
        self.allowed = fit_allowed(history, span)
        #: The payers that are looked at on a plateau, by family and payer; empty for the others.
        self.plateaus: Mapping[tuple[Family, int], Plateau] = {}

    def on_plateaus(self, plateaus: Mapping[tuple[Family, int], Plateau]) -> Week:
        """Return the week for some payers that stand on a plateau, and for no others.

        Their streams take the place of those that look at the level before, at the same
        thresholds, so that the budget of false alerts is spent once.
        """
        raised = copy.copy(self)
        raised.plateaus = plateaus
        mine = {
            family: [one for key, one in plateaus.items() if key[0] is family] for family in Family
        }
        if mine[Family.DENIAL]:
            raised.baseline = raise_baseline(self._history, self.baseline, mine[Family.DENIAL])
            raised.streams = make_streams(
                self._history,
                raised.baseline,
                budgets=self._budgets,
                is_ready=self.is_ready & raised._stands(Family.DENIAL),
                among=self.streams,
            )
        if mine[Family.SPEED]:
            raised.speed = slow_speed(self.speed, mine[Family.SPEED])
        if mine[Family.ALLOWED]:
            raised.allowed = lower_allowed(self._history, self.allowed, mine[Family.ALLOWED])
        return raised

    def hits(self, night: int, reach: Mapping[Family, NDArray[np.int64]]) -> Iterator[Hit]:
        """Yield the payers that pass the watch threshold on ``night``, one hit per family.

        Args:
            night: Position in the history.
            reach: For each family and payer the longest window that may be used.
        """
        if not self.plateaus:
            yield from self._tenant_hits(night, reach)
        looks = {
            Family.DENIAL: self._denial_hits,
            Family.SPEED: self._speed_hits,
            Family.ALLOWED: self._allowed_hits,
        }
        for family, look in looks.items():
            if not self.plateaus:
                yield from look(night, reach[family])
            elif self._stands(family).any():
                yield from look(night, np.minimum(reach[family], self._since(family, night)))

    def _stands(self, family: Family) -> NDArray[np.bool_]:
        """Return which payers are looked at on a plateau."""
        stands = np.zeros(len(self._history.payers), np.bool_)
        stands[[payer for each, payer in self.plateaus if each is family]] = True
        return stands

    def _since(self, family: Family, night: int) -> NDArray[np.int64]:
        """Return for each payer the longest window that begins after what shows its plateau."""
        longest = np.zeros(len(self._history.payers), np.int64)
        for (each, payer), plateau in self.plateaus.items():
            if each is family:
                longest[payer] = max(0, night + 1 - plateau.end)
        return longest

    def supports(self, night: int, family: Family, payer: int) -> bool:
        """Whether a payer passes the watch threshold on ``night``, with all that is known now."""
        reach = {each: np.full(len(self._history.payers), night + 1) for each in Family}
        return any((hit.family, hit.payer) == (family, payer) for hit in self.hits(night, reach))

    def _tenant_hits(self, night: int, reach: Mapping[Family, NDArray[np.int64]]) -> Iterator[Hit]:
        if self.is_ready.sum() < 2:
            return
        rise = scan_all(
            self.streams,
            night,
            reach=int(reach[Family.TENANT][ALL]),
            budgets=self._budgets,
            is_told=reach[Family.DENIAL] <= 0,
        )
        if rise is not None and rise.score > min(rise.limits):
            yield Hit(
                family=Family.TENANT,
                signal=Signal.DENIAL_RATE,
                level=Level.TENANT,
                payer=ALL,
                days=rise.days,
                score=rise.score,
                limits=(rise.limits[0], rise.limits[1]),
                reason=rise.reason,
            )

    def _denial_hits(self, night: int, reach: NDArray[np.int64]) -> Iterator[Hit]:
        streams, dead_zone = self.streams, self._config.dead_zone
        scores = scan(streams, night, dead_zone=dead_zone, reach=reach)
        excess = scores.score - streams.limits[0]
        passed = np.flatnonzero(scores.score > np.minimum(*streams.limits))
        hit: set[int] = set()
        for payer in np.unique(streams.payer[passed]).tolist():
            mine = passed[streams.payer[passed] == payer]
            at = int(mine[np.argmax(excess[mine])])
            hit.add(payer)
            yield Hit(
                family=Family.DENIAL,
                signal=Signal.DENIAL_RATE,
                level=Level(int(streams.level[at])),
                payer=payer,
                days=int(scores.days[at]),
                score=float(scores.score[at]),
                limits=(float(streams.limits[0][at]), float(streams.limits[1][at])),
                cell=int(streams.cell[at]) if streams.cell[at] >= 0 else None,
                reason=int(streams.reason[at]) if streams.reason[at] >= 0 else None,
            )
        if self.plateaus or (night + self._history.first) % _SWAP_NIGHTS:
            return
        for swap in scan_swaps(
            streams, night, dead_zone=dead_zone, reach=reach, budgets=self._budgets
        ):
            if swap.payer not in hit:
                yield Hit(
                    family=Family.DENIAL,
                    signal=Signal.DENIAL_REASON_MIX,
                    level=Level.SWAP,
                    payer=swap.payer,
                    days=swap.days,
                    score=swap.score,
                    limits=(swap.limits[0], swap.limits[1]),
                    reason=swap.reason,
                )

    def _speed_hits(self, night: int, reach: NDArray[np.int64]) -> Iterator[Hit]:
        scores = scan_speed(self.speed, night, reach=reach)
        tested = self.is_ready & self.speed.is_ready
        limits = self._limits(Level.SPEED, float(len(self._history.payers)))
        for payer in np.flatnonzero(tested & (scores.score > min(limits))).tolist():
            yield Hit(
                family=Family.SPEED,
                signal=Signal.DECISION_TIME,
                level=Level.SPEED,
                payer=payer,
                days=int(scores.days[payer]),
                score=float(scores.score[payer]),
                limits=limits,
            )

    def _allowed_hits(self, night: int, reach: NDArray[np.int64]) -> Iterator[Hit]:
        history, allowed = self._history, self.allowed
        of_payer, of_cell = scan_allowed(history, allowed, night, reach=reach)
        limits = self._limits(Level.ALLOWED_PAYER, float(len(history.payers)))
        cell_limits = self._limits(Level.ALLOWED_CELL, float(allowed.is_tested.sum()))
        for payer in np.flatnonzero(self.is_ready).tolist():
            cells = history.cells_of(payer)
            at = cells.start + int(np.argmax(of_cell.score[cells]))
            by_payer = float(of_payer.score[payer]) - limits[0]
            by_cell = float(of_cell.score[at]) - cell_limits[0]
            is_payer = by_payer >= by_cell
            score, days, mine = (
                (of_payer.score[payer], of_payer.days[payer], limits)
                if is_payer
                else (of_cell.score[at], of_cell.days[at], cell_limits)
            )
            if score > min(mine):
                yield Hit(
                    family=Family.ALLOWED,
                    signal=Signal.ALLOWED_AMOUNT,
                    level=Level.ALLOWED_PAYER if is_payer else Level.ALLOWED_CELL,
                    payer=payer,
                    days=int(days),
                    score=float(score),
                    limits=mine,
                    cell=None if is_payer else at,
                )

    def _limits(self, level: Level, streams: float) -> tuple[float, float]:
        alert, watch = thresholds(level, streams, self._budgets)
        return alert, watch


def _is_ready(history: History, span: Span, config: DriftConfig) -> NDArray[np.bool_]:
    """Return which payers have enough history: long enough, and without a hole in it."""
    days = span.end - np.maximum(span.start, history.since)
    rows = history.decided.rows(span.start, span.end)
    payer = history.cell_payer[history.decided.cell[rows]]
    week = (history.decided.day[rows] - span.start) // 7
    weeks = (span.end - span.start) // 7 + 1
    active = np.zeros((len(history.payers), weeks), np.bool_)
    active[payer, week] = True
    wanted = _MIN_ACTIVE_PART * config.min_baseline_days / 7
    ready: NDArray[np.bool_] = (days >= config.min_baseline_days) & (active.sum(1) >= wanted)
    return ready
