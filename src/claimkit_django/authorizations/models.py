"""Rows of the authorizations room; a patient is a token in them, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from claimkit.authorizations import model as core
from claimkit.authorizations.review import WarningKind
from claimkit_django.tenants.keys import TenantForeignKey
from claimkit_django.tenants.models import TenantModel
from claimkit_django.trail import Audited
from claimkit_django.uids import (
    new_authorization_import_uid,
    new_authorization_uid,
    new_lead_time_uid,
)

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = [
    "Authorization",
    "AuthorizationClaim",
    "AuthorizationImport",
    "AuthorizationWarning",
    "ImportProblem",
    "LeadTime",
]

_KINDS = [one.value for one in WarningKind]


def _units(**values: object) -> models.DecimalField:  # type: ignore[type-arg]
    return models.DecimalField(max_digits=12, decimal_places=3, **values)  # type: ignore[arg-type]


class Authorization(TenantModel):
    """A payer's leave: :class:`claimkit.authorizations.model.Authorization` in a row."""

    audited = Audited(
        kind="authorization",
        shown=(
            *("payer", "procedure", "valid_from", "valid_until", "units_authorized"),
            "units_stated",
        ),
        hidden=("number", "patient_token"),
    )
    shown_in: ClassVar[str] = "authorizations"

    uid = models.CharField(max_length=32, default=new_authorization_uid, editable=False)
    number = models.CharField(max_length=64)
    payer = models.CharField(max_length=200)
    #: What claims call it: by the tenant's mapping, else :func:`claimkit.claims.payers.payer_of`; each
    #: check makes it anew.
    payer_folded = models.CharField(max_length=200, editable=False)
    procedure = models.CharField(max_length=16)
    #: :func:`claimkit.claims.privacy.patient_token`; empty where nobody said whose it is.
    patient_token = models.CharField(max_length=32, blank=True, editable=False)
    valid_from = models.DateField()
    valid_until = models.DateField()
    units_authorized = _units()
    #: Units that people or a file say were used.
    units_stated = _units(default=0)
    #: Units of linked claims.
    units_linked = _units(default=0, editable=False)
    #: The authorization that follows this one.
    renewal = models.ForeignKey(
        "self",
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="renews",
        db_index=False,
        db_constraint=False,
    )
    # The forecast of the last check.
    units_per_day = models.FloatField(null=True, blank=True, editable=False)
    runs_out = models.FloatField(null=True, blank=True, editable=False)
    exhausted_earliest = models.DateField(null=True, blank=True, editable=False)
    exhausted_likely = models.DateField(null=True, blank=True, editable=False)
    exhausted_latest = models.DateField(null=True, blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["valid_until", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="authorizations_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="authorizations_id"),
            models.UniqueConstraint(fields=["tenant", "number"], name="authorizations_number"),
            TenantForeignKey(
                fields=["tenant", "renewal"],
                to="claimkit_authorizations.Authorization",
                to_fields=["tenant", "id"],
                name="authorizations_renewal",
            ),
            models.CheckConstraint(
                condition=Q(valid_until__gte=F("valid_from")), name="authorizations_period"
            ),
            models.CheckConstraint(
                condition=Q(
                    units_authorized__gt=0,
                    units_authorized__lte=core.MOST_UNITS,
                    units_stated__gte=0,
                    units_linked__gte=0,
                ),
                name="authorizations_units",
            ),
            models.CheckConstraint(
                condition=~Q(number="") & ~Q(payer="") & ~Q(procedure=""),
                name="authorizations_named",
            ),
            models.CheckConstraint(
                condition=Q(renewal=None) | ~Q(renewal=F("id")), name="authorizations_not_own"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "valid_until", "id"], name="authorizations_ends"),
            models.Index(
                fields=["tenant", "patient_token", "procedure"],
                condition=~Q(patient_token=""),
                name="authorizations_patient",
            ),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def units_used(self) -> Decimal:
        """Units used: as stated or as claims say, whichever is more."""
        used: Decimal = max(self.units_stated, self.units_linked)
        return used

    def to_value(self) -> core.Authorization:
        """Return the authorization as the core knows it."""
        return core.Authorization(
            number=self.number,
            payer=self.payer,
            procedure=self.procedure,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            units_authorized=self.units_authorized,
            units_used=min(self.units_used, core.MOST_UNITS),
        )


class AuthorizationClaim(TenantModel):
    """A claim that was made under an authorization; made anew by each check."""

    authorization = models.ForeignKey(
        Authorization,
        models.CASCADE,
        related_name="claims",
        db_index=False,
        db_constraint=False,
    )
    #: As in ``claimkit_claims``, which may not be installed.
    claim_key = models.BigIntegerField()
    service_on = models.DateField()
    #: 0 where the payer denied or reversed the claim.
    units = _units()

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["service_on", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "authorization", "claim_key"], name="authorizations_claim_once"
            ),
            TenantForeignKey(
                fields=["tenant", "authorization"],
                to="claimkit_authorizations.Authorization",
                to_fields=["tenant", "id"],
                name="authorizations_claim_of",
            ),
            models.CheckConstraint(condition=Q(units__gte=0), name="authorizations_claim_units"),
        ]

    def __str__(self) -> str:
        return f"{self.authorization_id}: {self.service_on}"


