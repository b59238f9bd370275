"""Rows of the claims room.

What is written by the hundred thousand is narrow: names are small integer codes into
:class:`Dimension`, money is whole cents, and keys lead with the tenant. Foreign keys inside the
room are checked with each statement and lead with the tenant too; Django's own are deferred,
halve an import, and would take a row of another tenant.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from claimkit_django.claims.codes import EVENT_KINDS, OUTCOMES, SOURCES
from claimkit_django.claims.files import upload_path
from claimkit_django.claims.uids import claim_uid
from claimkit_django.tenants.keys import TenantForeignKey
from claimkit_django.tenants.models import TenantModel, narrow_tenant
from claimkit_django.uids import new_upload_uid

__all__ = [
    "Adjustment",
    "Claim",
    "ClaimEvent",
    "Dimension",
    "RejectedRow",
    "ServiceLine",
    "Upload",
]

_OUTCOME_CODES = sorted(OUTCOMES.values())


class Upload(TenantModel):
    """One file that somebody handed in, what became of it, and how far it is."""

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
    #: How to read it: column mapping, date order, texts for "no value".
    options = models.JSONField(default=dict, blank=True)
    #: Column names of the rejected rows.
    header = models.JSONField(default=list, blank=True)

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
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="claims_upload_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="claims_upload_tenant_id"),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "processing", "success", "partial", "failed"]),
                name="claims_upload_status",
            ),
            models.CheckConstraint(
                condition=Q(bytes_done__gte=0, bytes_total__gte=F("bytes_done")),
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


class Dimension(TenantModel):
    """A name that rows refer to by a small code: a payer, a procedure, a reason.

    Code 0 is the empty name of every axis and has no row. All axes of a tenant share one
    sequence of codes, so that what is new since a code is one range of the primary key.
    """

    pk = models.CompositePrimaryKey("tenant_id", "code")
    axis = models.CharField(max_length=24)
    code = models.IntegerField()
    name = models.TextField()

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "axis", "name"], name="claims_dimension_name"
            ),
            models.CheckConstraint(condition=Q(code__gt=0), name="claims_dimension_code"),
            models.CheckConstraint(condition=~Q(name=""), name="claims_dimension_name_given"),
        ]

    def __str__(self) -> str:
        return self.name


class Claim(TenantModel):
    """What is known of one claim now: :class:`claimkit.claims.model.ClaimPosition` in a row."""

    shown_in: ClassVar[str] = "claims"
    tenant = narrow_tenant()
    claim_key = models.BigIntegerField()
    patient_control_number = models.TextField()
    payer_claim_control_number = models.TextField(default="", blank=True)
    authorization_number = models.TextField(default="", blank=True)
    patient_token = models.TextField(default="", blank=True)
    frequency = models.TextField(default="", blank=True)

    # Codes into Dimension, by axis.
    payer = models.IntegerField(default=0)
    procedure_code = models.IntegerField(default=0)
    procedure_group = models.IntegerField(default=0)
    facility = models.IntegerField(default=0)
    line_of_business = models.IntegerField(default=0)
    provider = models.IntegerField(default=0)
    category = models.IntegerField(default=0)
    reason = models.IntegerField(default=0)
    remark = models.IntegerField(default=0)
    first_category = models.IntegerField(default=0)
    first_reason = models.IntegerField(default=0)
    upload = models.IntegerField(default=0)

    # Codes of claimkit_django.claims.codes.
    outcome = models.SmallIntegerField(default=0)
    first_outcome = models.SmallIntegerField(default=0)

    service_from = models.DateField(null=True, blank=True)
    submitted_on = models.DateField(null=True, blank=True)
    first_decided_on = models.DateField(null=True, blank=True)
    decided_on = models.DateField(null=True, blank=True)
    paid_on = models.DateField(null=True, blank=True)
    #: What lists are ordered by: latest decision, else submission, else service, else
    #: 1970-01-01. Never null, so that a keyset over it has no hole.
    listed_on = models.DateField()

    # Cents.
    charge = models.BigIntegerField(default=0)
    allowed = models.BigIntegerField(null=True, blank=True)
    paid = models.BigIntegerField(default=0)
    patient_responsibility = models.BigIntegerField(default=0)

    lag_days = models.IntegerField(null=True, blank=True)
    reversals = models.IntegerField(default=0)
    has_submission = models.BooleanField(default=False)
    has_decision = models.BooleanField(default=False)
    first_pass = models.BooleanField(default=True)
    #: Where the latest statement stands in its file.
    position = models.BigIntegerField(default=0)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-listed_on", "-id"]
        indexes = [
            models.Index(fields=["tenant", "-listed_on", "-id"], name="claims_claim_recent"),
            models.Index(
                fields=["tenant", "payer", "-listed_on", "-id"], name="claims_claim_payer_recent"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "claim_key"], name="claims_claim_key"),
            TenantForeignKey(fields=["tenant"], name="claims_claim_tenant"),
            models.CheckConstraint(
                condition=Q(outcome__in=_OUTCOME_CODES, first_outcome__in=_OUTCOME_CODES),
                name="claims_claim_outcome",
            ),
            models.CheckConstraint(
                condition=Q(lag_days__isnull=True) | Q(lag_days__gte=0), name="claims_claim_lag"
            ),
            models.CheckConstraint(
                condition=Q(
                    payer__gte=0,
                    procedure_code__gte=0,
                    procedure_group__gte=0,
                    facility__gte=0,
                    line_of_business__gte=0,
                    provider__gte=0,
                    category__gte=0,
                    reason__gte=0,
                    remark__gte=0,
                    first_category__gte=0,
                    first_reason__gte=0,
                    upload__gte=0,
                ),
                name="claims_claim_codes",
            ),
            models.CheckConstraint(
                condition=Q(reversals__gte=0, position__gte=0), name="claims_claim_counts"
            ),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def uid(self) -> str:
        """The claim's public identifier, derived from its key."""
        return claim_uid(self.claim_key)


