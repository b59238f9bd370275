"""Decides whether a build is slower than another: by ratios of paired runs, never by milliseconds.

>>> base = Figures(p50=10, p95=40, p99=90, per_second=100, requests=1000, errors=0)
>>> [one.level for one in judge([(base, base)])]
['ok', 'ok', 'ok', 'ok', 'ok']
>>> slow = Figures(p50=10, p95=49, p99=90, per_second=100, requests=1000, errors=0)
>>> judge([(base, slow)])[0]
Verdict(measure='p95', ratio=1.225, limit=1.2, level='fail')
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Ratio of head to base above which p95 fails, and the others warn.
LIMIT = 1.2
#: Points by which the share of errors may grow.
ERROR_POINTS = 2.0


@dataclass(frozen=True)
class Figures:
    """What one run measured; milliseconds."""

    p50: float
    p95: float
    p99: float
    per_second: float
    requests: int
    errors: int

    @property
    def error_percent(self) -> float:
        return 100.0 * self.errors / self.requests if self.requests else 100.0


@dataclass(frozen=True)
class Verdict:
    """What became of one measure."""

    measure: str
    #: Median over the pairs of head to base; above 1 is worse. For errors, points.
    ratio: float
    limit: float
    #: ``ok``, ``warn`` or ``fail``.
    level: str


def judge(pairs: Sequence[tuple[Figures, Figures]], *, strict: bool = False) -> list[Verdict]:
    """Return the verdicts over pairs of (base, head) that ran in turns on one machine.

    Args:
        pairs: At least one.
        strict: What would warn fails.

    Raises:
        ValueError: there is no pair, or a run measured nothing.
    """
    if not pairs or any(not (base.requests and head.requests) for base, head in pairs):
        raise ValueError("a run measured nothing: nothing can be said")
    soft = "fail" if strict else "warn"

    def told(measure: str, ratios: list[float], limit: float, worse: str) -> Verdict:
        middle = round(statistics.median(ratios), 3)
        return Verdict(measure, middle, limit, worse if middle > limit else "ok")

    def ratios(name: str) -> list[float]:
        return [_ratio(getattr(head, name), getattr(base, name)) for base, head in pairs]

    errors = [head.error_percent - base.error_percent for base, head in pairs]
    slower = [_ratio(base.per_second, head.per_second) for base, head in pairs]
    return [
        told("p95", ratios("p95"), LIMIT, "fail"),
        told("errors", errors, ERROR_POINTS, "fail"),
        told("p50", ratios("p50"), LIMIT, soft),
        told("p99", ratios("p99"), LIMIT, soft),
        told("throughput", slower, LIMIT, soft),
    ]


def _ratio(one: float, other: float) -> float:
    return one / other if other else (1.0 if not one else float("inf"))
