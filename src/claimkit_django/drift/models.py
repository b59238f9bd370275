"""Rows of the drift room: findings with their life, watch runs, backtests, contracts, choices.

Those of the cube are in :mod:`claimkit_django.drift.cube_rows`.
"""

from __future__ import annotations

from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from claimkit.drift.backtest import Knowledge
from claimkit.drift.findings import FindingState, Signal, Tier
from claimkit.types import Severity
from claimkit_django.drift.cube_rows import (
    CubeDecision,
    CubeInflow,
    CubeMeasure,
    CubeMoney,
    CubePayment,
    CubeSlice,
    DriftDimension,
)
from claimkit_django.tenants.models import TenantModel
from claimkit_django.trail import Audited
from claimkit_django.uids import new_backtest_uid, new_finding_uid, new_run_uid

__all__ = [
    "BacktestRun",
    "ContractRate",
    "CubeDecision",
    "CubeInflow",
    "CubeMeasure",
    "CubeMoney",
    "CubePayment",
    "CubeSlice",
    "DriftChoice",
    "DriftDimension",
    "Finding",
    "WatchRun",
]


class Finding(TenantModel):
    """One incident and its life: :class:`claimkit.drift.findings.Finding` in a row."""

    audited = Audited(
        kind="finding", shown=("accepted_on", "accepted_by"), on=frozenset({"changed"})
    )

    shown_in: ClassVar[str] = "drift"

    class State(models.TextChoices):
        """Mirrors :class:`claimkit.drift.findings.FindingState`."""

        OPEN = FindingState.OPEN.value, _("Open")
        RESOLVED = FindingState.RESOLVED.value, _("Resolved")
        ACCEPTED = FindingState.ACCEPTED.value, _("Accepted")

    class SeverityRank(models.IntegerChoices):
        """Severity as a number, so that it sorts and compares."""

        LOW = 1, _("Low")
        MEDIUM = 2, _("Medium")
        HIGH = 3, _("High")
        CRITICAL = 4, _("Critical")

    uid = models.CharField(max_length=32, default=new_finding_uid, editable=False)
    fingerprint = models.CharField(max_length=128)
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    signal = models.CharField(max_length=32)
    detector = models.CharField(max_length=64)
    tier = models.CharField(max_length=16)
    severity = models.CharField(max_length=16)
    severity_rank = models.SmallIntegerField(choices=SeverityRank.choices)
    payer = models.TextField()
    #: Sorted names; empty means all.
    procedure_groups = models.JSONField(default=list, blank=True)
    category = models.TextField(default="", blank=True)
    #: Further dimension → values that the change is confined to.
    places = models.JSONField(default=dict, blank=True)
    onset = models.DateField()
    as_of = models.DateField()
    unit = models.CharField(max_length=16)
    baseline = models.FloatField()
    current = models.FloatField()
    effect = models.FloatField()
    low = models.FloatField()
    high = models.FloatField()
    claims = models.BigIntegerField()
    #: Cents.
    dollars_per_month = models.BigIntegerField()
    score = models.FloatField()
    threshold = models.FloatField()
    summary = models.TextField()
    preliminary = models.BooleanField(default=True)
    why = models.JSONField(default=list, blank=True)
    evidence = models.JSONField(default=dict, blank=True)

    #: First night on which it would have been told, had somebody looked every night.
    detected_on = models.DateField(null=True, blank=True)
    #: Last day of the incident, once it is over.
    ended_on = models.DateField(null=True, blank=True)
    #: What people were last told, in cents and rank; None while it was never pushed.
    told_dollars = models.BigIntegerField(null=True, blank=True)
    told_severity_rank = models.SmallIntegerField(
        choices=SeverityRank.choices, null=True, blank=True
    )
    #: A person took the new level as normal on this day.
    accepted_on = models.DateField(null=True, blank=True)
    accepted_by = models.CharField(max_length=150, blank=True, default="")
    #: What became known later no longer supports the night that raised it.
    revised = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-dollars_per_month", "-id"]
        indexes = [
            models.Index(
                fields=["tenant", "-dollars_per_month", "-id"],
                condition=Q(state="open"),
                name="drift_finding_open_money",
            ),
            models.Index(fields=["tenant", "-as_of", "-id"], name="drift_finding_recent"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="drift_finding_uid"),
            models.UniqueConstraint(
                fields=["tenant", "fingerprint"],
                condition=Q(state="open"),
                name="drift_finding_open_once",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=[state.value for state in FindingState],
                    signal__in=[signal.value for signal in Signal],
                    tier__in=[tier.value for tier in Tier],
                ),
                name="drift_finding_words",
            ),
            models.CheckConstraint(
                condition=Q(severity="low", severity_rank=1)
                | Q(severity="medium", severity_rank=2)
                | Q(severity="high", severity_rank=3)
                | Q(severity="critical", severity_rank=4),
                name="drift_finding_severity",
            ),
            models.CheckConstraint(
                condition=Q(told_severity_rank__isnull=True, told_dollars__isnull=True)
                # Not null, said openly: a CHECK passes when it is unknown.
                | Q(
                    told_severity_rank__isnull=False,
                    told_severity_rank__gte=1,
                    told_severity_rank__lte=4,
                    told_dollars__isnull=False,
                ),
                name="drift_finding_told",
            ),
            models.CheckConstraint(condition=Q(high__gte=F("low")), name="drift_finding_interval"),
            models.CheckConstraint(
                condition=Q(claims__gte=0) & ~Q(fingerprint=""), name="drift_finding_given"
            ),
            models.CheckConstraint(
                condition=(
                    Q(state="open", ended_on__isnull=True)
                    | Q(state="resolved", ended_on__isnull=False)
                    | Q(state="accepted")
                ),
                name="drift_finding_life",
            ),
            models.CheckConstraint(
                condition=Q(state="accepted", accepted_on__isnull=False)
                | ~Q(state="accepted") & Q(accepted_on__isnull=True, accepted_by=""),
                name="drift_finding_accepted",
            ),
        ]

    def __str__(self) -> str:
        return self.summary


