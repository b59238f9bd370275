"""The numbers behind a finding, week by week, as data for charts and for checking."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.allowed import measure_drop
from claimkit.drift.findings import Evidence
from claimkit.drift.incidents import delay_of
from claimkit.drift.localize import measure, total
from claimkit.types import date_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from claimkit.drift.allowed import Allowed
    from claimkit.drift.baseline import Baseline
    from claimkit.drift.history import History
    from claimkit.drift.incidents import Incident, Run

__all__ = ["allowed_evidence", "denial_evidence", "speed_evidence", "weeks"]

_WEEK = 7
#: Weeks shown at least, and before the onset at least.
_WEEKS = 16
_WEEKS_BEFORE = 8
_MAX_WEEKS = 60
_Z95 = 1.96
#: Codes and groups listed at most.
_TOP = 10


def weeks(incident: Incident, night: int) -> list[tuple[int, int]]:
    """Return the weeks shown, as half-open ranges of days; the last one ends with the night."""
    first = min(night + 1 - _WEEKS * _WEEK, incident.onset - _WEEKS_BEFORE * _WEEK)
    count = min(_MAX_WEEKS, max(0, night + 1 - max(first, 0)) // _WEEK)
    end = night + 1
    return [(end - (at + 1) * _WEEK, end - at * _WEEK) for at in range(count)][::-1]


def denial_evidence(
    history: History, baseline: Baseline, incident: Incident, night: int
) -> Evidence:
    """Return weekly denial rates against expected ones, and what changed since onset."""
    rows = []
    for start, end in weeks(incident, night):
        totals = total(history, baseline, start, end)
        effect = measure(history, baseline, totals, incident.payer, incident.cells, incident.reason)
        rows.append((start, effect.claims, effect.observed, effect.expected))
    factor = _factor(baseline, incident)
    observed, expected, low, high = [], [], [], []
    for _, claims, seen, usual in rows:
        size = max(claims, 1.0)
        rate = usual / size
        slow = baseline.dispersion.inflation(_WEEK, usual)
        spread = _Z95 * math.sqrt(max(rate * (1 - rate) * factor * slow / size, 0.0))
        observed.append(seen / size)
        expected.append(rate)
        low.append(max(0.0, rate - spread))
        high.append(min(1.0, rate + spread))
    before, since = incident.week.span.start, incident.onset
    return Evidence(
        days=tuple(date_of(history.first + start) for start, *_ in rows),
        period_days=_WEEK,
        observed=tuple(observed),
        expected=tuple(expected),
        low=tuple(low),
        high=tuple(high),
        claims=tuple(round(claims) for _, claims, *_ in rows),
        reasons_before=_shares(history, incident, before, incident.week.span.end, by="reason"),
        reasons_since=_shares(history, incident, since, night + 1, by="reason"),
        codes_since=_shares(history, incident, since, night + 1, by="code"),
        groups=_groups(history, baseline, incident, night),
    )


def _factor(baseline: Baseline, incident: Incident) -> float:
    if incident.reason is not None:
        return float(baseline.typical_payer_reason[incident.payer, incident.reason])
    if incident.cells is not None:
        return float(np.mean(baseline.typical_cell[list(incident.cells)]))
    return float(baseline.typical_payer[incident.payer])


def _shares(
    history: History, incident: Incident, start: int, end: int, *, by: str
) -> dict[str, float]:
    """Return each reason's, or each code's, share of the segment's denials."""
    decided = history.decided
    rows = decided.rows(start, end)
    cell, reason = decided.cell[rows], decided.reason[rows]
    if incident.cells is None:
        mine = history.cell_payer[cell] == incident.payer
    else:
        mine = np.isin(cell, incident.cells)
    mine &= reason >= 0
    if by == "code":
        names = history.codes
        if incident.reason is not None:
            mine &= reason == incident.reason
        key = decided.code[rows][mine]
    else:
        names, key = history.categories, reason[mine]
    counts = np.bincount(key, decided.claims[rows][mine], len(names))
    denials = float(counts.sum())
    ranked = sorted(np.flatnonzero(counts).tolist(), key=lambda at: (-counts[at], names[at]))
    return {names[at]: float(counts[at] / denials) for at in ranked[:_TOP] if names[at]}


def _groups(
    history: History, baseline: Baseline, incident: Incident, night: int
) -> dict[str, tuple[float, float, int]]:
    """Return denials, expected denials and claims since onset of the groups with most excess."""
    totals = total(history, baseline, incident.onset, night + 1)
    where = history.cells_of(incident.payer)
    rows = []
    for cell in range(where.start, where.stop):
        effect = measure(history, baseline, totals, incident.payer, (cell,), incident.reason)
        if effect.claims >= 1:
            name = history.groups[history.cell_group[cell]]
            rows.append((name, effect.observed, effect.expected, round(effect.claims)))
    rows.sort(key=lambda row: (row[2] - row[1], row[0]))
    return {name: (seen, usual, claims) for name, seen, usual, claims in rows[:_TOP]}


def speed_evidence(run: Run, incident: Incident, night: int, usual: float) -> Evidence:
    """Return how many days claims wait at the end of each week, by Little's law."""
    history = run.history
    shown = weeks(incident, night)
    shifts = []
    error = 1.0
    for _, end in shown:
        shift, error, _ = delay_of(run, incident, end - 1, _WEEK)
        shifts.append(shift)
    count = len(shown)
    return Evidence(
        days=_days(history, shown),
        period_days=_WEEK,
        observed=tuple(max(0.0, usual + shift) for shift in shifts),
        expected=(usual,) * count,
        low=(max(0.0, usual - _Z95 * error),) * count,
        high=(usual + _Z95 * error,) * count,
        claims=tuple(round(_decided(history, incident.payer, *week)) for week in shown),
    )


def allowed_evidence(
    history: History, allowed: Allowed, incident: Incident, night: int, base: float
) -> Evidence:
    """Return the weekly mean of ln(allowed / charge) against its usual value."""
    shown = weeks(incident, night)
    drops = [
        measure_drop(history, allowed, incident.payer, incident.cells, start, end)
        for start, end in shown
    ]
    errors = [drop.error if math.isfinite(drop.error) else 0.0 for drop in drops]
    return Evidence(
        days=_days(history, shown),
        period_days=_WEEK,
        observed=tuple(base + drop.size for drop in drops),
        expected=(base,) * len(shown),
        low=tuple(base - _Z95 * error for error in errors),
        high=tuple(base + _Z95 * error for error in errors),
        claims=tuple(round(drop.claims) for drop in drops),
    )


def _days(history: History, weeks: Iterable[tuple[int, int]]) -> tuple[dt.date, ...]:
    return tuple(date_of(history.first + start) for start, _ in weeks)


def _decided(history: History, payer: int, start: int, end: int) -> float:
    rows = history.decided.rows(start, end)
    mine = history.cell_payer[history.decided.cell[rows]] == payer
    return float(history.decided.claims[rows][mine].sum())
