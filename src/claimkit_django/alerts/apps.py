"""The alerts room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["AlertsApp"]


class AlertsApp(AppConfig):
    """Alerts, routes, silences, channels and what people judged."""

    name = "claimkit_django.alerts"
    label = "claimkit_alerts"
    verbose_name = _("Alerts")
    default_auto_field = "django.db.models.BigAutoField"
    #: What this room adds to every bus: see :func:`claimkit_django.runtime.make_bus`.
    bus_listeners = (
        "claimkit_django.alerts.signals.SignalListener",
        "claimkit_django.alerts.pulse.PulseListener",
    )
    #: How this room tells that it is well: see :mod:`claimkit_django.vitals`.
    health_checks = ("claimkit_django.alerts.vitals.health_checks",)
    gauges = ("claimkit_django.alerts.vitals.gauges",)
    #: Kinds of channels, for whoever tells operators.
    channel_kinds = "claimkit_django.alerts.channels.kinds"
    #: What this room adds to the reports room, where that is installed.
    export_sources = {"alerts": "claimkit_django.alerts.exports.AlertExport"}
    report_parts = "claimkit_django.alerts.exports.report_parts"

    #: What is kept of this room: see :mod:`claimkit_django.retention`.
    retention = ("claimkit_django.alerts.keeping.retention_classes",)
    #: What rules can be tried on: see :func:`claimkit_django.runtime.past_events`.
    past = (
        "claimkit_django.alerts.past.past_events",
        (
            "alerts.opened",
            "alerts.resolved",
        ),
    )

    def ready(self) -> None:
        """Register the system checks."""
        from claimkit_django.alerts import checks

        checks.register_checks()
