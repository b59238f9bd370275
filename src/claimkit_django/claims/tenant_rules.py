"""Rows of what a tenant has decided for itself: names for payers and groups, how exports are read."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from claimkit_django.tenants.models import TenantModel
from claimkit_django.trail import Audited
from claimkit_django.uids import new_mapping_uid, new_template_uid

__all__ = ["CsvTemplate", "MappingVersion"]


class MappingVersion(TenantModel):
    """The tenant's rules for payers and procedure groups as they were from one day on.

    A version never changes once it is applied; taking one back is a further version with the
    rules of an earlier one. The highest applied number is in force.
    """

    audited = Audited(kind="mapping", shown=("number", "status", "restores"), hidden=("rules",))

    class Status(models.TextChoices):
        """``failed``: nothing of it is in force."""

        QUEUED = "queued", _("Queued")
        APPLIED = "applied", _("Applied")
        FAILED = "failed", _("Failed")

    shown_in: ClassVar[str] = "claims"
    uid = models.CharField(max_length=32, default=new_mapping_uid, editable=False)
    #: 1, 2, 3, …; given when it is handed in.
    number = models.IntegerField()
    #: List of rules: subject, match, value, last, target.
    rules = models.JSONField(default=list, blank=True)
    #: Why, in the words of whoever made it.
    note = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    status = models.CharField(
        max_length=16, choices=Status.choices, default=Status.QUEUED, editable=False
    )
    #: Number of the version whose rules came back; null for new rules.
    restores = models.IntegerField(null=True, blank=True)
    #: Statements and claims of the past that got other names.
    statements_changed = models.BigIntegerField(default=0)
    claims_changed = models.BigIntegerField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="claims_mapping_uid"),
            models.UniqueConstraint(fields=["tenant", "number"], name="claims_mapping_number"),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "applied", "failed"]),
                name="claims_mapping_status",
            ),
            models.CheckConstraint(
                condition=Q(number__gte=1, statements_changed__gte=0, claims_changed__gte=0),
                name="claims_mapping_counts",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status="failed") & ~Q(error_code="") | ~Q(status="failed") & Q(error_code="")
                ),
                name="claims_mapping_error",
            ),
        ]

    def __str__(self) -> str:
        return f"mapping {self.number}"


class CsvTemplate(TenantModel):
    """How exports with one header are read: :class:`claimkit.claims.templates.CsvTemplate`."""

    audited = Audited(
        kind="csv_template", shown=("name", "date_order"), hidden=("header", "columns", "nulls")
    )

    class DateOrder(models.TextChoices):
        """Empty lets the file tell."""

        MONTH_FIRST = "mdy", _("month/day/year")
        DAY_FIRST = "dmy", _("day/month/year")

    shown_in: ClassVar[str] = "claims"
    uid = models.CharField(max_length=32, default=new_template_uid, editable=False)
    name = models.CharField(max_length=100)
    #: Column names of the export.
    header = models.JSONField(default=list)
    #: Column header → canonical field.
    columns = models.JSONField(default=dict, blank=True)
    date_order = models.CharField(max_length=3, choices=DateOrder.choices, blank=True)
    #: Texts for "no value".
    nulls = models.JSONField(default=list, blank=True)
    actor = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="claims_template_uid"),
            models.UniqueConstraint(fields=["tenant", "name"], name="claims_template_name"),
            models.CheckConstraint(
                condition=Q(date_order__in=["", "mdy", "dmy"]), name="claims_template_dates"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="claims_template_name_given"),
        ]

    def __str__(self) -> str:
        return self.name
