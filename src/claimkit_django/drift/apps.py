"""The drift room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["DriftApp"]


class DriftApp(AppConfig):
    """The cube, findings and watch runs."""

    name = "claimkit_django.drift"
    label = "claimkit_drift"
    verbose_name = _("Drift")
    default_auto_field = "django.db.models.BigAutoField"
    #: What this room adds to :class:`claimkit_django.runtime.OrmStore`.
    store_parts = {
        "cube": "claimkit_django.drift.store.OrmCubeStore",
        "findings": "claimkit_django.drift.store.OrmFindingLog",
    }
    #: What keeps the cube true, and scores what an EHR sends.
    bus_listeners = (
        "claimkit_django.drift.tenant_settings.make_upkeep",
        "claimkit_django.drift.tasks.ScoringListener",
    )
    #: What rules can be tried on: see :func:`claimkit_django.runtime.past_events`.
    past = (
        "claimkit_django.drift.past.past_events",
        (
            "drift.detected",
            "drift.resolved",
        ),
    )
    #: What operators watch of this room: see :mod:`claimkit_django.vitals`.
    gauges = ("claimkit_django.drift.vitals.gauges",)
    #: What this room adds to the reports room, where that is installed.
    export_sources = {"findings": "claimkit_django.drift.exports.FindingExport"}

    #: What is kept of this room: see :mod:`claimkit_django.retention`.
    retention = ("claimkit_django.drift.keeping.retention_classes",)

    def ready(self) -> None:
        """Register the system checks."""
        from claimkit_django.drift import checks

        checks.register_checks()
