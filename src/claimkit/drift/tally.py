"""From changed claims to signed deltas of the cube.

Which claims count where: only first-pass claims (rework and duplicates would count a denial
twice), and only decisions: ``paid``, ``zero_paid`` and ``partial`` count as paid, ``denied`` as its
denial category. Decisions that are none are left out: reversed, other, and the categories in
:data:`NOT_A_DECISION`.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import (
    DECISIONS,
    INFLOW,
    MAX_AGE,
    MEASURES,
    MONEY,
    PAYMENTS,
    SLICES,
    Cells,
    canonical,
)
from claimkit.drift.dimensions import slice_names
from claimkit.drift.measures import bin_of, check_readings, fixed
from claimkit.events import ClaimFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.cube import CubeTable
    from claimkit.drift.measures import Measure, Reading
    from claimkit.events import FactsChange

__all__ = ["NOT_A_DECISION", "PAID_OUTCOMES", "RATIO_BIN", "RATIO_SCALE", "tally"]

#: Denial categories that stay out of numerator and denominator: a pended claim is not decided, and
#: a payer-side duplicate (CARC 18, B13) says nothing about how the payer treats claims.
NOT_A_DECISION = frozenset({"pended", "duplicate"})

#: Outcomes that count as paid.
PAID_OUTCOMES = frozenset({"paid", "zero_paid", "partial"})
#: Fixed point of ``ratio``: ten-thousandths.
RATIO_SCALE = 10_000
#: Of these in a bin: a tenth.
RATIO_BIN = 1_000


def tally(
    changes: Sequence[FactsChange],
    *,
    dimensions: Sequence[str] = (),
    measures: Sequence[Measure] = (),
) -> Mapping[str, Cells]:
    """Return what ``changes`` add to each cube table: table name → canonical cells.

    Facts after a change count +1, facts before it −1, so that a change and its reverse leave
    nothing. Vectorized over the batch; tables that nothing touches have no rows.

    Args:
        changes: What became of which claims.
        dimensions: Further dimensions to keep. After choosing others, the cube must be rebuilt.
        measures: Further measures to keep; the same holds for them.
    """
    before = [change.before for change in changes if change.before is not None]
    after = [change.after for change in changes if change.after is not None]
    signs = np.concatenate([np.ones(len(after), np.int64), -np.ones(len(before), np.int64)])
    columns = _Columns([*after, *before], measures)
    return {
        DECISIONS.name: canonical(columns.decisions(signs)),
        MONEY.name: canonical(columns.money(signs)),
        INFLOW.name: canonical(columns.inflow(signs)),
        SLICES.name: canonical(columns.slices(signs, dimensions)),
        PAYMENTS.name: canonical(columns.payments(signs)),
        MEASURES.name: canonical(columns.measures(signs)),
    }


class _Columns:
    """Claim facts turned from rows into columns, with the rules of what counts where."""

    def __init__(self, facts: Sequence[ClaimFacts], measures: Sequence[Measure] = ()) -> None:
        self._facts = facts
        self._measures = measures
        self._readings = {one.name: check_readings(one, facts, one.read(facts)) for one in measures}
        self._superseded = np.zeros(len(facts), np.bool_)
        for one in measures:
            if one.supersedes == MONEY.name:
                told = [reading is not None for reading in self._readings[one.name]]
                self._superseded |= np.array(told, np.bool_)
        # Turned over once: a pass over a column costs a fraction of one over attributes.
        columns = zip(*facts, strict=True) if facts else repeat((), len(ClaimFacts._fields))
        self._told = dict(zip(ClaimFacts._fields, columns, strict=True))
        self._payer = self._told["payer"]
        self._group = self._told["procedure_group"]
        self._submitted, self._is_submitted = self._days("submitted_day")
        self._decided, self._is_decided = self._days("decided_day")
        self._outcome = list(
            map(
                _outcome,
                self._told["first_pass"],
                self._told["decided_day"],
                self._told["outcome"],
                self._told["category"],
            )
        )
        self._reason = [
            reason if label not in ("", "paid") else ""
            for reason, label in zip(self._told["reason"], self._outcome, strict=True)
        ]
        age = self._decided - self._submitted
        is_aged = self._is_submitted & self._is_decided & (age >= 0)
        self._age = np.where(is_aged, np.minimum(age, MAX_AGE), -1)
        self._charge = np.array(self._told["charge"], np.int64)
        self._allowed = np.array([cents or 0 for cents in self._told["allowed"]], np.int64)
        self._paid = np.array(self._told["paid"], np.int64)
        self._slice: list[str] = []
        self._counts = np.array([bool(label) for label in self._outcome], np.bool_)

    def decisions(self, signs: NDArray[np.int64]) -> Cells:
        return self._cells(
            DECISIONS,
            np.flatnonzero(self._counts),
            signs,
            numbers={"decided_day": self._decided, "age_days": self._age},
            measures={"charge": self._charge, "allowed": self._allowed, "paid": self._paid},
        )

    def money(self, signs: NDArray[np.int64]) -> Cells:
        fully_paid = np.array([one == "paid" for one in self._told["outcome"]], np.bool_)
        positive = (self._allowed > 0) & (self._charge > 0)
        rows = np.flatnonzero(self._counts & fully_paid & positive & ~self._superseded)
        ratio = np.zeros(len(self._facts), np.int64)
        logs = np.log(self._allowed[rows] / self._charge[rows])
        ratio[rows] = np.rint(logs * RATIO_SCALE).astype(np.int64)
        return self._cells(
            MONEY,
            rows,
            signs,
            numbers={
                "decided_day": self._decided,
                "ratio_bin": ratio // RATIO_BIN,
            },
            measures={"ratio": ratio, "ratio_squared": ratio * ratio, "allowed": self._allowed},
        )

    def inflow(self, signs: NDArray[np.int64]) -> Cells:
        # It waits for a decision, or got one that counts.
        waits = np.array(
            [
                outcome == "pending" or category == "pended"
                for outcome, category in zip(
                    self._told["outcome"], self._told["category"], strict=True
                )
            ],
            np.bool_,
        )
        first = np.array(self._told["first_pass"], np.bool_)
        followed = first & self._is_submitted & (waits | self._counts)
        # A decision that precedes its submission would leave the claim pending for ever.
        rows = np.flatnonzero(followed & ~(self._counts & (self._age < 0)))
        return self._cells(
            INFLOW,
            rows,
            signs,
            numbers={"submitted_day": self._submitted},
            measures={"charge": self._charge},
        )

    def slices(self, signs: NDArray[np.int64], dimensions: Sequence[str]) -> Cells:
        if not dimensions:
            return Cells.empty(SLICES)
        self._slice = slice_names(self._facts, dimensions)
        return self._cells(
            SLICES,
            np.flatnonzero(self._counts),
            signs,
            numbers={"decided_day": self._decided},
            measures={"charge": self._charge},
        )

    def payments(self, signs: NDArray[np.int64]) -> Cells:
        due = np.array([label == "paid" for label in self._outcome], np.bool_)
        due &= np.array(self._told["first_stands"], np.bool_) & (self._paid > 0)
        money, is_here = self._days("paid_day")
        days = money - self._decided
        rows = np.flatnonzero(due & (~is_here | (days >= 0)))
        wait = np.where(is_here, np.minimum(days, MAX_AGE), -1)
        return self._cells(
            PAYMENTS,
            rows,
            signs,
            numbers={"decided_day": self._decided, "wait_days": wait},
            measures={"paid": self._paid},
        )

    def measures(self, signs: NDArray[np.int64]) -> Cells:
        """Return the readings of all measures, one after the other."""
        told: list[tuple[Measure, int, Reading]] = [
            (measure, row, reading)
            for measure in self._measures
            for row, reading in enumerate(self._readings[measure.name])
            if reading is not None
        ]
        rows = np.array([row for _, row, _ in told], np.int64)
        sign = signs[rows]
        value = np.array([fixed(each.value, one.scale) for one, _, each in told], np.int64)
        labels = {
            "measure": [one.name for one, *_ in told],
            "payer": [self._payer[row] for row in rows.tolist()],
            "procedure_group": [self._group[row] for row in rows.tolist()],
        }
        return Cells.from_columns(
            MEASURES,
            labels=labels,
            numbers={
                "day": np.array([reading.day for *_, reading in told], np.int64),
                "value_bin": bin_of(value),
            },
            measures={
                "claims": sign,
                "value": value * sign,
                "value_squared": value * value * sign,
                "cents": np.array([reading.cents for *_, reading in told], np.int64) * sign,
            },
        )

    def _days(self, which: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return a column of days, 0 where there is none, and where there is one."""
        column = self._told[which]
        days = np.array([0 if day is None else day for day in column], np.int64)
        return days, np.array([day is not None for day in column], np.bool_)

    def _cells(
        self,
        table: CubeTable,
        rows: NDArray[np.int64],
        signs: NDArray[np.int64],
        *,
        numbers: Mapping[str, NDArray[np.int64]],
        measures: Mapping[str, NDArray[np.int64]],
    ) -> Cells:
        texts = {
            "payer": self._payer,
            "procedure_group": self._group,
            "outcome": self._outcome,
            "reason": self._reason,
            "slice": self._slice,
        }
        picked = rows.tolist()
        sign = signs[rows]
        return Cells.from_columns(
            table,
            labels={axis: [texts[axis][row] for row in picked] for axis in table.labels},
            numbers={axis: column[rows] for axis, column in numbers.items()},
            measures={
                "claims": sign,
                **{measure: column[rows] * sign for measure, column in measures.items()},
            },
        )


def _outcome(
    first_pass: bool,  # noqa: FBT001 - one of four columns
    decided_day: int | None,
    outcome: str,
    category: str,
) -> str:
    """Return the label of a claim's decision in the cube, ``""`` where it does not count."""
    if not first_pass or decided_day is None:
        return ""
    if outcome in PAID_OUTCOMES:
        return "paid"
    if outcome == "denied" and category not in NOT_A_DECISION:
        return category or "unmapped"
    return ""