class DriftChoice(TenantModel):
    """What a tenant has chosen for its watch; null leaves it to the site's settings."""

    audited = Audited(kind="drift_choice", shown=("detectors", "dimensions"), target="tenant.key")

    shown_in: ClassVar[str] = "drift"

    #: Names of detectors, in the order in which they run.
    detectors = models.JSONField(null=True, blank=True)
    #: Further dimensions that the cube keeps.
    dimensions = models.JSONField(null=True, blank=True)
    #: How often contracts were imported: who keeps rates in memory sees that there are others.
    contracts = models.IntegerField(default=0, editable=False)
    actor = models.CharField(max_length=150, blank=True, editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        abstract = False
        constraints = [models.UniqueConstraint(fields=["tenant"], name="drift_choice_once")]

    def __str__(self) -> str:
        return str(_("drift settings"))


class ContractRate(TenantModel):
    """What one payer owes for one procedure: :class:`claimkit.drift.contracts.ContractRate`."""

    shown_in: ClassVar[str] = "drift"

    payer = models.CharField(max_length=200)
    procedure_code = models.CharField(max_length=200)
    #: Cents.
    allowed = models.BigIntegerField(null=True, blank=True)
    percent_of_charge = models.DecimalField(max_digits=9, decimal_places=4, null=True, blank=True)
    #: First and last day of service; null means always.
    effective_from = models.DateField(null=True, blank=True)
    effective_until = models.DateField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["payer", "procedure_code", "effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "payer", "procedure_code", "effective_from"],
                name="drift_rate_once",
            ),
            models.CheckConstraint(
                condition=Q(allowed__gt=0, percent_of_charge__isnull=True)
                | Q(allowed__isnull=True, percent_of_charge__gt=0),
                name="drift_rate_amount",
            ),
            models.CheckConstraint(
                condition=Q(effective_from__isnull=True)
                | Q(effective_until__isnull=True)
                | Q(effective_until__gte=F("effective_from")),
                name="drift_rate_days",
            ),
            models.CheckConstraint(
                condition=~Q(payer="") & ~Q(procedure_code=""), name="drift_rate_given"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.payer}: {self.procedure_code}"


#: Severity → its rank in rows.
SEVERITY_RANKS = {severity: rank for rank, severity in enumerate(Severity, start=1)}


class WatchRun(TenantModel):
    """One run of the watch over one tenant: what it looked at, and what it changed."""

    shown_in: ClassVar[str] = "drift"

    class Status(models.TextChoices):
        """A running run whose heart stopped is dead."""

        RUNNING = "running", _("Running")
        SUCCESS = "success", _("Success")
        FAILED = "failed", _("Failed")

    uid = models.CharField(max_length=32, default=new_run_uid, editable=False)
    as_of = models.DateField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.RUNNING)
    new = models.IntegerField(default=0)
    worse = models.IntegerField(default=0)
    same = models.IntegerField(default=0)
    resolved = models.IntegerField(default=0)
    #: Cells read from the cube.
    cells = models.BigIntegerField(default=0)
    #: What else the watch said: payers that are still learning, smallest detectable changes.
    details = models.JSONField(default=dict, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "-started_at", "-id"], name="drift_run_recent"),
            models.Index(
                fields=["heartbeat_at"], condition=Q(status="running"), name="drift_run_unfinished"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="drift_run_uid"),
            models.CheckConstraint(
                condition=Q(status__in=["running", "success", "failed"]), name="drift_run_status"
            ),
            models.CheckConstraint(
                condition=Q(new__gte=0, worse__gte=0, same__gte=0, resolved__gte=0, cells__gte=0),
                name="drift_run_counts",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status="running", finished_at__isnull=True)
                    | Q(
                        status__in=["success", "failed"],
                        finished_at__isnull=False,
                        finished_at__gte=F("started_at"),
                    )
                ),
                name="drift_run_times",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status="failed") & ~Q(error_code="") | ~Q(status="failed") & Q(error_code="")
                ),
                name="drift_run_error",
            ),
        ]

    def __str__(self) -> str:
        return self.uid


