"""The reports room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["ReportsApp"]


class ReportsApp(AppConfig):
    """Reports of periods, schedules, and exports."""

    name = "claimkit_django.reports"
    label = "claimkit_reports"
    verbose_name = _("Reports")
    default_auto_field = "django.db.models.BigAutoField"
    #: What operators watch of this room: see :mod:`claimkit_django.vitals`.
    gauges = ("claimkit_django.reports.vitals.gauges",)

    #: What is kept of this room: see :mod:`claimkit_django.retention`.
    retention = ("claimkit_django.reports.keeping.retention_classes",)

    def ready(self) -> None:
        """Register the system checks."""
        from claimkit_django.reports import checks

        checks.register_checks()
