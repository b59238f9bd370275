"""What is kept of the claims room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from claimkit_django.claims.models import (
    Adjustment,
    Claim,
    ClaimEvent,
    RejectedRow,
    ServiceLine,
    Upload,
)
from claimkit_django.retention import RetentionClass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    yield RetentionClass(
        name="claims",
        holds="claims whose last word is old enough, with all statements, services, adjustments",
        model=Claim,
        expired=lambda before: Q(listed_on__lt=before.date()),
        # Payers take payments back for years; what comes after the claim is gone begins a new one.
        least_days=730,
        key="claim_key",
        children=(
            (Adjustment, "claim_key"),
            (ServiceLine, "claim_key"),
            (ClaimEvent, "claim_key"),
        ),
    )
    yield RetentionClass(
        name="raw_files",
        holds="files as they were sent; what was read from them stays",
        model=Upload,
        expired=lambda before: (
            Q(finished_at__lt=before, status__in=["success", "partial", "failed"]) & ~Q(file="")
        ),
        least_days=30,
        empties="file",
    )
    yield RetentionClass(
        name="rejected_rows",
        holds="rows that were rejected, as they were read",
        model=RejectedRow,
        expired=lambda before: Q(upload__finished_at__lt=before),
        keep_days=365,
    )
