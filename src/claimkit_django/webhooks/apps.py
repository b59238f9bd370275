"""The webhooks room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["WebhooksApp"]


class WebhooksApp(AppConfig):
    """Endpoints, deliveries and their attempts."""

    name = "claimkit_django.webhooks"
    label = "claimkit_webhooks"
    verbose_name = _("Webhooks")
    default_auto_field = "django.db.models.BigAutoField"
    #: What this room adds to every bus: see :func:`claimkit_django.runtime.make_bus`.
    bus_listeners = ("claimkit_django.webhooks.enqueue.WebhookListener",)
    #: How this room tells that it is well: see :mod:`claimkit_django.vitals`.
    health_checks = ("claimkit_django.webhooks.vitals.health_checks",)
    gauges = ("claimkit_django.webhooks.vitals.gauges",)

    #: What is kept of this room: see :mod:`claimkit_django.retention`.
    retention = ("claimkit_django.webhooks.keeping.retention_classes",)

    def ready(self) -> None:
        """Register the system checks."""
        from claimkit_django.webhooks import checks

        checks.register_checks()
