"""What is kept of the audit room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit_django.audit.models import AuditEntry
from claimkit_django.retention import RetentionClass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    yield RetentionClass(
        name="audit",
        holds="who did what; the chain needs every entry, so none is removed",
        model=AuditEntry,
        expired=None,
        least_days=2_557,
    )
