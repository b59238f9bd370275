"""From changed claims to signed deltas of the cube.

Which claims count where: only first-pass claims (rework and duplicates would count a denial
twice), and only decisions: ``paid``, ``zero_paid`` and ``partial`` count as paid, ``denied`` as its
denial category. Decisions that are none are left out: reversed, other, and the categories in
:data:`NOT_A_DECISION`.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.cube import CubeTable
    from claimkit.drift.measures import Measure, Reading
    from claimkit.events import ClaimFacts, FactsChange

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
        self._payer = [one.payer for one in facts]
        self._group = [one.procedure_group for one in facts]
        self._outcome = [_outcome(one) for one in facts]
        self._reason = [
            one.reason if label not in ("", "paid") else ""
            for one, label in zip(facts, self._outcome, strict=True)
        ]
        self._age = np.array([_age_days(one) for one in facts], np.int64)
        self._charge = np.array([one.charge for one in facts], np.int64)
        self._allowed = np.array([one.allowed or 0 for one in facts], np.int64)
        self._paid = np.array([one.paid for one in facts], np.int64)
        self._slice: list[str] = []
        self._counts = np.array([bool(label) for label in self._outcome], np.bool_)

    def decisions(self, signs: NDArray[np.int64]) -> Cells:
        return self._cells(
            DECISIONS,
            np.flatnonzero(self._counts),
            signs,
            numbers={"decided_day": self._days("decided_day"), "age_days": self._age},
            measures={"charge": self._charge, "allowed": self._allowed, "paid": self._paid},
        )

    def money(self, signs: NDArray[np.int64]) -> Cells:
        fully_paid = np.array([one.outcome == "paid" for one in self._facts], np.bool_)
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
                "decided_day": self._days("decided_day"),
                "ratio_bin": ratio // RATIO_BIN,
            },
            measures={"ratio": ratio, "ratio_squared": ratio * ratio, "allowed": self._allowed},
        )

    def inflow(self, signs: NDArray[np.int64]) -> Cells:
        followed = np.array([_is_followed(one) for one in self._facts], np.bool_)
        # A decision that precedes its submission would leave the claim pending for ever.
        rows = np.flatnonzero(followed & ~(self._counts & (self._age < 0)))
        return self._cells(
            INFLOW,
            rows,
            signs,
            numbers={"submitted_day": self._days("submitted_day")},
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
            numbers={"decided_day": self._days("decided_day")},
            measures={"charge": self._charge},
        )

    def payments(self, signs: NDArray[np.int64]) -> Cells:
        waits = [_wait_days(one) for one in self._facts]
        rows = np.array([at for at, wait in enumerate(waits) if wait is not None], np.int64)
        wait = np.array([-1 if one is None else one for one in waits], np.int64)
        return self._cells(
            PAYMENTS,
            rows,
            signs,
            numbers={"decided_day": self._days("decided_day"), "wait_days": wait},
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

    def _days(self, which: str) -> NDArray[np.int64]:
        column = [getattr(one, which) for one in self._facts]
        return np.array([0 if day is None else day for day in column], np.int64)

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


def _outcome(facts: ClaimFacts) -> str:
    """Return the label of a claim's decision in the cube, ``""`` where it does not count."""
    if not facts.first_pass or facts.decided_day is None:
        return ""
    if facts.outcome in PAID_OUTCOMES:
        return "paid"
    if facts.outcome == "denied" and facts.category not in NOT_A_DECISION:
        return facts.category or "unmapped"
    return ""


def _age_days(facts: ClaimFacts) -> int:
    if facts.submitted_day is None or facts.decided_day is None:
        return -1
    age = facts.decided_day - facts.submitted_day
    return min(age, MAX_AGE) if age >= 0 else -1


def _wait_days(facts: ClaimFacts) -> int | None:
    """Return the days from decision to payment, -1 while it is not known; None where nothing is due."""
    if _outcome(facts) != "paid" or not facts.first_stands or facts.paid <= 0:
        return None
    if facts.decided_day is None or facts.paid_day is None:
        return -1
    wait = facts.paid_day - facts.decided_day
    return min(wait, MAX_AGE) if wait >= 0 else None


def _is_followed(facts: ClaimFacts) -> bool:
    """Whether a claim belongs to the inflow: it waits for a decision, or got one that counts."""
    if not facts.first_pass or facts.submitted_day is None:
        return False
    return facts.outcome == "pending" or facts.category == "pended" or bool(_outcome(facts))
