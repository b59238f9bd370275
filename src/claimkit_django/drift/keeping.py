"""What is kept of the drift room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from claimkit_django.drift.models import BacktestRun, WatchRun
from claimkit_django.retention import RetentionClass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    ended = ["success", "failed"]
    for name, holds, model in (
        ("watches", "runs that looked for drift; the cube and findings stay", WatchRun),
        ("backtests", "backtests and what they showed", BacktestRun),
    ):
        yield RetentionClass(
            name=name,
            holds=holds,
            model=model,
            expired=lambda before: Q(finished_at__lt=before, status__in=ended),
            keep_days=365,
            least_days=30,
        )