class ClaimEvent(TenantModel):
    """One statement about one claim, kept for ever: :class:`claimkit.claims.model.ClaimEvent`.

    The primary key leads with the claim, so that one index serves uniqueness and history.
    """

    pk = models.CompositePrimaryKey("tenant_id", "claim_key", "event_key")
    tenant = narrow_tenant()
    claim_key = models.BigIntegerField()
    event_key = models.BigIntegerField()
    content = models.BigIntegerField()
    decision_key = models.BigIntegerField()
    patient_control_number = models.TextField()
    payer_claim_control_number = models.TextField(default="")
    original_reference = models.TextField(default="")
    authorization_number = models.TextField(default="")
    patient_token = models.TextField(default="")
    frequency = models.TextField(default="")

    # Codes into Dimension, by axis.
    status = models.IntegerField(default=0)
    payer = models.IntegerField(default=0)
    procedure_code = models.IntegerField(default=0)
    procedure_group = models.IntegerField(default=0)
    facility = models.IntegerField(default=0)
    line_of_business = models.IntegerField(default=0)
    provider = models.IntegerField(default=0)
    category = models.IntegerField(default=0)
    reason = models.IntegerField(default=0)
    remark = models.IntegerField(default=0)
    upload = models.IntegerField(default=0)

    # Codes of claimkit_django.claims.codes.
    kind = models.SmallIntegerField()
    source = models.SmallIntegerField()
    outcome = models.SmallIntegerField(default=0)

    service_from = models.DateField(null=True)
    submitted_on = models.DateField(null=True)
    received_on = models.DateField(null=True)
    decided_on = models.DateField(null=True)
    paid_on = models.DateField(null=True)
    known_on = models.DateField()

    # Cents.
    charge = models.BigIntegerField(default=0)
    allowed = models.BigIntegerField(null=True)
    paid = models.BigIntegerField(default=0)
    patient_responsibility = models.BigIntegerField(default=0)
    position = models.BigIntegerField(default=0)

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            TenantForeignKey(
                fields=["tenant", "claim_key"],
                to="claimkit_claims.Claim",
                to_fields=["tenant", "claim_key"],
                name="claims_event_claim",
            ),
            models.CheckConstraint(
                condition=Q(
                    kind__in=sorted(EVENT_KINDS.values()),
                    source__in=sorted(SOURCES.values()),
                    outcome__in=_OUTCOME_CODES,
                ),
                name="claims_event_words",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__gte=0,
                    payer__gte=0,
                    procedure_code__gte=0,
                    procedure_group__gte=0,
                    facility__gte=0,
                    line_of_business__gte=0,
                    provider__gte=0,
                    category__gte=0,
                    reason__gte=0,
                    remark__gte=0,
                    upload__gte=0,
                ),
                name="claims_event_codes",
            ),
        ]

    def __str__(self) -> str:
        return f"{claim_uid(self.claim_key)}: {self.event_key}"


