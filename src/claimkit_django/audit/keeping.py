"""What is kept of the audit room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from claimkit_django.audit.cuts import cut_chains
from claimkit_django.audit.models import AuditEntry
from claimkit_django.retention import RetentionClass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    yield RetentionClass(
        name="audit",
        holds="who did what; nothing goes but whole months of a table that is cut by month",
        model=AuditEntry,
        expired=lambda before: Q(at__lt=before),
        # 45 CFR 164.316(b)(2)(i) asks for six years; we keep a year more.
        least_days=2_557,
        by_month="at",
        only_by_month=True,
        before_month_goes=cut_chains,
    )