class AuthorizationWarning(TenantModel):
    """A step that was told, once: :class:`claimkit.authorizations.review.Warned` in a row."""

    class Kind(models.TextChoices):
        """Mirrors :class:`claimkit.authorizations.review.WarningKind`."""

        EXPIRY = WarningKind.EXPIRY.value, _("Ends soon")
        EXHAUSTION = WarningKind.EXHAUSTION.value, _("Units run out")

    authorization = models.ForeignKey(
        Authorization, models.CASCADE, related_name="warnings", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    step = models.IntegerField()
    basis = models.CharField(max_length=32)
    days_left = models.IntegerField()
    ends_on = models.DateField()
    told_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "authorization", "kind", "step", "basis"],
                name="authorizations_warned_once",
            ),
            TenantForeignKey(
                fields=["tenant", "authorization"],
                to="claimkit_authorizations.Authorization",
                to_fields=["tenant", "id"],
                name="authorizations_warning_of",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=_KINDS, step__gte=0, days_left__gte=0),
                name="authorizations_warning_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.step}"


class LeadTime(TenantModel):
    """Days that a payer needs to answer; one is warned so long before an end."""

    audited = Audited(kind="lead_time", shown=("payer", "days"))
    shown_in: ClassVar[str] = "authorizations"

    uid = models.CharField(max_length=32, default=new_lead_time_uid, editable=False)
    payer = models.CharField(max_length=200)
    days = models.IntegerField()

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["payer", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="authorizations_lead_uid"),
            models.UniqueConstraint(fields=["tenant", "payer"], name="authorizations_lead_payer"),
            models.CheckConstraint(
                condition=Q(days__gte=1, days__lte=180) & ~Q(payer=""),
                name="authorizations_lead_days",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.payer}: {self.days}"


class AuthorizationImport(TenantModel):
    """One file of authorizations: what became of it."""

    uid = models.CharField(max_length=32, default=new_authorization_import_uid, editable=False)
    name = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=200, blank=True)
    new = models.IntegerField(default=0)
    changed = models.IntegerField(default=0)
    same = models.IntegerField(default=0)
    rejected = models.IntegerField(default=0)
    imported_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="authorizations_import_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="authorizations_import_id"),
            models.CheckConstraint(
                condition=Q(new__gte=0, changed__gte=0, same__gte=0, rejected__gte=0),
                name="authorizations_import_counts",
            ),
        ]

    def __str__(self) -> str:
        return self.uid


class ImportProblem(TenantModel):
    """One row of a file that could not be taken; nothing of its text."""

    of_import = models.ForeignKey(
        AuthorizationImport,
        models.CASCADE,
        related_name="problems",
        db_index=False,
        db_constraint=False,
    )
    line = models.IntegerField()
    code = models.CharField(max_length=32)
    field_name = models.CharField(max_length=32, blank=True)
    message = models.CharField(max_length=200)
    remedy = models.CharField(max_length=200)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["line", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "of_import", "line"], name="authorizations_problem_line"
            ),
            TenantForeignKey(
                fields=["tenant", "of_import"],
                to="claimkit_authorizations.AuthorizationImport",
                to_fields=["tenant", "id"],
                name="authorizations_problem_of",
            ),
            models.CheckConstraint(condition=Q(line__gte=1), name="authorizations_problem_place"),
        ]

    def __str__(self) -> str:
        return f"{self.line}: {self.code}"
