"""Methods to compare with, written from their published behavior.

``z+BH`` is what a careful analyst would do; ``adwin`` and ``page-hinkley`` (river) and ``pelt``
(ruptures) are general change detectors; ``oracle`` is the ceiling: a CUSUM that knows where, what
and how much. Those that need a library that is not installed are left out and named.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from alert import Alert, Told
from simulation import EVAL_START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from claims import Claims, Truth

    from claimkit.drift.cube import Cells

__all__ = ["METHODS", "Method", "missing"]


@dataclass(frozen=True, slots=True)
class Method:
    """One way to look for drift."""

    run: Callable[[Claims, Mapping[str, Cells]], list[Alert]]
    #: Package that it needs, "" for none.
    needs: str = ""
    #: Whether it takes the truth of drifts to run, so that nulls say nothing of it.
    is_oracle: bool = False


def missing(method: Method) -> bool:
    """Whether a method cannot run here."""
    return bool(method.needs) and importlib.util.find_spec(method.needs) is None


def _first_pass(claims: Claims) -> np.ndarray:
    """Return first-pass claims that are decided, by decision day."""
    rows = np.flatnonzero(~claims.is_rework & (claims.decided < claims.days))
    return rows[np.argsort(claims.decided[rows], kind="stable")]


def _cell(claims: Claims) -> np.ndarray:
    return claims.payer.astype(np.int64) * claims.groups + claims.group


def _log_ratio(claims: Claims) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(claims.allowed / claims.charge)


# -- fixed rules


def threshold(claims: Claims, cube: Mapping[str, Cells]) -> list[Alert]:
    """Claims submitted in the last 14 days against the 90 before, weekly, all claims.

    A segment is told where both windows hold 30 decided claims and the denial rate differs by 5
    points or by half, or the median days to decision by 3 or by half.
    """
    told, cells = Told(), claims.payers * claims.groups
    cell = _cell(claims)
    order = np.argsort(claims.submitted, kind="stable")
    submitted = claims.submitted[order]
    age = claims.decided - claims.submitted
    for day in range(EVAL_START, claims.days, 7):
        sides = []
        for start, end in ((day - 104, day - 14), (day - 14, day)):
            rows = order[np.searchsorted(submitted, start) : np.searchsorted(submitted, end)]
            rows = rows[claims.decided[rows] <= day]
            count, median = _medians(cell[rows], age[rows], cells)
            denied = np.bincount(cell[rows][claims.denied[rows]], minlength=cells)
            sides.append((count, denied / np.maximum(count, 1), median))
        (count0, rate0, median0), (count1, rate1, median1) = sides
        enough = (count0 >= 30) & (count1 >= 30)
        for metric, before, now, limit in (
            ("denial", rate0, rate1, 0.05),
            ("lag", median0, median1, 3.0),
        ):
            change = now - before
            over = (np.abs(change) >= limit) | ((before > 0) & (np.abs(change) >= 0.5 * before))
            for at in np.flatnonzero(enough & over).tolist():
                payer, group = divmod(at, claims.groups)
                told.add(
                    Alert(
                        day=day,
                        metric=metric,
                        payer=payer,
                        groups=(group,),
                        effect=float(change[at]),
                    )
                )
    return told.alerts


def _medians(cell: np.ndarray, values: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((values, cell))
    values = values[order]
    count = np.bincount(cell, minlength=cells)
    start = np.concatenate([[0], count.cumsum()[:-1]])
    some = count > 0
    median = np.full(cells, np.nan)
    low, high = start + (count - 1) // 2, start + count // 2
    median[some] = (values[low[some]] + values[high[some]]) / 2
    return count, median


# -- tests with a correction for their number


def z_bh(claims: Claims, cube: Mapping[str, Cells], q: float = 0.05) -> list[Alert]:
    """Decisions of 28 days against the 182 before, weekly: z and Welch tests of payers and cells.

    First-pass claims; one-sided; the false discovery rate of a week is held at ``q`` (Benjamini
    and Hochberg, JRSS B 57, 1995).
    """
    told = Told()
    order = _first_pass(claims)
    decided, cell, ratio = claims.decided[order], _cell(claims), _log_ratio(claims)
    lag = (claims.decided - claims.submitted).astype(float)
    for day in range(EVAL_START, claims.days, 7):
        sides = []
        for start, end in ((day - 210, day - 28), (day - 28, day)):
            rows = order[np.searchsorted(decided, start) : np.searchsorted(decided, end)]
            paid = rows[~claims.denied[rows]]
            sides.append(
                (
                    _moments(claims, cell[rows], claims.denied[rows].astype(float)),
                    _moments(claims, cell[paid], ratio[paid]),
                    _moments(claims, cell[rows], lag[rows]),
                )
            )
        tested = [
            (metric, *one)
            for at, (metric, sign) in enumerate((("denial", 1), ("allowed", -1), ("lag", 1)))
            for one in _tests(sides[0][at], sides[1][at], sign, is_rate=metric == "denial")
        ]
        level = np.array([one[2] for one in tested])
        ranked = np.argsort(level)
        passed = np.flatnonzero(level[ranked] <= q * np.arange(1, level.size + 1) / level.size)
        for at in ranked[: passed[-1] + 1] if passed.size else ():
            metric, place, _, effect = tested[at]
            is_cell = place < claims.payers * claims.groups
            payer, group = divmod(place, claims.groups)
            told.add(
                Alert(
                    day=day,
                    metric=metric,
                    payer=payer if is_cell else place - claims.payers * claims.groups,
                    groups=(group,) if is_cell else None,
                    effect=effect,
                )
            )
    return told.alerts


def _moments(claims: Claims, cell: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return count, sum and sum of squares of cells, then of payers."""
    cells = claims.payers * claims.groups
    made = np.stack(
        [
            np.bincount(cell, minlength=cells).astype(float),
            np.bincount(cell, values, cells),
            np.bincount(cell, values * values, cells),
        ]
    )
    return np.concatenate([made, made.reshape(3, claims.payers, claims.groups).sum(2)], 1)


