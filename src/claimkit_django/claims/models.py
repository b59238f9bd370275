"""Rows of the claims room.

What is written by the hundred thousand is narrow: names are small integer codes into
:class:`Dimension`, money is whole cents, and keys lead with the tenant. Between claims, their
statements, lines and adjustments there are no foreign keys: checked row by row they were half of
what PostgreSQL does for an import. One module writes these tables, claim and all in one
transaction, and ``claimkit_doctor --rows`` looks whether any row has lost the one it belongs to
(:mod:`claimkit_django.claims.integrity`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Q

from claimkit_django.claims.codes import EVENT_KINDS, OUTCOMES, SOURCES
from claimkit_django.claims.tenant_rules import CsvTemplate, MappingVersion
from claimkit_django.claims.uids import claim_uid
from claimkit_django.claims.uploads import RejectedRow, Upload
from claimkit_django.tenants.keys import TenantForeignKey
from claimkit_django.tenants.models import TenantModel, narrow_tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Adjustment",
    "Claim",
    "ClaimEvent",
    "CsvTemplate",
    "Dimension",
    "MappingVersion",
    "RejectedRow",
    "ServiceLine",
    "Upload",
]


def _one_of(field: str, codes: Mapping[Any, int]) -> Q:
    """Return the condition that a field holds one of the codes, which are 0 and up without a gap.

    By both ends: SQLite makes a table of a list, for every row anew, which is a third of an insert.
    """
    return Q(**{f"{field}__range": (min(codes.values()), max(codes.values()))})


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
            # Few claims have no decision, so it costs an import next to nothing.
            models.Index(
                fields=["tenant", "upload", "id"],
                condition=Q(has_decision=False),
                name="claims_claim_pending",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "claim_key"], name="claims_claim_key"),
            TenantForeignKey(fields=["tenant"], name="claims_claim_tenant"),
            models.CheckConstraint(
                condition=_one_of("outcome", OUTCOMES) & _one_of("first_outcome", OUTCOMES),
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
    #: As stated, and canonical before the tenant's own mapping.
    payer_name = models.IntegerField(default=0)
    payer_id = models.IntegerField(default=0)
    base_payer = models.IntegerField(default=0)
    payer = models.IntegerField(default=0)
    procedure_code = models.IntegerField(default=0)
    base_group = models.IntegerField(default=0)
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

    #: Its only service line says what the statement says, and has no row.
    stands_for_line = models.BooleanField(default=False, db_default=False)

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            models.CheckConstraint(
                condition=(
                    _one_of("kind", EVENT_KINDS)
                    & _one_of("source", SOURCES)
                    & _one_of("outcome", OUTCOMES)
                ),
                name="claims_event_words",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__gte=0,
                    payer_name__gte=0,
                    payer_id__gte=0,
                    base_payer__gte=0,
                    base_group__gte=0,
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
    """One service of one statement: :class:`claimkit.claims.model.ServiceLine`.

    Most rows of an export are one service, of which the statement tells all: these have no row here,
    and :attr:`ClaimEvent.stands_for_line` instead.
    """

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
        ]

    def __str__(self) -> str:
        return f"{self.group}-{self.reason}"
