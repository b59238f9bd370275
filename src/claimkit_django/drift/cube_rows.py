"""Rows of the cube: signed deltas by tenant and day, and the names that they refer to by code.

They mirror :data:`claimkit.drift.cube.TABLES`; a test compares them. Primary keys lead with tenant and
day, because a watch reads a window of days.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from claimkit_django.tenants.keys import TenantForeignKey
from claimkit_django.tenants.models import TenantModel, narrow_tenant

__all__ = [
    "CubeDecision",
    "CubeInflow",
    "CubeMeasure",
    "CubeMoney",
    "CubePayment",
    "CubeSlice",
    "DriftDimension",
]


class DriftDimension(TenantModel):
    """A name on an axis of the cube; code 0 is the empty name and has no row.

    All axes of a tenant share one sequence of codes.
    """

    pk = models.CompositePrimaryKey("tenant_id", "code")
    axis = models.CharField(max_length=24)
    code = models.IntegerField()
    name = models.TextField()

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(fields=["tenant", "axis", "name"], name="drift_dimension_name"),
            models.CheckConstraint(condition=Q(code__gt=0), name="drift_dimension_code"),
            models.CheckConstraint(condition=~Q(name=""), name="drift_dimension_name_given"),
        ]

    def __str__(self) -> str:
        return self.name


class CubeDecision(TenantModel):
    """Deltas of :data:`claimkit.drift.cube.DECISIONS`."""

    shown_in: ClassVar[str] = "drift"

    pk = models.CompositePrimaryKey(
        "tenant_id",
        "decided_day",
        "known_day",
        "payer",
        "procedure_group",
        "outcome",
        "reason",
        "age_days",
    )
    tenant = narrow_tenant()
    decided_day = models.IntegerField()
    known_day = models.IntegerField()
    payer = models.IntegerField()
    procedure_group = models.IntegerField()
    outcome = models.IntegerField()
    reason = models.IntegerField()
    age_days = models.SmallIntegerField()
    claims = models.BigIntegerField()
    charge = models.BigIntegerField()
    allowed = models.BigIntegerField()
    paid = models.BigIntegerField()

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            TenantForeignKey(fields=["tenant"], name="drift_decision_tenant"),
            models.CheckConstraint(
                condition=Q(age_days__gte=-1, age_days__lte=120), name="drift_decision_age"
            ),
            models.CheckConstraint(
                condition=Q(payer__gte=0, procedure_group__gte=0, outcome__gte=0, reason__gte=0),
                name="drift_decision_codes",
            ),
        ]


class CubeMoney(TenantModel):
    """Deltas of :data:`claimkit.drift.cube.MONEY`."""

    shown_in: ClassVar[str] = "drift"

    pk = models.CompositePrimaryKey(
        "tenant_id", "decided_day", "known_day", "payer", "procedure_group", "ratio_bin"
    )
    tenant = narrow_tenant()
    decided_day = models.IntegerField()
    known_day = models.IntegerField()
    payer = models.IntegerField()
    procedure_group = models.IntegerField()
    ratio_bin = models.SmallIntegerField()
    claims = models.BigIntegerField()
    ratio = models.BigIntegerField()
    ratio_squared = models.BigIntegerField()
    allowed = models.BigIntegerField()

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            TenantForeignKey(fields=["tenant"], name="drift_money_tenant"),
            models.CheckConstraint(
                condition=Q(payer__gte=0, procedure_group__gte=0), name="drift_money_codes"
            ),
        ]


class CubeInflow(TenantModel):
    """Deltas of :data:`claimkit.drift.cube.INFLOW`."""

    shown_in: ClassVar[str] = "drift"

    pk = models.CompositePrimaryKey(
        "tenant_id", "submitted_day", "known_day", "payer", "procedure_group"
    )
    tenant = narrow_tenant()
    submitted_day = models.IntegerField()
    known_day = models.IntegerField()
    payer = models.IntegerField()
    procedure_group = models.IntegerField()
    claims = models.BigIntegerField()
    charge = models.BigIntegerField()

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            TenantForeignKey(fields=["tenant"], name="drift_inflow_tenant"),
            models.CheckConstraint(
                condition=Q(payer__gte=0, procedure_group__gte=0), name="drift_inflow_codes"
            ),
        ]


class CubeSlice(TenantModel):
    """Deltas of :data:`claimkit.drift.cube.SLICES`."""

    pk = models.CompositePrimaryKey(
        "tenant_id", "decided_day", "known_day", "payer", "procedure_group", "outcome", "slice"
    )
    tenant = narrow_tenant()
    decided_day = models.IntegerField()
    known_day = models.IntegerField()
    payer = models.IntegerField()
    procedure_group = models.IntegerField()
    outcome = models.IntegerField()
    slice = models.IntegerField()
    claims = models.BigIntegerField()
    charge = models.BigIntegerField()

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            TenantForeignKey(fields=["tenant"], name="drift_slice_tenant"),
            models.CheckConstraint(
                condition=Q(payer__gte=0, procedure_group__gte=0, outcome__gte=0, slice__gte=0),
                name="drift_slice_codes",
            ),
        ]


class CubePayment(TenantModel):
    """Deltas of :data:`claimkit.drift.cube.PAYMENTS`."""

    shown_in: ClassVar[str] = "drift"

    pk = models.CompositePrimaryKey(
        "tenant_id", "decided_day", "known_day", "payer", "procedure_group", "wait_days"
    )
    tenant = narrow_tenant()
    decided_day = models.IntegerField()
    known_day = models.IntegerField()
    payer = models.IntegerField()
    procedure_group = models.IntegerField()
    wait_days = models.SmallIntegerField()
    claims = models.BigIntegerField()
    paid = models.BigIntegerField()

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            TenantForeignKey(fields=["tenant"], name="drift_payment_tenant"),
            models.CheckConstraint(
                condition=Q(wait_days__gte=-1, wait_days__lte=120), name="drift_payment_wait"
            ),
            models.CheckConstraint(
                condition=Q(payer__gte=0, procedure_group__gte=0), name="drift_payment_codes"
            ),
        ]


class CubeMeasure(TenantModel):
    """Deltas of :data:`claimkit.drift.cube.MEASURES`."""

    shown_in: ClassVar[str] = "drift"

    pk = models.CompositePrimaryKey(
        "tenant_id", "day", "known_day", "measure", "payer", "procedure_group", "value_bin"
    )
    tenant = narrow_tenant()
    day = models.IntegerField()
    known_day = models.IntegerField()
    measure = models.IntegerField()
    payer = models.IntegerField()
    procedure_group = models.IntegerField()
    value_bin = models.SmallIntegerField()
    claims = models.BigIntegerField()
    value = models.BigIntegerField()
    value_squared = models.BigIntegerField()
    cents = models.BigIntegerField()

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [
            TenantForeignKey(fields=["tenant"], name="drift_measure_tenant"),
            models.CheckConstraint(
                condition=Q(measure__gte=0, payer__gte=0, procedure_group__gte=0),
                name="drift_measure_codes",
            ),
        ]