def _tests(
    before: np.ndarray, now: np.ndarray, sign: int, *, is_rate: bool
) -> Iterator[tuple[int, float, float]]:
    places = np.flatnonzero((before[0] >= 20) & (now[0] >= 20))
    (n0, s0, q0), (n1, s1, q1) = before[:, places], now[:, places]
    v0, v1 = q0 / n0 - (s0 / n0) ** 2, q1 / n1 - (s1 / n1) ** 2
    if is_rate:
        pooled = (s0 + s1) / (n0 + n1)
        v0 = v1 = pooled * (1 - pooled)
    effect = s1 / n1 - s0 / n0
    z = sign * effect / np.sqrt(np.maximum(v0 / n0 + v1 / n1, 1e-12))
    for at, place in enumerate(places.tolist()):
        yield place, math.erfc(float(z[at]) / math.sqrt(2)) / 2, float(effect[at])


# -- general detectors of change


def _river(claims: Claims, make: Callable[[], Any]) -> list[Alert]:
    """Feed each cell's decisions, one by one, to a detector for each metric."""
    found = Told()
    ratio, lag = _log_ratio(claims), (claims.decided - claims.submitted) / 10.0
    rows = _first_pass(claims)
    rows = rows[np.lexsort((claims.submitted[rows], claims.decided[rows], _cell(claims)[rows]))]
    alerts = []
    for mine in np.split(rows, np.flatnonzero(np.diff(_cell(claims)[rows])) + 1):
        if mine.size < 100:
            continue
        paid = mine[~claims.denied[mine]]
        for metric, index, values, sign in (
            ("denial", mine, claims.denied[mine].astype(float), 1),
            ("allowed", paid, ratio[paid], -1),
            ("lag", mine, lag[mine], 1),
        ):
            detector = make()
            for at, value in enumerate(values.tolist()):
                detector.update(value)
                day = int(claims.decided[index[at]])
                if not detector.drift_detected or day < EVAL_START:
                    continue
                recent = values[max(0, at - 99) : at + 1].mean()
                effect = float(recent - values[: max(1, at - 99)].mean())
                if effect * sign > 0:
                    place = {
                        "payer": int(claims.payer[mine[0]]),
                        "groups": (int(claims.group[mine[0]]),),
                    }
                    alerts.append(Alert(day=day, metric=metric, effect=effect, **place))
    for alert in sorted(alerts, key=lambda one: one.day):
        found.add(alert)
    return found.alerts


def adwin(claims: Claims, cube: Mapping[str, Cells]) -> list[Alert]:
    """ADWIN (Bifet and Gavaldà, SDM 2007) as river ships it."""
    from river import drift  # noqa: PLC0415 - optional

    return _river(claims, lambda: drift.ADWIN(delta=0.002))


def page_hinkley(claims: Claims, cube: Mapping[str, Cells]) -> list[Alert]:
    """Page-Hinkley (Page, Biometrika 41, 1954) as river ships it."""
    from river import drift  # noqa: PLC0415 - optional

    return _river(claims, lambda: drift.PageHinkley(mode="up"))


