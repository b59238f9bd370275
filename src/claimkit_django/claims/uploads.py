"""Rows of files that were handed in: uploads, and what could not be taken from them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from claimkit_django.claims.files import upload_path
from claimkit_django.tenants.keys import TenantForeignKey
from claimkit_django.tenants.models import TenantModel
from claimkit_django.trail import Audited
from claimkit_django.uids import new_upload_uid

__all__ = ["RejectedRow", "Upload"]


class Upload(TenantModel):
    """One file that somebody handed in, what became of it, and how far it is."""

    #: Names of files may hold names of people.
    audited = Audited(
        kind="upload",
        shown=("source", "bytes_total", "known_on"),
        hidden=("name",),
        on=frozenset({"made", "removed"}),
    )

    class Status(models.TextChoices):
        """``partial``: the file is in, except for the rejected rows."""

        QUEUED = "queued", _("Queued")
        PROCESSING = "processing", _("Processing")
        SUCCESS = "success", _("Success")
        PARTIAL = "partial", _("Partial")
        FAILED = "failed", _("Failed")

    shown_in: ClassVar[str] = "claims"
    uid = models.CharField(max_length=32, default=new_upload_uid, editable=False)
    #: Empty once retention has removed the file; the row stays.
    file = models.FileField(upload_to=upload_path, max_length=255, blank=True)
    #: As the sender named it.
    name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64, blank=True)
    #: How it came: api, admin, command, or a host's own word.
    source = models.CharField(max_length=32, default="api")
    #: Who sent it; a stable key of the person or token, never a foreign key to the host's users.
    actor = models.CharField(max_length=150, blank=True)
    status = models.CharField(
        max_length=16, choices=Status.choices, default=Status.QUEUED, editable=False
    )

    #: Reader that was asked for, then the one that read it.
    reader = models.CharField(max_length=64, blank=True)
    encoding = models.CharField(max_length=32, blank=True)
    #: Transaction kind → claims, lines, charge and paid in cents, rejected, notices.
    kinds = models.JSONField(default=dict, blank=True)
    #: How to read it: column mapping, date order, texts for "no value"; then also the template.
    options = models.JSONField(default=dict, blank=True)
    #: Column names of the rejected rows.
    header = models.JSONField(default=list, blank=True)

    #: Profile of the file, what is unusual about it, and who released it.
    quality = models.JSONField(default=dict, blank=True)
    #: Whether drift alerts wait because of it.
    holds_alerts = models.BooleanField(default=False)

    bytes_total = models.BigIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    claims_new = models.BigIntegerField(default=0)
    claims_changed = models.BigIntegerField(default=0)
    claims_same = models.BigIntegerField(default=0)
    statements_same = models.BigIntegerField(default=0)
    rows_rejected = models.BigIntegerField(default=0)

    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)

    #: The day the file became known; set once, so that a restart tells the same story.
    known_on = models.DateField()
    #: Runs so far; also the token by which a run knows that a later one took over.
    attempts = models.IntegerField(default=0)
    #: Batches that are in, with their counts; a restart reads over them.
    batches_done = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    #: Renewed with every batch; a processing upload whose heart stopped may be taken over.
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="claims_upload_recent"),
            models.Index(
                fields=["heartbeat_at"],
                condition=Q(status__in=["queued", "processing"]),
                name="claims_upload_unfinished",
            ),
            models.Index(
                fields=["tenant"], condition=Q(holds_alerts=True), name="claims_upload_holding"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="claims_upload_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="claims_upload_tenant_id"),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "processing", "success", "partial", "failed"]),
                name="claims_upload_status",
            ),
            models.CheckConstraint(
                condition=Q(
                    bytes_done__gte=0,
                    bytes_total__gte=F("bytes_done"),
                ),
                name="claims_upload_bytes",
            ),
            models.CheckConstraint(
                condition=Q(
                    claims_new__gte=0,
                    claims_changed__gte=0,
                    claims_same__gte=0,
                    statements_same__gte=0,
                    rows_rejected__gte=0,
                    attempts__gte=0,
                    batches_done__gte=0,
                ),
                name="claims_upload_counts",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status__in=["queued", "processing"], finished_at__isnull=True)
                    | Q(
                        status__in=["success", "partial", "failed"],
                        started_at__isnull=False,
                        finished_at__isnull=False,
                        finished_at__gte=F("started_at"),
                    )
                ),
                name="claims_upload_times",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status="failed") & ~Q(error_code="") | ~Q(status="failed") & Q(error_code="")
                ),
                name="claims_upload_error",
            ),
            models.CheckConstraint(
                condition=~Q(status="success") | Q(rows_rejected=0),
                name="claims_upload_success_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.uid


class RejectedRow(TenantModel):
    """One row or segment of an upload that could not be taken, with its reason and remedy."""

    upload = models.ForeignKey(
        Upload, models.CASCADE, related_name="rejected", db_index=False, db_constraint=False
    )
    #: Nth rejection of the upload, from 0.
    ordinal = models.IntegerField()
    #: Physical line of a CSV, segment number of an X12 file.
    position = models.BigIntegerField()
    kind = models.CharField(max_length=8)
    code = models.CharField(max_length=64)
    message = models.TextField()
    remedy = models.TextField(blank=True)
    field_name = models.CharField(max_length=200, blank=True)
    #: Offending value, short, masked where the field identifies a person.
    value = models.CharField(max_length=64, blank=True)
    #: The row as read, for the repair file only; may hold PHI.
    raw = models.JSONField(default=list)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["upload_id", "ordinal"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "upload", "ordinal"], name="claims_rejected_once"
            ),
            TenantForeignKey(
                fields=["tenant", "upload"],
                to="claimkit_claims.Upload",
                to_fields=["tenant", "id"],
                name="claims_rejected_upload",
            ),
            models.CheckConstraint(
                condition=Q(ordinal__gte=0, position__gte=0), name="claims_rejected_place"
            ),
            models.CheckConstraint(condition=~Q(code=""), name="claims_rejected_code_given"),
        ]

    def __str__(self) -> str:
        return f"{self.code} at {self.position}"
