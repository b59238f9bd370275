"""Measures: what a plugin may watch beside denials, money and time, as one number for each claim.

A measure reads a value from the facts of a claim; everything after that is the same for all: cells of
the cube (:data:`~claimkit.drift.cube.MEASURES`), what was usual, over-dispersion, thresholds within
the budget of false alarms, findings and their life. The detector that watches a measure has its
name, so ``DRIFT.DETECTORS`` chooses it.

Values are winsorized, weighted by precision and compared in units of the measure's ``scale``, by the
method of allowed amounts (:mod:`claimkit.drift.allowed`).
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from claimkit.drift.wording import date_words, group_words, share_words
from claimkit.errors import PluginBroken
from claimkit.types import day_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from claimkit.events import ClaimFacts
    from claimkit.types import Cents, Day

__all__ = [
    "Measure",
    "MeasuredChange",
    "PartialPayments",
    "Reading",
    "bin_of",
    "check_readings",
    "fixed",
]

#: Fixed point of a value: ten-thousandths of the scale; a bin is a tenth.
_FIXED_POINT = 10_000
_BIN = 1_000
#: Largest value in units of the scale, whose squares still sum up in 64 bits.
_LARGEST = 100.0
_PAID = frozenset({"paid", "partial"})
_FIRST_DAY, _LAST_DAY = day_of(dt.date.min), day_of(dt.date.max)


class Reading(NamedTuple):
    """What a measure says of one claim."""

    #: The day that the claim counts for: what is drifting is seen on this axis.
    day: Day
    #: In the measure's own unit; beyond 100 times its scale it counts as that far.
    value: float
    #: Money that the measure's own :meth:`Measure.dollars` works with.
    cents: Cents = 0


class MeasuredChange(NamedTuple):
    """How a measure changed in a segment, for its words and its money; in the measure's unit."""

    payer: str
    #: Sorted procedure groups; empty means all of the payer.
    procedure_groups: tuple[str, ...]
    onset: dt.date
    #: Last day that was looked at.
    as_of: dt.date
    #: What was usual, or the reference, and the mean since.
    before: float
    since: float
    #: Claims and the sum of their cents, from the onset to ``as_of``.
    claims: int
    cents: Cents

    @property
    def days(self) -> int:
        """Days from the onset to ``as_of``, both included; at least 1."""
        return max(1, (self.as_of - self.onset).days + 1)


class Measure(Protocol):
    """Registered by ``claimkit_register_measures``."""

    #: Name of the measure and of its detector, in lower case with digits and underscores; at most 64.
    name: str
    #: What its findings are told in, ``share``, ``days``, ``log_ratio``, ``claims``, or another word
    #: of at most 16 letters.
    unit: str
    #: Which way people want to hear of.
    worse: Literal["up", "down"]
    #: What is one for the statistics, by which values are divided. A change of 0.4 % of it is never
    #: told, and values further than half of it from the usual one count as that far.
    scale: float
    #: What values should be; None compares with the payer's own past.
    reference: float | None
    #: Table whose rows the claims leave that the measure reads: ``money`` or ``""``.
    supersedes: str

    def read(self, facts: Sequence[ClaimFacts]) -> Sequence[Reading | None]:
        """Return the reading of each claim, None where it has none; pure, the same for equal facts."""
        ...

    def dollars(self, change: MeasuredChange) -> Cents:
        """Return the money at risk per 30 days, in cents; zero where it is not about money."""
        ...

    def words(self, change: MeasuredChange) -> str:
        """Return one sentence that says what changed, with payer, onset and size."""
        ...


class PartialPayments:
    """How often a payer pays only a part of a claim's services, which no denial rate counts.

    Not watched unless ``DRIFT.DETECTORS`` names ``partial_payment``.
    """

    name = "partial_payment"
    unit = "share"
    worse: Literal["up", "down"] = "up"
    #: With two, a share of 0 or 1 is never far enough from the usual one to be cut.
    scale = 2.0
    reference: float | None = None
    supersedes = ""

    def read(self, facts: Sequence[ClaimFacts]) -> Sequence[Reading | None]:
        """Return 1 for claims paid in part and 0 for claims paid in full, by day of decision."""
        return [
            Reading(one.decided_day, float(one.outcome == "partial"))
            if one.first_pass and one.decided_day is not None and one.outcome in _PAID
            else None
            for one in facts
        ]

    def dollars(self, change: MeasuredChange) -> Cents:  # noqa: ARG002 - what part is lost, no claim tells
        """Return zero: claims do not tell how much of them was refused."""
        return 0

    def words(self, change: MeasuredChange) -> str:
        """Return how many claims are paid in part, and how many were."""
        return (
            f"{change.payer} pays {share_words(change.since)} of "
            f"{group_words(change.procedure_groups)} only in part since "
            f"{date_words(change.onset)}, where {share_words(change.before)} were usual."
        )


def fixed(value: float, scale: float) -> int:
    """Return a value in units of the scale in fixed point, so that sums are exact in any order.

    >>> fixed(0.5, scale=2.0), fixed(-1e9, scale=1.0)
    (2500, -1000000)
    """
    return round(min(max(value / scale, -_LARGEST), _LARGEST) * _FIXED_POINT)


def bin_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bins of values in fixed point, each a tenth of the scale."""
    bins: NDArray[np.int64] = values // _BIN
    return bins


def check_readings(
    measure: Measure, facts: Sequence[ClaimFacts], readings: Sequence[Reading | None]
) -> Sequence[Reading | None]:
    """Return the readings if the cube can hold them.

    Raises:
        PluginBroken: not one per claim, a value that is no number, or a day that is none.
    """
    if len(readings) != len(facts):
        raise PluginBroken(
            f"measure {measure.name!r} read {len(readings)} of {len(facts)} claims; "
            "it must say None where it has nothing to say"
        )
    for one in readings:
        if one is None:
            continue
        if not math.isfinite(one.value):
            raise PluginBroken(f"measure {measure.name!r} read a value that is no number")
        if not _FIRST_DAY <= one.day <= _LAST_DAY:
            raise PluginBroken(f"measure {measure.name!r} read a day that no calendar has")
    return readings