class BacktestRun(TenantModel):
    """One replay of past nights: what was asked, how far it is, and what the nights would have told."""

    shown_in: ClassVar[str] = "drift"

    class Status(models.TextChoices):
        """A queued run waits for a worker; a running run whose heart stopped is dead."""

        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        SUCCESS = "success", _("Success")
        FAILED = "failed", _("Failed")

    class Knowledge(models.TextChoices):
        """Mirrors :class:`claimkit.drift.backtest.Knowledge`."""

        NOW = Knowledge.NOW.value, _("What is known now")
        THEN = Knowledge.THEN.value, _("What was known then")

    uid = models.CharField(max_length=32, default=new_backtest_uid, editable=False)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    #: First and last night as asked for; then as replayed.
    start = models.DateField(null=True, blank=True)
    end = models.DateField(null=True, blank=True)
    knowledge = models.CharField(max_length=8, choices=Knowledge.choices, default=Knowledge.NOW)
    every_days = models.SmallIntegerField(default=7)
    percent = models.SmallIntegerField(default=0)
    alerts = models.IntegerField(null=True, blank=True)
    alerts_per_month = models.FloatField(null=True, blank=True)
    #: :class:`claimkit.drift.backtest.Backtest` as plain values.
    result = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    actor = models.CharField(max_length=150, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="drift_backtest_recent"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="drift_backtest_uid"),
            models.CheckConstraint(
                condition=Q(
                    status__in=["queued", "running", "success", "failed"],
                    knowledge__in=[one.value for one in Knowledge],
                ),
                name="drift_backtest_words",
            ),
            models.CheckConstraint(
                condition=Q(percent__gte=0, percent__lte=100, every_days__gte=1),
                name="drift_backtest_counts",
            ),
            models.CheckConstraint(
                condition=Q(start__isnull=True) | Q(end__isnull=True) | Q(end__gte=F("start")),
                name="drift_backtest_nights",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status__in=["queued", "running"], finished_at__isnull=True)
                    | Q(status__in=["success", "failed"], finished_at__isnull=False)
                ),
                name="drift_backtest_times",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status="failed") & ~Q(error_code="") | ~Q(status="failed") & Q(error_code="")
                ),
                name="drift_backtest_error",
            ),
        ]

    def __str__(self) -> str:
        return self.uid
