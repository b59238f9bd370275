"""Where in its segment a change of denials is: the values of further dimensions that explain it best.

The multidimensional subset scan (Neill, *Fast subset scan for spatial pattern detection*, JRSS B 74,
2012): the best subset of one dimension's values is a prefix of them sorted by observed over expected,
so one sort finds it; dimensions take turns, each within what the others chose, until none changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import SLICES
from claimkit.drift.dimensions import DIMENSIONS, slice_values
from claimkit.drift.findings import Signal
from claimkit.drift.history import OTHER_CATEGORIES, OTHER_GROUPS
from claimkit.drift.localize import best_subset
from claimkit.drift.statistics import sum_by
from claimkit.drift.wording import value_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding
    from claimkit.drift.history import History
    from claimkit.drift.incidents import Incident, Run

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["narrow"]

#: Claims that a group's own denial rate weighs against a slice's.
_PRIOR_CLAIMS = 100.0
#: Values with fewer decisions since the onset are told apart no more.
_MIN_CLAIMS = 20
_OTHERS = ""
#: Values listed for a dimension at most.
_TOP = 10
_ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Slices:
    """What was seen since onset and what the baseline predicts, by slice."""

    values: Sequence[Mapping[str, str]]
    claims: Floats
    observed: Floats
    expected: Floats


def narrow(finding: Finding, run: Run, incident: Incident, cube: Mapping[str, Cells]) -> Finding:
    """Return the finding with the places that its change is confined to, and the numbers of each.

    Unchanged where no further dimension is kept, or for other signals than denials.
    """
    cells = cube.get(SLICES.name)
    if cells is None or not len(cells) or finding.signal is not Signal.DENIAL_RATE:
        return finding
    slices = _slices(cells, run.history, incident, finding)
    if slices is None:
        return finding
    baseline = incident.week.baseline
    scale = math.sqrt(baseline.typical_payer[incident.payer])
    night = (finding.as_of - finding.onset).days
    scale *= baseline.dispersion.inflation(max(1, night + 1), float(slices.expected.sum()))
    axes = {name: _axis(slices, name) for name in DIMENSIONS}
    used = {name: axis for name, axis in axes.items() if len(axis[0]) > 1}
    chosen = _scan(slices, used, scale)
    evidence = replace(
        finding.evidence, places={name: _rows(slices, *axis) for name, axis in used.items()}
    )
    if not chosen:
        return replace(finding, evidence=evidence)
    told = " and ".join(value_words(name, values) for name, values in chosen.items())
    return replace(
        finding,
        places=chosen,
        evidence=evidence,
        summary=f"{finding.summary.removesuffix('.')}; the change is at {told}.",
    )


def _slices(cells: Cells, history: History, incident: Incident, finding: Finding) -> _Slices | None:
    day = cells.numbers[SLICES.day] - history.first
    span, plateau = incident.week.span, incident.plateau
    first, end = (span.start, span.end) if plateau is None else (plateau.start, plateau.end)
    mine = _in_segment(cells, history, finding) & (cells.measures["claims"] > 0)
    is_base = mine & (day >= first) & (day < end)
    last = (finding.as_of - finding.onset).days
    is_since = mine & (day >= incident.onset) & (day <= incident.onset + last)
    if not is_base.any() or not is_since.any():
        return None
    denied = _is_denied(cells, history, finding)
    groups, count = len(cells.names["procedure_group"]), len(cells.names["slice"])
    key = cells.labels["procedure_group"] * count + cells.labels["slice"]
    claims = cells.measures["claims"].astype(np.float64)

    def total(rows: Mask) -> Floats:
        return sum_by(key[rows], claims[rows], groups, count)

    base, base_denied = total(is_base), total(is_base & denied)
    of_group = (base_denied.sum(1) + 1e-6) / np.maximum(base.sum(1), 1.0)
    rate = (base_denied + _PRIOR_CLAIMS * of_group[:, None]) / (base + _PRIOR_CLAIMS)
    since, since_denied = total(is_since), total(is_since & denied)
    return _Slices(
        values=[slice_values(name) for name in cells.names["slice"]],
        claims=since.sum(0),
        observed=since_denied.sum(0),
        expected=(since * rate).sum(0),
    )


def _in_segment(cells: Cells, history: History, finding: Finding) -> Mask:
    segment = finding.segment
    payer = np.array([name == segment.payer for name in cells.names["payer"]], np.bool_)
    mine: Mask = payer[cells.labels["payer"]]
    if not segment.procedure_groups:
        return mine
    where = history.cells_of(list(history.payers).index(segment.payer))
    own = {history.groups[group] for group in history.cell_group[where].tolist()}
    with_others = OTHER_GROUPS in segment.procedure_groups
    group = np.array(
        [
            name in segment.procedure_groups or (with_others and name not in own)
            for name in cells.names["procedure_group"]
        ],
        np.bool_,
    )
    return mine & group[cells.labels["procedure_group"]]


def _is_denied(cells: Cells, history: History, finding: Finding) -> Mask:
    category = finding.segment.category
    counted = [
        name != "paid"
        and (
            category in ("", name)
            or (category == OTHER_CATEGORIES and name not in history.categories)
        )
        for name in cells.names["outcome"]
    ]
    denied: Mask = np.array(counted, np.bool_)[cells.labels["outcome"]]
    return denied


def _axis(slices: _Slices, dimension: str) -> tuple[tuple[str, ...], Ints]:
    """Return the values of a dimension that are told apart, and the value of each slice."""
    named = [one.get(dimension, _OTHERS) for one in slices.values]
    totals: dict[str, float] = {}
    for name, claims in zip(named, slices.claims.tolist(), strict=True):
        totals[name] = totals.get(name, 0.0) + claims
    kept = {name for name, claims in totals.items() if claims >= _MIN_CLAIMS and name}
    rest = sum(claims for name, claims in totals.items() if name not in kept)
    values = (*sorted(kept), *((_OTHERS,) if rest else ()))
    index = {name: at for at, name in enumerate(values)}
    codes = [index.get(name if name in kept else _OTHERS, -1) for name in named]
    return values, np.array(codes, np.int64)


def _scan(
    slices: _Slices, axes: Mapping[str, tuple[tuple[str, ...], Ints]], scale: float
) -> dict[str, tuple[str, ...]]:
    inside = {name: codes >= 0 for name, (_, codes) in axes.items()}
    chosen: dict[str, tuple[str, ...]] = {}
    for _ in range(_ROUNDS):
        before = dict(chosen)
        for name, (values, codes) in axes.items():
            rows = codes >= 0
            for other, mask in inside.items():
                rows = rows & mask if other != name else rows
            claims, observed, expected = _summed(slices, codes, rows, len(values))
            subset = best_subset(claims, observed, expected, scale)
            chosen.pop(name, None)
            inside[name] = codes >= 0
            # What is too small to be told apart cannot be pointed at.
            if subset is not None and all(values[at] != _OTHERS for at in subset.tolist()):
                chosen[name] = tuple(sorted(values[at] for at in subset.tolist()))
                inside[name] = np.isin(codes, subset)
        if chosen == before:
            break
    return {name: chosen[name] for name in axes if name in chosen}


def _summed(slices: _Slices, codes: Ints, rows: Mask, size: int) -> tuple[Floats, Floats, Floats]:
    """Return claims, observed and expected denials of each value, from some of the slices."""

    def total(column: Floats) -> Floats:
        return sum_by(codes[rows], column[rows], size)

    return total(slices.claims), total(slices.observed), total(slices.expected)


def _rows(
    slices: _Slices, values: tuple[str, ...], codes: Ints
) -> dict[str, tuple[float, float, int]]:
    """Return observed and expected denials and claims of the values with the most excess."""
    claims, observed, expected = _summed(slices, codes, codes >= 0, len(values))
    order = sorted(range(len(values)), key=lambda at: (expected[at] - observed[at], values[at]))
    return {
        values[at] or "others": (float(observed[at]), float(expected[at]), round(claims[at]))
        for at in order[:_TOP]
    }
