"""What is kept of the tenants room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from claimkit_django.retention import RetentionClass
from claimkit_django.tenants.models import IdempotencyKey

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    yield RetentionClass(
        name="remembered_answers",
        holds="answers to requests that may be repeated",
        model=IdempotencyKey,
        expired=lambda before: Q(created_at__lt=before),
        keep_days=7,
    )
