"""What is kept of the automation room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from claimkit_django.automation.models import Execution, Work
from claimkit_django.retention import RetentionClass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    yield RetentionClass(
        name="executions",
        holds="what rules of automation did",
        model=Execution,
        expired=lambda before: Q(at__lt=before),
        keep_days=365,
    )
    yield RetentionClass(
        name="work",
        holds="tasks and notes that are done",
        model=Work,
        expired=lambda before: Q(done_at__lt=before),
        keep_days=730,
    )
