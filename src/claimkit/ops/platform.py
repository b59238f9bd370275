"""Alerts of the site itself: rules over a window of its own series, and what became of each.

The story: a host reads the series now (:class:`Readings`) and the oldest ones that are still in the
window; :func:`assess` computes each rule's figure from their difference, so that what happened
before the window counts for nothing; :func:`judge` says with a threshold to fire and one to clear
whether it fires. A figure that cannot be known, such as with too few requests, changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from claimkit.types import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RULES", "Judged", "PlatformRule", "Readings", "assess", "judge"]

#: Requests or tasks in a window from which a share says something.
_ENOUGH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the series said at one moment; counters are since their processes started.

    None where nothing tells it.
    """

    #: Requests, and those of them that failed with a status of 500 or more.
    requests: float | None = None
    errors: float = 0.0
    #: Upper bound in seconds, as text → requests that took no longer; ``+Inf`` for all.
    seconds: Mapping[str, float] = field(default_factory=dict)
    #: Celery tasks that ended, and those that failed.
    tasks: float | None = None
    failures: float = 0.0
    #: Connections to the database, and how many it takes.
    connections: float | None = None
    connections_limit: float | None = None
    #: Seconds for which the oldest delivery is due.
    oldest_due: float | None = None
    #: Seconds for which the oldest entry of the audit trail is in no chain.
    oldest_unlinked: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the readings as they are kept."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Readings:
        """Return readings that were kept; names of other versions are left out."""
        return cls(**{name: one for name, one in kept.items() if name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRule:
    """When something of the site is wrong."""

    name: str
    severity: Severity
    #: From the readings at the begin of the window, None if there are none, and those now.
    measure: Callable[[Readings | None, Readings], float | None]
    #: It fires above this, and until the figure is at most ``clear``.
    threshold: float
    clear: float
    #: ``%`` or ``s``.
    unit: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a rule found."""

    rule: PlatformRule
    #: None where it cannot be known.
    figure: float | None
    is_firing: bool

    @property
    def summary(self) -> str:
        """In a sentence, with the figure."""
        told = "unknown" if self.figure is None else f"{self.figure:.1f} {self.rule.unit}"
        return f"{self.rule.summary}: {told}, where {self.rule.threshold:g} {self.rule.unit} is the limit."


def assess(rule: PlatformRule, before: Readings | None, now: Readings) -> float | None:
    """Return the rule's figure over the window, None where it cannot be known."""
    return rule.measure(before, now)


def judge(rule: PlatformRule, figure: float | None, *, was_firing: bool) -> Judged:
    """Say whether a rule fires; one whose figure is unknown stays as it was.

    >>> judge(RULES["errors"], 4.0, was_firing=True).is_firing
    True
    >>> judge(RULES["errors"], 4.0, was_firing=False).is_firing
    False
    """
    if figure is None:
        return Judged(rule=rule, figure=None, is_firing=was_firing)
    limit = rule.clear if was_firing else rule.threshold
    return Judged(rule=rule, figure=figure, is_firing=figure > limit)


def _since(before: float | None, now: float) -> float:
    """Return the increase of a counter; one that is smaller now started again at 0."""
    return now if before is None or now < before else now - before


def _share(
    before: tuple[float | None, float], now: tuple[float | None, float], *, known: bool
) -> float | None:
    if not known or before[0] is None or now[0] is None:
        return None
    events = _since(before[0], now[0])
    return 100 * _since(before[1], now[1]) / events if events >= _ENOUGH else None


def _error_percent(before: Readings | None, now: Readings) -> float | None:
    then = before or Readings()
    return _share(
        (then.requests, then.errors), (now.requests, now.errors), known=before is not None
    )


def _failure_percent(before: Readings | None, now: Readings) -> float | None:
    then = before or Readings()
    return _share((then.tasks, then.failures), (now.tasks, now.failures), known=before is not None)


def _slow_seconds(before: Readings | None, now: Readings) -> float | None:
    """Return the 95th percentile of the window, as Prometheus' ``histogram_quantile`` computes it.

    Within a bucket times are taken as spread evenly; of those beyond the last bound only the
    bound is known.
    """
    if before is None or "+Inf" not in now.seconds:
        return None
    is_restart = any(now.seconds.get(le, 0) < count for le, count in before.seconds.items())
    then = {} if is_restart else before.seconds
    bounds = sorted(now.seconds, key=float)
    counts = [now.seconds[le] - then.get(le, 0) for le in bounds]
    if counts[-1] < _ENOUGH:
        return None
    rank = 0.95 * counts[-1]
    at = next(number for number, count in enumerate(counts) if count >= rank)
    upper = float(bounds[at])
    lower, below = (float(bounds[at - 1]), counts[at - 1]) if at else (0.0, 0.0)
    if math.isinf(upper):
        return lower
    return lower + (upper - lower) * (rank - below) / (counts[at] - below)


def _connection_percent(before: Readings | None, now: Readings) -> float | None:
    del before
    if now.connections is None or not now.connections_limit:
        return None
    return 100 * now.connections / now.connections_limit


#: All of them, by name.
RULES: Final[Mapping[str, PlatformRule]] = {
    one.name: one
    for one in (
        PlatformRule(
            name="errors", severity=Severity.CRITICAL, measure=_error_percent,
            threshold=5, clear=2.5, unit="%", summary="Requests fail",
        ),
        PlatformRule(
            name="slow", severity=Severity.MEDIUM, measure=_slow_seconds,
            threshold=2, clear=1.5, unit="s", summary="One request in twenty takes longer than this",
        ),
        PlatformRule(
            name="connections", severity=Severity.CRITICAL, measure=_connection_percent,
            threshold=90, clear=80, unit="%", summary="The database runs out of connections",
        ),
        PlatformRule(
            name="tasks", severity=Severity.HIGH, measure=_failure_percent,
            threshold=10, clear=5, unit="%", summary="Tasks fail",
        ),
        PlatformRule(
            name="deliveries", severity=Severity.HIGH,
            measure=lambda _, now: now.oldest_due,
            threshold=300, clear=60, unit="s", summary="Nothing is sent; the oldest is due for",
        ),
        PlatformRule(
            name="audit", severity=Severity.HIGH,
            measure=lambda _, now: now.oldest_unlinked,
            threshold=600, clear=60, unit="s",
            summary="Entries of the audit trail are not sealed; the oldest waits for",
        ),
    )
}  # fmt: skip
