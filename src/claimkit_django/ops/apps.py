"""The ops room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["OpsApp"]


class OpsApp(AppConfig):
    """Checkup, metrics, logs, and a watch of the site itself; its rows are no tenant's."""

    name = "claimkit_django.ops"
    label = "claimkit_ops"
    verbose_name = _("Operations")
    default_auto_field = "django.db.models.BigAutoField"
    #: How the site tells that it is well: see :mod:`claimkit_django.vitals`.
    health_checks = ("claimkit_django.ops.probes.health_checks",)
    gauges = ("claimkit_django.ops.probes.gauges", "claimkit_django.ops.platform.gauges")
    #: What this room adds to every bus: see :func:`claimkit_django.runtime.make_bus`.
    bus_listeners = ("claimkit_django.ops.counting.MetricsListener",)

    def ready(self) -> None:
        """Register the system checks, count tasks, and trace them."""
        from claimkit_django.ops import checks, counting, tracing

        checks.register_checks()
        counting.count_tasks()
        tracing.trace_tasks()
