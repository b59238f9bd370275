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
from claimkit.errors import ConfigError, UnknownName

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

_OR_EQUAL: Final[Mapping[Comparison, Comparison]] = {
    Comparison.ABOVE: Comparison.AT_LEAST,
    Comparison.AT_LEAST: Comparison.AT_LEAST,
    Comparison.BELOW: Comparison.AT_MOST,
    Comparison.AT_MOST: Comparison.AT_MOST,
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
    # What the signal measured, in the unit of its kind, such as percent of rejected rows.
    "figure": lambda signal: signal.subject.figure,
    # 0 for low to 3 for critical, as the detector rated it.
    "severity_rank": lambda signal: float(signal.severity.rank),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What becomes of signals that match and compare.

    Raises:
        UnknownName: there is no such metric.
        ConfigError: the clear threshold asks for more than the threshold.
    """

    key: str
    match: AlertMatch = field(default_factory=AlertMatch)
    #: A name of :data:`METRICS`.
    metric: str = "dollars_per_month"
    comparison: Comparison = Comparison.AT_LEAST
    threshold: float = 0.0
    #: An alert of this rule stays one until its metric does not even compare with this; None: with
    #: ``threshold``. Apart from each other, a metric that moves around one of them flaps no alert.
    clear_threshold: float | None = None
    #: How severe their alerts are; None: they open none.
    severity: Severity | None = None

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UnknownName.of("metric", self.metric, METRICS)
        clear = self.clear_threshold
        # Whatever fires also holds.
        if clear is not None and not _COMPARE[_OR_EQUAL[self.comparison]](self.threshold, clear):
            raise ConfigError(
                f"an alert that fires at {self.threshold:g} cannot stay one until {clear:g}",
                remedy="Choose a clear threshold that is easier to reach than the threshold",
            )

    def takes(self, signal: AlertSignal, *, is_held: bool = False) -> bool:
        """Whether the rule decides about a signal; one without the metric it does not.

        Args:
            signal: As it was reported.
            is_held: The rule decided about the live alert too, so its clear threshold counts.
        """
        value = METRICS[self.metric](signal)
        holds = is_held and self.clear_threshold is not None
        limit = self.clear_threshold if holds else self.threshold
        return (
            value is not None
            and limit is not None
            and self.match.takes(signal.subject)
            and _COMPARE[self.comparison](value, limit)
        )


def apply_rules(
    signal: AlertSignal, rules: Iterable[Rule], *, held_by: str = ""
) -> AlertSignal | None:
    """Return what becomes of a signal, with the rule that decided; None for no alert.

    The end of something is never held back: whatever was opened must be able to end.

    Args:
        signal: As it was reported.
        rules: In order of priority.
        held_by: Key of the rule that decided about the live alert of this fingerprint.
    """
    if not signal.is_firing:
        return signal
    for rule in rules:
        if rule.takes(signal, is_held=rule.key == held_by):
            if rule.severity is None:
                return None
            return replace(signal, severity=rule.severity, rule=rule.key, needs_rule=False)
    return replace(signal, is_firing=False) if signal.needs_rule else signal