def pelt(claims: Claims, cube: Mapping[str, Cells]) -> list[Alert]:
    """PELT (Killick et al., JASA 107, 2012) on weekly rates of cells, as ruptures ships it."""
    import ruptures  # noqa: PLC0415 - optional

    told = Told()
    rows = _first_pass(claims)
    paid = rows[~claims.denied[rows]]
    by_day = [
        _by_day(claims, rows, claims.denied[rows].astype(float)),
        _by_day(claims, paid, _log_ratio(claims)[paid]),
    ]
    for day in range(EVAL_START, claims.days, 7):
        for (total, count), metric, sign in zip(
            by_day, ("denial", "allowed"), (1, -1), strict=True
        ):
            weekly_total, weekly = _weekly(total[:, :day]), _weekly(count[:, :day])
            for place in np.flatnonzero(weekly[:, -26:].mean(1) >= 10).tolist():
                values = weekly_total[place, -38:] / np.maximum(weekly[place, -38:], 1)
                spread = np.median(np.abs(np.diff(values))) / 0.954 + 1e-6
                signal = (values / spread)[:, None]
                model = ruptures.KernelCPD(kernel="linear", min_size=2).fit(signal)
                cuts = model.predict(pen=3 * np.log(len(values)))
                if len(cuts) < 2 or cuts[-2] < len(values) - 8:
                    continue
                start = cuts[-3] if len(cuts) > 2 else 0
                effect = float(values[cuts[-2] :].mean() - values[start : cuts[-2]].mean())
                if effect * sign > 0:
                    payer, group = divmod(place, claims.groups)
                    told.add(
                        Alert(day=day, metric=metric, payer=payer, groups=(group,), effect=effect)
                    )
    return told.alerts


def _by_day(claims: Claims, rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shape = (claims.payers * claims.groups, claims.days)
    key = _cell(claims)[rows] * claims.days + claims.decided[rows]
    size = math.prod(shape)
    return np.bincount(key, values, size).reshape(shape), np.bincount(key, minlength=size).reshape(
        shape
    )


def _weekly(values: np.ndarray) -> np.ndarray:
    weeks = values.shape[-1] // 7
    return values[..., -7 * weeks :].reshape(*values.shape[:-1], weeks, 7).sum(-1)


# -- the ceiling


def oracle(claims: Claims, cube: Mapping[str, Cells]) -> list[Alert]:
    """CUSUM told segment, reason, and both rates, alone with the whole budget; steps only."""
    return [
        alert
        for truth in claims.truths
        if truth.metric in ("denial", "allowed") and not truth.change.ramp_days
        for alert in _cusum(claims, truth)
    ]


def _cusum(claims: Claims, truth: Truth) -> Iterator[Alert]:
    rows = _first_pass(claims)
    rows = rows[claims.payer[rows] == truth.payer]
    if truth.groups is not None:
        rows = rows[np.isin(claims.group[rows], truth.groups)]
    past = slice(EVAL_START - 182, EVAL_START)
    step = _denial_steps if truth.metric == "denial" else _allowed_steps
    total = 0.0
    for day, gain in enumerate(step(claims, truth, rows, past)):
        if day < EVAL_START:
            continue
        total = max(0.0, total) + gain
        if total > math.log(30 / 0.10):
            if day >= truth.onset:
                yield Alert(
                    day=day,
                    metric=truth.metric,
                    payer=truth.payer,
                    groups=truth.groups,
                    reason=truth.reason,
                )
                return
            total = 0.0


def _denial_steps(claims: Claims, truth: Truth, rows: np.ndarray, past: slice) -> np.ndarray:
    counted = rows[claims.denied[rows]]
    if truth.reason is not None:
        counted = counted[claims.reason[counted] == truth.reason]
    n = np.bincount(claims.decided[rows], minlength=claims.days).astype(float)
    o = np.bincount(claims.decided[counted], minlength=claims.days).astype(float)
    p0 = max(o[past].sum(), 0.5) / max(n[past].sum(), 1)
    p1 = min(0.95, p0 + truth.effect)
    rest = _weekly((o - n * p0)[past])
    factor = max(1.0, float((rest**2).sum() / (_weekly(n[past]) * p0 * (1 - p0)).sum()))
    return (o * np.log(p1 / p0) + (n - o) * np.log((1 - p1) / (1 - p0))) / factor


def _allowed_steps(claims: Claims, truth: Truth, rows: np.ndarray, past: slice) -> np.ndarray:
    paid = rows[~claims.denied[rows]]
    ratio, day = _log_ratio(claims)[paid], claims.decided[paid]
    history = (day >= past.start) & (day < past.stop)
    group = claims.group[paid]
    count = np.bincount(group[history], minlength=claims.groups)
    mean = np.bincount(group[history], ratio[history], claims.groups) / np.maximum(count, 1)
    rest = np.clip(ratio - mean[group], -0.5, 0.5)
    variance = max(1e-4, float((rest[history] ** 2).mean()))
    n = np.bincount(day, minlength=claims.days).astype(float)
    total = np.bincount(day, rest, claims.days)
    weeks = _weekly(total[past])
    factor = max(1.0, float((weeks**2).sum() / (variance * n[past].sum())))
    return (truth.effect * total - n * truth.effect**2 / 2) / variance / factor


METHODS: Mapping[str, Method] = {
    "claimkit-threshold": Method(threshold),
    "z+BH": Method(z_bh),
    "adwin": Method(adwin, needs="river"),
    "page-hinkley": Method(page_hinkley, needs="river"),
    "pelt": Method(pelt, needs="ruptures"),
    "oracle": Method(oracle, is_oracle=True),
}
