"""The audit room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _

__all__ = ["AuditApp"]


class AuditApp(AppConfig):
    """Who did what in each tenant, in a chain that shows tampering."""

    name = "claimkit_django.audit"
    label = "claimkit_audit"
    verbose_name = _("Audit trail")
    default_auto_field = "django.db.models.BigAutoField"

    #: What operators watch of this room: see :mod:`claimkit_django.vitals`.
    gauges = ("claimkit_django.audit.vitals.gauges",)
    #: What shows whether a restored copy is sound: see :mod:`claimkit_django.ops.backup`.
    copy_checks = ("claimkit_django.audit.verify.copy_faults",)
    #: What this room adds to the reports room, where that is installed.
    export_sources = {"audit": "claimkit_django.audit.exports.AuditExport"}

    #: What is kept of this room: see :mod:`claimkit_django.retention`.
    retention = ("claimkit_django.audit.keeping.retention_classes",)

    def ready(self) -> None:
        """Begin to listen, and register the system checks."""
        from claimkit_django import trail
        from claimkit_django.audit import checks, record

        trail.deeds_done.connect(record.keep, sender=trail.Deed, dispatch_uid="claimkit_audit")
        trail.follow_deletions(list(apps.get_models()))
        checks.register_checks()
