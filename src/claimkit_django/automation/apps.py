"""The automation room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["AutomationApp"]


class AutomationApp(AppConfig):
    """Rules, what they did, what waits for a person, and what is left for people."""

    name = "claimkit_django.automation"
    label = "claimkit_automation"
    verbose_name = _("Automation")
    default_auto_field = "django.db.models.BigAutoField"
    #: What this room adds to every bus: see :func:`claimkit_django.runtime.make_bus`.
    bus_listeners = ("claimkit_django.automation.engine.RuleListener",)

    #: What is kept of this room: see :mod:`claimkit_django.retention`.
    retention = ("claimkit_django.automation.keeping.retention_classes",)

    def ready(self) -> None:
        """Register the system checks."""
        from claimkit_django.automation import checks

        checks.register_checks()
