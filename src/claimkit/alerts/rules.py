"""Rules of a tenant: which signals become alerts, and how severe they are.

Without a rule a signal keeps the severity that its detector gave it. The first rule that takes a
signal decides instead: another severity, or no alert at all. The vocabulary is closed: a metric
that nobody knows is an error when the rule is made, and not a rule that never fires.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from claimkit.alerts.policy import AlertMatch
from claimkit.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from claimkit.alerts.lifecycle import AlertSignal
    from claimkit.types import Severity

__all__ = ["METRICS", "Comparison", "Rule", "apply_rules"]


class Comparison(StrEnum):
    """How a metric is compared with the threshold."""

    AT_LEAST = "at_least"
    ABOVE = "above"
    AT_MOST = "at_most"
    BELOW = "below"


_COMPARE: Final[Mapping[Comparison, Callable[[float, float], bool]]] = {
    Comparison.AT_LEAST: operator.ge,
    Comparison.ABOVE: operator.gt,
    Comparison.AT_MOST: operator.le,
    Comparison.BELOW: operator.lt,
}

#: Name → what it says of a signal, None where it says nothing.
METRICS: Final[Mapping[str, Callable[[AlertSignal], float | None]]] = {
    # Money at risk per 30 days, in dollars.
    "dollars_per_month": lambda signal: signal.subject.dollars_per_month / 100,
    # Days from the onset to the report.
    "age_days": lambda signal: (
        float((signal.at.date() - signal.subject.onset).days)
        if signal.subject.onset is not None
        else None
    ),
    # 0 for low to 3 for critical, as the detector rated it.
    "severity_rank": lambda signal: float(signal.severity.rank),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What becomes of signals that match and compare.

    Raises:
        UnknownName: there is no such metric.
    """

    key: str
    match: AlertMatch = field(default_factory=AlertMatch)
    #: A name of :data:`METRICS`.
    metric: str = "dollars_per_month"
    comparison: Comparison = Comparison.AT_LEAST
    threshold: float = 0.0
    #: How severe their alerts are; None: they open none.
    severity: Severity | None = None

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UnknownName.of("metric", self.metric, METRICS)

    def takes(self, signal: AlertSignal) -> bool:
        """Whether the rule decides about a signal; one without the metric it does not."""
        value = METRICS[self.metric](signal)
        return (
            value is not None
            and self.match.takes(signal.subject)
            and _COMPARE[self.comparison](value, self.threshold)
        )


def apply_rules(signal: AlertSignal, rules: Iterable[Rule]) -> tuple[AlertSignal | None, str]:
    """Return what becomes of a signal, None for no alert, and the key of the rule that decided.

    The end of something is never held back: whatever was opened must be able to end.

    Args:
        signal: As it was reported.
        rules: In order of priority.
    """
    if not signal.is_firing:
        return signal, ""
    for rule in rules:
        if rule.takes(signal):
            if rule.severity is None:
                return None, rule.key
            return replace(signal, severity=rule.severity), rule.key
    return signal, ""
