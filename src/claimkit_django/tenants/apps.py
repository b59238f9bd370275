"""The tenants room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["TenantsApp"]


class TenantsApp(AppConfig):
    """Tenants, memberships and the scope; every other room stands on it."""

    name = "claimkit_django.tenants"
    label = "claimkit_tenants"
    verbose_name = _("Tenants")
    default_auto_field = "django.db.models.BigAutoField"
    #: How this room tells that it is well: see :mod:`claimkit_django.vitals`.
    health_checks = ("claimkit_django.tenants.vitals.health_checks",)

    #: What is kept of this room: see :mod:`claimkit_django.retention`.
    retention = ("claimkit_django.tenants.keeping.retention_classes",)

    def ready(self) -> None:
        """Register the system checks, the guards against removal and the second wall."""
        from claimkit_django.http.tasks import follow_requests
        from claimkit_django.tenants import checks, members, policies, row_security

        checks.register_checks()
        members.connect_guards()
        row_security.connect_teller()
        policies.connect_enabling()
        follow_requests()