class ServiceLine(TenantModel):
    """One service of one statement: :class:`claimkit.claims.model.ServiceLine`."""

    pk = models.CompositePrimaryKey("tenant_id", "claim_key", "event_key", "ordinal")
    tenant = narrow_tenant()
    claim_key = models.BigIntegerField()
    event_key = models.BigIntegerField()
    #: Place in the statement, from 0.
    ordinal = models.IntegerField()
    number = models.TextField(default="")
    procedure_system = models.TextField(default="")
    procedure_code = models.TextField(default="")
    #: Up to four, separated by blanks.
    modifiers = models.TextField(default="")
    revenue_code = models.TextField(default="")
    billed_procedure = models.TextField(default="")
    #: RARC, separated by blanks.
    remarks = models.TextField(default="")
    units = models.DecimalField(max_digits=32, decimal_places=10, null=True)
    service_from = models.DateField(null=True)
    service_to = models.DateField(null=True)
    # Cents.
    charge = models.BigIntegerField(default=0)
    allowed = models.BigIntegerField(null=True)
    paid = models.BigIntegerField(default=0)
    position = models.BigIntegerField(default=0)

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            models.CheckConstraint(condition=Q(ordinal__gte=0), name="claims_line_ordinal"),
            TenantForeignKey(
                fields=["tenant", "claim_key", "event_key"],
                to="claimkit_claims.ClaimEvent",
                to_fields=["tenant", "claim_key", "event_key"],
                name="claims_line_event",
            ),
        ]

    def __str__(self) -> str:
        return f"{claim_uid(self.claim_key)}: {self.number}"


class Adjustment(TenantModel):
    """Why a payer paid less for one service: :class:`claimkit.claims.model.Adjustment`.

    A table of its own and not JSON in the line: reading it costs the same (12.6k against 12.0k
    claims per CPU second), and sums by reason are plain SQL on exact cents.
    """

    pk = models.CompositePrimaryKey("tenant_id", "claim_key", "event_key", "line", "ordinal")
    tenant = narrow_tenant()
    claim_key = models.BigIntegerField()
    event_key = models.BigIntegerField()
    #: Ordinal of the service line.
    line = models.IntegerField()
    #: Place in the line, from 0.
    ordinal = models.IntegerField()
    group = models.TextField(default="")
    reason = models.TextField(default="")
    #: Cents.
    amount = models.BigIntegerField()
    quantity = models.DecimalField(max_digits=32, decimal_places=10, null=True)

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            models.CheckConstraint(
                condition=Q(line__gte=0, ordinal__gte=0), name="claims_adjustment_place"
            ),
            TenantForeignKey(
                fields=["tenant", "claim_key", "event_key", "line"],
                to="claimkit_claims.ServiceLine",
                to_fields=["tenant", "claim_key", "event_key", "ordinal"],
                name="claims_adjustment_line",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group}-{self.reason}"
