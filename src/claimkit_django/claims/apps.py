"""The claims room as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["ClaimsApp"]


class ClaimsApp(AppConfig):
    """Uploads, claims and their import."""

    name = "claimkit_django.claims"
    label = "claimkit_claims"
    verbose_name = _("Claims")
    default_auto_field = "django.db.models.BigAutoField"
    #: What this room adds to :class:`claimkit_django.runtime.OrmStore`.
    store_parts = {
        "behind": "claimkit_django.claims.behind.Behind",
        "claims": "claimkit_django.claims.store.OrmClaimStore",
        "denials": "claimkit_django.claims.denials.Denials",
        "mappings": "claimkit_django.claims.mapping_table.MappingTable",
        "pending": "claimkit_django.claims.pending.PendingClaims",
        "quality": "claimkit_django.claims.quality.OrmQualityLog",
        "visits": "claimkit_django.claims.visits.Visits",
    }
    #: What rules can be tried on: see :func:`claimkit_django.runtime.past_events`.
    past = (
        "claimkit_django.claims.past.past_events",
        ("claims.imported",),
    )
    #: What operators watch of this room: see :mod:`claimkit_django.vitals`.
    gauges = ("claimkit_django.claims.vitals.gauges",)
    #: What ``claimkit_doctor --rows`` looks at.
    row_checks = ("claimkit_django.claims.integrity.row_checks",)
    #: What this room adds to the reports room, where that is installed.
    export_sources = {"claims": "claimkit_django.claims.exports.ClaimExport"}
    report_parts = "claimkit_django.claims.exports.report_parts"

    #: What is kept of this room: see :mod:`claimkit_django.retention`.
    retention = ("claimkit_django.claims.keeping.retention_classes",)

    def ready(self) -> None:
        """Register the system checks."""
        from claimkit_django.claims import checks

        checks.register_checks()
