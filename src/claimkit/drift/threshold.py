"""Detector ``threshold``: two fixed windows and fixed limits, the rule that many shops use.

No baseline for case mix, no test, no correction for the number of segments: at a few thousand
claims a month it reports chance. It is here for those who want it, and to compare with; the
detector to use is ``lattice``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import DECISIONS
from claimkit.drift.findings import Finding, Segment, Signal, Tier, fingerprint, rate_severity
from claimkit.drift.wording import day_words, group_words, share_words
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells

__all__ = ["ThresholdDetector"]

_CURRENT_DAYS = 14
_BASELINE_DAYS = 90
_MIN_CLAIMS = 30
_RATE_POINTS = Fraction(1, 20)
_DAYS = Fraction(3)
_RELATIVE = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class _Side:
    """One segment in one window."""

    claims: int
    denials: int
    charge: int
    median_days: float

    @property
    def rate(self) -> float:
        return self.denials / self.claims


class ThresholdDetector:
    """Claims submitted in the last 14 days against those of the 90 days before.

    A payer's procedure group is reported where both windows hold at least 30 decided claims, and
    the denial rate differs by 5 points or by half of itself, or the median days to decision by
    3 days or by half. Changes for the better are reported as well, with negative effect.
    """

    name = "threshold"
    #: It tests nothing, so there is no budget that it could keep to.
    budget_part = 0.0

    def detect(
        self,
        cube: Mapping[str, Cells],
        *,
        as_of: dt.date,
        config: DriftConfig,  # noqa: ARG002 - the rule has no settings, that is its point
        open_findings: Sequence[Finding] = (),
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return every segment over a limit, and the end of open ones that no longer are.

        What was accepted is left out for as long as its old level is in one of the two windows.
        """
        decisions = cube.get(DECISIONS.name)
        accepted = {
            (one.signal, one.segment)
            for one in accepted_findings
            if (as_of - one.onset).days < _CURRENT_DAYS + _BASELINE_DAYS
        }
        found = [
            one
            for one in (() if decisions is None else _compare(decisions, as_of))
            if (one.signal, one.segment) not in accepted
        ]
        standing = {one.fingerprint for one in found}
        over = [
            _ended(one, as_of)
            for one in open_findings
            if one.detector == self.name and one.fingerprint not in standing
        ]
        return [*found, *over]


def _compare(cells: Cells, as_of: dt.date) -> Iterator[Finding]:
    today = day_of(as_of)
    age = cells.numbers["age_days"]
    decided = cells.numbers["decided_day"]
    submitted = decided - age
    known = (age >= 0) & (decided <= today) & (cells.measures["claims"] > 0)
    current = known & (submitted > today - _CURRENT_DAYS) & (submitted <= today)
    before = known & (submitted > today - _CURRENT_DAYS - _BASELINE_DAYS) & ~current
    before &= submitted <= today - _CURRENT_DAYS
    segment = cells.labels["payer"] * len(cells.names["procedure_group"])
    segment += cells.labels["procedure_group"]
    for code in np.unique(segment[current]).tolist():
        mine = segment == code
        now, base = _side(cells, mine & current), _side(cells, mine & before)
        if min(now.claims, base.claims) < _MIN_CLAIMS:
            continue
        payer, group = divmod(code, len(cells.names["procedure_group"]))
        place = Segment(
            payer=cells.names["payer"][payer],
            procedure_groups=(cells.names["procedure_group"][group],),
        )
        if _exceeds(_exact_rate(now), _exact_rate(base), _RATE_POINTS):
            yield _denial_finding(place, now, base, as_of)
        if _exceeds(Fraction(now.median_days), Fraction(base.median_days), _DAYS):
            yield _days_finding(place, now, base, as_of)


