"""The dashboard as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["DashboardApp"]


class DashboardApp(AppConfig):
    """Pages for people, of the rooms that are installed; no tables of its own."""

    name = "claimkit_django.dashboard"
    label = "claimkit_dashboard"
    verbose_name = _("Dashboard")

    def ready(self) -> None:
        """Register the system checks."""
        from claimkit_django.dashboard import checks

        checks.register_checks()
