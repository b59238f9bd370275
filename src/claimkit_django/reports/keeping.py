"""What is kept of the reports room, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from claimkit_django.reports.models import ExportRun, ReportFile, ReportMail, ReportRun
from claimkit_django.retention import RetentionClass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["retention_classes"]


def retention_classes() -> Iterator[RetentionClass]:
    """Yield the classes."""
    ended = ["success", "failed"]
    yield RetentionClass(
        name="reports",
        holds="reports with their files and mails",
        model=ReportRun,
        expired=lambda before: Q(finished_at__lt=before, status__in=ended),
        keep_days=2_557,
        children=((ReportMail, "run_id"), (ReportFile, "run_id")),
    )
    yield RetentionClass(
        name="exports",
        holds="who exported what; the files expire by REPORTS.KEEP_EXPORT_HOURS",
        model=ExportRun,
        expired=lambda before: Q(finished_at__lt=before, status__in=ended),
        keep_days=365,
    )