def _side(cells: Cells, rows: NDArray[np.bool_]) -> _Side:
    picked = cells.take(rows)
    claims = picked.measures["claims"]
    paid = np.array([name == "paid" for name in cells.names["outcome"]], np.bool_)
    is_denied = ~paid[picked.labels["outcome"]]
    return _Side(
        claims=int(claims.sum()),
        denials=int(claims[is_denied].sum()),
        charge=int(picked.measures["charge"].sum()),
        median_days=_median(picked.numbers["age_days"], claims),
    )


def _median(values: NDArray[np.int64], weights: NDArray[np.int64]) -> float:
    """Return the median of ``values`` that each occur ``weights`` times; 0 of nothing."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weights[order])
    total = int(upto[-1])
    low, high = np.searchsorted(upto, [(total - 1) // 2, total // 2], side="right")
    return float(values[order[low]] + values[order[high]]) / 2


def _exact_rate(side: _Side) -> Fraction:
    # 15 % of 100 claims are five points more than 10 %, and as floats they are not.
    return Fraction(side.denials, side.claims)


def _exceeds(now: Fraction, before: Fraction, limit: Fraction) -> bool:
    change = abs(now - before)
    return change >= limit or (before > 0 and change >= _RELATIVE * before)


def _denial_finding(place: Segment, now: _Side, base: _Side, as_of: dt.date) -> Finding:
    extra = now.denials - base.rate * now.claims
    dollars = round(extra / _CURRENT_DAYS * 30 * now.charge / now.claims)
    summary = (
        f"{place.payer} denied {share_words(now.rate)} of {group_words(place.procedure_groups)} "
        f"submitted in the last {_CURRENT_DAYS} days, against {share_words(base.rate)} before."
    )
    return _finding(place, Signal.DENIAL_RATE, "share", now, base, as_of, dollars, summary)


def _days_finding(place: Segment, now: _Side, base: _Side, as_of: dt.date) -> Finding:
    daily = now.charge / _CURRENT_DAYS
    dollars = round((now.median_days - base.median_days) * daily)
    summary = (
        f"{place.payer} decided {group_words(place.procedure_groups)} submitted in the last "
        f"{_CURRENT_DAYS} days in {day_words(now.median_days)} at the median, "
        f"against {day_words(base.median_days)} before."
    )
    return _finding(place, Signal.DECISION_TIME, "days", now, base, as_of, dollars, summary)


def _finding(
    place: Segment,
    signal: Signal,
    unit: str,
    now: _Side,
    base: _Side,
    as_of: dt.date,
    dollars: int,
    summary: str,
) -> Finding:
    is_rate = signal is Signal.DENIAL_RATE
    current, before = (now.rate, base.rate) if is_rate else (now.median_days, base.median_days)
    effect = current - before
    limit = float(_RATE_POINTS if is_rate else _DAYS)
    return Finding(
        fingerprint=fingerprint(
            detector=ThresholdDetector.name,
            signal=signal,
            payer=place.payer,
            anchor=place.procedure_groups[0],
        ),
        signal=signal,
        segment=place,
        detector=ThresholdDetector.name,
        tier=Tier.ALERT,
        severity=rate_severity(dollars_per_month=dollars, effect=effect, unit=unit),
        onset=date_of(day_of(as_of) - _CURRENT_DAYS + 1),
        as_of=as_of,
        unit=unit,
        baseline=before,
        current=current,
        effect=effect,
        interval=(effect, effect),
        claims=now.claims,
        dollars_per_month=dollars,
        score=abs(effect),
        threshold=limit,
        summary=summary,
        why=(
            f"{now.claims} decided claims in {_CURRENT_DAYS} days against {base.claims} in "
            f"{_BASELINE_DAYS} days; at least {_MIN_CLAIMS} each were asked for.",
            f"The rule reports a difference of {limit:g} or of half the former value; "
            "it does not test for chance.",
        ),
        detected_on=as_of,
    )


def _ended(before: Finding, as_of: dt.date) -> Finding:
    return replace(before, as_of=as_of, ended=as_of - dt.timedelta(days=1))
