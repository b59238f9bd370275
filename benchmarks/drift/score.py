"""What a method's alerts are worth against the truth: one result per run and method, as plain data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from simulation import EVAL_START

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alert import Alert
    from claims import Claims, Truth
    from scenario import Scenario

__all__ = ["MONTH", "evidence_ratio", "score"]

#: Days of a month.
MONTH = 30.4
#: Days after onset in which alerts about others are counted.
_AFTER_DAYS = 56
#: Alerts on a change within this many days of the first one are statements about it.
_SAME_DAYS = 14
#: Threshold and over-dispersion that the evidence ratio takes for typical.
_THRESHOLD, _DISPERSION = 5.1, 1.3


def evidence_ratio(truth: Truth) -> float:
    """Return ρ: the segment's decisions in 28 days over the number that shows the change.

    That number is N* = (h² / 2) φ / KL(p₁ ‖ p₀); of a change that carries one reason, p₀ is the
    reason's own share of claims. Not a number for metrics other than denials.
    """
    if truth.metric != "denial":
        return math.nan
    before = truth.reason_rate if truth.reason is not None else truth.rate
    before = min(max(before, 0.5 / max(truth.n28, 1.0)), 0.97)
    after = min(before + truth.effect, 0.99)
    divergence = after * math.log(after / before)
    divergence += (1 - after) * math.log((1 - after) / (1 - before))
    return truth.n28 * divergence / (_THRESHOLD**2 / 2 * _DISPERSION)


def score(alerts: Sequence[Alert], claims: Claims, scenario: Scenario) -> dict[str, Any]:
    """Return what one run says of a method."""
    notices = [one for one in alerts if one.metric == "tenant"]
    alerts = [one for one in alerts if one.metric != "tenant"]
    row: dict[str, Any] = {"scenario": scenario.name, "notices": len(notices)}
    if not claims.truths:
        row["months"] = (claims.days - EVAL_START) / MONTH
        row["false"] = len(alerts)
        row["levels"] = [f"{one.metric}/{one.level}" for one in alerts]
        row["days"] = [one.day for one in alerts]
        return row
    first = min(truth.onset for truth in claims.truths)
    payers = {truth.payer for truth in claims.truths}
    after = [one for one in alerts if first <= one.day <= first + _AFTER_DAYS]
    row["months"] = (first - EVAL_START) / MONTH
    row["false"] = sum(one.day < first for one in alerts)
    row["levels"] = [f"{one.metric}/{one.level}" for one in alerts if one.day < first]
    row["days"] = [one.day for one in alerts if one.day < first]
    row["collateral"] = sum(one.payer not in payers for one in after)
    row["collateral_levels"] = [
        f"{one.metric}/{one.level}" for one in after if one.payer not in payers
    ]
    row["other_metric"] = sum(
        one.payer in payers and not any(_matches(one, truth) for truth in claims.truths)
        for one in after
    )
    row["changes"] = [_score_change(alerts, truth, claims) for truth in claims.truths]
    return row


def _matches(alert: Alert, truth: Truth) -> bool:
    if alert.payer != truth.payer or alert.day < truth.onset:
        return False
    both = truth.groups is not None and alert.groups is not None
    if both and not set(alert.groups or ()) & set(truth.groups or ()):
        return False
    if truth.metric == "reason":
        return alert.metric in ("denial", "reason") and alert.reason == truth.reason
    return alert.metric == truth.metric


def _score_change(alerts: Sequence[Alert], truth: Truth, claims: Claims) -> dict[str, Any]:
    row: dict[str, Any] = {
        "metric": truth.metric,
        "n28": truth.n28,
        "rho": evidence_ratio(truth),
        "axis": truth.axis,
        "groups": None if truth.groups is None else len(truth.groups),
        "carries_reason": truth.reason is not None,
        "delay": None,
    }
    hits = [one for one in alerts if _matches(one, truth)]
    if not hits:
        return row
    hit = hits[0]
    row["delay"] = hit.day - truth.onset
    row["level"] = hit.level
    same = [one for one in hits if one.day <= hit.day + _SAME_DAYS]
    row["statements"] = len(same)
    row["f1"] = _f1([one.groups for one in same], truth, claims)
    row["exact"] = len(same) == 1 and _is_exact(hit.groups, truth, claims)
    row["reason_right"] = hit.reason == truth.reason
    if truth.change.is_steady and _is_exact(hit.groups, truth, claims):
        row["estimates"] = {"0": (hit.effect, hit.error, truth.effect)}
    for days in (14, 28):
        later = hit.later.get(days)
        if later is None:
            continue
        row[f"exact{days}"] = _is_exact(later.groups, truth, claims)
        row[f"f1_{days}"] = _f1([later.groups], truth, claims)
        row[f"reason_right{days}"] = later.reason == truth.reason
        if truth.axis != "submission" and "estimates" in row and row[f"exact{days}"]:
            row["estimates"][str(days)] = (later.effect, later.error, truth.effect)
    return row


def _all(groups: Iterable[int] | None, claims: Claims) -> set[int]:
    return set(range(claims.groups)) if groups is None else set(groups)


def _is_exact(groups: tuple[int, ...] | None, truth: Truth, claims: Claims) -> bool:
    return _all(groups, claims) == _all(truth.groups, claims)


def _f1(said: Sequence[tuple[int, ...] | None], truth: Truth, claims: Claims) -> float:
    """Return F1 of the groups that were said, by their decisions before onset."""
    mine = ~claims.is_rework & (claims.payer == truth.payer)
    mine &= (claims.decided < truth.onset) & (claims.decided >= truth.onset - 84)
    weight = [1e-9] * claims.groups
    for group, count in enumerate(_counts(claims.group[mine], claims.groups)):
        weight[group] += count
    told: set[int] = set().union(*(_all(one, claims) for one in said))
    true = _all(truth.groups, claims)
    both = sum(weight[group] for group in told & true)
    precision = both / sum(weight[group] for group in told)
    recall = both / sum(weight[group] for group in true)
    return 2 * precision * recall / (precision + recall + 1e-12)


def _counts(groups: Any, size: int) -> list[int]:
    counts = [0] * size
    for group in groups.tolist():
        counts[group] += 1
    return counts
