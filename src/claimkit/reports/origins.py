"""Where the numbers of a report come from, as data: which cells, findings, files and alerts.

A :class:`Trace` names one number of a document, what it was made of, and how. The same method over
the same origins gives the number again (:func:`recompute`), in any program that can read a cube.
Which number has which trace is told by :mod:`claimkit.reports.trace`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from claimkit.drift.cube import DECISIONS
from claimkit.drift.power import smallest_change
from claimkit.drift.wording import category_words, date_words
from claimkit.reports.movement import beyond_chance, movement_of
from claimkit.reports.periods import Period, PeriodKind
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding
    from claimkit.reports.document import Value, ValueKind

__all__ = [
    "AlertOrigin",
    "CellOrigin",
    "FileOrigin",
    "FindingOrigin",
    "Holdings",
    "Method",
    "Origin",
    "Trace",
    "method_words",
    "origin_words",
    "recompute",
]

#: Outcome of a cell origin that stands for every category of denials.
_DENIED = "denied"


class Method(StrEnum):
    """How a number is made of its origins a, b, …, in their order."""

    #: a
    VALUE = "value"
    #: The sum of those above zero.
    POSITIVE_SUM = "positive_sum"
    #: a / b; nothing where b is 0.
    SHARE = "share"
    #: a / b; 0 where b is 0.
    PART = "part"
    #: a to the whole number.
    ROUNDED = "rounded"
    #: eᵃ
    EXP = "exp"
    #: eᵃ − 1
    EXPM1 = "expm1"
    #: a / b − c / d where that is more than two standard errors of the pooled share, else 0.
    MOVED = "moved"
    #: The last day that a counts on.
    LATEST = "latest"
    #: Part of the difference of two periods that is more or fewer claims; with the two that follow
    #: :mod:`claimkit.reports.movement`. The origins are denied charges now and before.
    VOLUME = "volume"
    #: Part that is another mix of claims.
    MIX = "mix"
    #: Part that is what the payers of the origins decide otherwise.
    BEHAVIOR = "behavior"
    #: :func:`claimkit.drift.power.smallest_change` of rate a / b and c decisions.
    SMALLEST_CHANGE = "smallest_change"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOrigin:
    """A sum over the cube's first decisions (:data:`claimkit.drift.cube.DECISIONS`)."""

    #: ``claims``, ``charge``, ``allowed`` or ``paid``; money in cents.
    measure: str
    #: Days of the first decision, both included.
    first: dt.date
    last: dt.date
    #: Names; empty means all, and a name may itself be empty: claims without one.
    payers: tuple[str, ...] = ()
    procedure_groups: tuple[str, ...] = ()
    #: ``paid``, ``denied``, a category of denials, or empty for every decision.
    outcome: str = ""

    def mask(self, decisions: Cells) -> NDArray[np.bool_]:
        """Return which rows it is about."""
        day = decisions.numbers[DECISIONS.day]
        rows = (day >= day_of(self.first)) & (day <= day_of(self.last))
        for axis, wanted in (("payer", self.payers), ("procedure_group", self.procedure_groups)):
            if wanted:
                rows &= _named(decisions, axis, lambda name, names=wanted: name in names)
        if self.outcome == _DENIED:
            rows &= _named(decisions, "outcome", lambda name: name != "paid")
        elif self.outcome:
            rows &= _named(decisions, "outcome", lambda name: name == self.outcome)
        return rows

    def total(self, decisions: Cells) -> int:
        """Return the sum."""
        return int(decisions.measures[self.measure][self.mask(decisions)].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingOrigin:
    """A number of a finding: one of its fields, or one within its evidence."""

    fingerprint: str
    #: Names and places from the finding on, such as ``("evidence", "observed", 3)``.
    path: tuple[str | int, ...]
    #: Detector that computed it, and the night that it looked back from.
    detector: str
    as_of: dt.date
    #: The cells that the finding is about; its detector compares them with those before.
    cells: CellOrigin

    def value(self, finding: Finding) -> Any:
        """Return the number."""
        found: Any = finding
        for step in self.path:
            if isinstance(found, dict):
                # A category that was never seen has no share.
                found = found.get(step, 0.0)
            else:
                found = found[step] if isinstance(step, int) else getattr(found, step)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOrigin:
    """A count of one imported file."""

    name: str
    #: Identifier of the upload, where the site keeps uploads.
    upload: str
    #: ``claims`` or ``rejected``.
    counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOrigin:
    """A count of alerts in the days of the report, or money that people said came back."""

    #: A field of :class:`claimkit.reports.period.AlertSummary`, or a reason for muting.
    counted: str
    first: dt.date
    last: dt.date


Origin: TypeAlias = CellOrigin | FindingOrigin | FileOrigin | AlertOrigin


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One number of a report, what it is made of, and how."""

    #: The same for the same number of any period: ``num_`` and 16 hex digits.
    id: str
    #: Where it stands in the document: a JSON Pointer (RFC 6901).
    at: str
    #: What it is, in words: section, row and column.
    label: str
    kind: ValueKind
    #: A series of a chart is one number per period.
    value: Value | tuple[float, ...]
    method: Method
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holdings:
    """What origins are looked up in."""

    decisions: Cells
    #: Fingerprint → finding.
    findings: Mapping[str, Finding] = field(default_factory=dict)
    #: Name of the file or of the upload, and what was counted → how many.
    files: Mapping[tuple[str, str], int] = field(default_factory=dict)
    #: What was counted → how many.
    alerts: Mapping[str, int] = field(default_factory=dict)


def recompute(trace: Trace, held: Holdings) -> Value | tuple[float, ...]:
    """Return the number of a trace anew, from what it is made of.

    Raises:
        LookupError: what it is made of is not held.
    """
    method = trace.method
    if method in (Method.VOLUME, Method.MIX, Method.BEHAVIOR):
        return round(_part(trace, held.decisions))
    if method is Method.LATEST:
        return max(_latest(one, held.decisions) for one in _cells_of(trace))
    values = [_value_of(one, held) for one in trace.origins]
    found: Value | tuple[float, ...] = _computed(method, values)
    return found


def _computed(method: Method, values: Sequence[Any]) -> Any:
    if method is Method.POSITIVE_SUM:
        return sum(max(0, one) for one in values)
    if method in (Method.SHARE, Method.PART):
        return _share(values, 0.0 if method is Method.PART else None)
    if method is Method.MOVED:
        return beyond_chance(*map(float, values))
    if method is Method.SMALLEST_CHANGE:
        denied, decided, recent = values
        return smallest_change(rate=denied / decided, claims=recent)
    single: Callable[[Any], Any] = _SINGLE[method]
    if isinstance(values[0], tuple):
        return tuple(map(single, values[0]))
    return single(values[0])


_SINGLE: Mapping[Method, Any] = {
    Method.VALUE: lambda one: one,
    Method.ROUNDED: round,
    Method.EXP: math.exp,
    Method.EXPM1: math.expm1,
}


def _value_of(origin: Origin, held: Holdings) -> Any:
    if isinstance(origin, CellOrigin):
        return origin.total(held.decisions)
    if isinstance(origin, FindingOrigin):
        return origin.value(held.findings[origin.fingerprint])
    if isinstance(origin, FileOrigin):
        return held.files[origin.upload or origin.name, origin.counted]
    return held.alerts[origin.counted]


def _share(values: Sequence[Any], otherwise: float | None) -> float | None:
    part, whole = values
    return part / whole if whole else otherwise


def _latest(origin: CellOrigin, decisions: Cells) -> dt.date:
    rows = origin.mask(decisions) & (decisions.measures[origin.measure] > 0)
    days = decisions.numbers[DECISIONS.day][rows]
    if not len(days):
        raise LookupError("no decision of it is held")
    return date_of(int(days.max()))


def _cells_of(trace: Trace) -> list[CellOrigin]:
    return [one for one in trace.origins if isinstance(one, CellOrigin)]


def _part(trace: Trace, decisions: Cells) -> float:
    now, before = _cells_of(trace)
    moved = movement_of(decisions, _period_of(now), _period_of(before))
    if trace.method is Method.VOLUME:
        return moved.by_volume
    if trace.method is Method.MIX:
        return moved.by_mix
    return sum(value for name, value in moved.by_payer if not now.payers or name in now.payers)


def _period_of(origin: CellOrigin) -> Period:
    return Period(kind=PeriodKind.CUSTOM, first=origin.first, last=origin.last)


def _named(decisions: Cells, axis: str, is_wanted: Any) -> NDArray[np.bool_]:
    names = decisions.names[axis]
    wanted = np.fromiter((bool(is_wanted(name)) for name in names), np.bool_, len(names))
    chosen: NDArray[np.bool_] = (
        wanted[decisions.labels[axis]] if len(names) else np.zeros(len(decisions), np.bool_)
    )
    return chosen


# -- words ----------------------------------------------------------------------------------------

_METHOD_WORDS: Mapping[Method, str] = {
    Method.VALUE: "as it is",
    Method.POSITIVE_SUM: "sum of those above zero",
    Method.SHARE: "first as a share of the second",
    Method.PART: "first as a share of the second",
    Method.ROUNDED: "rounded",
    Method.EXP: "e to its power",
    Method.EXPM1: "e to its power, less 1",
    Method.MOVED: "share of the first two less that of the last two, where beyond chance",
    Method.LATEST: "last day with one",
    Method.VOLUME: "part of the difference: number of claims",
    Method.MIX: "part of the difference: mix of claims",
    Method.BEHAVIOR: "part of the difference: decided otherwise",
    Method.SMALLEST_CHANGE: "smallest rise that the third would show, at the rate of first of second",
}
_MEASURE_WORDS = {
    "claims": "claims",
    "charge": "charges of claims",
    "allowed": "allowed amounts of claims",
    "paid": "payments of claims",
}


def method_words(trace: Trace) -> str:
    """Return in words how a number is made of its origins."""
    return _METHOD_WORDS[trace.method]


def origin_words(origin: Origin) -> str:
    """Return in words what a number is made of.

    >>> import datetime as dt
    >>> march = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
    >>> origin_words(CellOrigin(measure="claims", first=march[0], last=march[1], outcome="denied"))
    'claims first decided 1 Mar 2026 to 31 Mar 2026, denied'
    """
    if isinstance(origin, CellOrigin):
        named = [*origin.payers, *origin.procedure_groups]
        told = [
            f"{_MEASURE_WORDS[origin.measure]} first decided {_days(origin)}",
            *(name or "unnamed" for name in named),
            *([category_words(origin.outcome)] if origin.outcome else []),
        ]
        return ", ".join(told)
    if isinstance(origin, FindingOrigin):
        path = " ".join(map(str, origin.path)).replace("_", " ")
        return f"{path} of finding {origin.fingerprint} ({origin.detector}, {origin.as_of})"
    if isinstance(origin, FileOrigin):
        named_by = f"{origin.name} ({origin.upload})" if origin.upload else origin.name
        return f"{origin.counted} of {named_by}"
    return f"alerts {origin.counted.replace('_', ' ')}, {_days(origin)}"


def _days(origin: CellOrigin | AlertOrigin) -> str:
    return f"{date_words(origin.first)} to {date_words(origin.last)}"
