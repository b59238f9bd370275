"""Who is told of alerts, and how: channels, routes, rules and silences."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from claimkit.alerts.rules import Comparison
from claimkit.types import Severity
from claimkit_django.outbox import LaneRow
from claimkit_django.tenants.models import TenantModel
from claimkit_django.trail import Audited
from claimkit_django.uids import (
    new_channel_uid,
    new_digest_uid,
    new_route_uid,
    new_rule_uid,
    new_silence_uid,
)

__all__ = ["SEVERITIES", "Channel", "Digest", "Route", "Rule", "SeverityChoices", "Silence"]

SEVERITIES = [one.value for one in Severity]
#: What the database puts where a release that does not know the column writes a row.
NO_DIMENSIONS = models.Value({}, output_field=models.JSONField())


class SeverityChoices(models.TextChoices):
    """Mirrors :class:`claimkit.types.Severity`."""

    LOW = Severity.LOW.value, _("Low")
    MEDIUM = Severity.MEDIUM.value, _("Medium")
    HIGH = Severity.HIGH.value, _("High")
    CRITICAL = Severity.CRITICAL.value, _("Critical")


class Channel(LaneRow, TenantModel):
    """One use of a kind of channel: a mailbox, a room, a pager; its settings are encrypted."""

    audited = Audited(
        kind="alert_channel", shown=("name", "kind", "enabled"), hidden=("sealed_settings",)
    )

    uid = models.CharField(max_length=32, default=new_channel_uid, editable=False)
    name = models.CharField(max_length=100)
    #: Name of a registered channel, such as ``email``.
    kind = models.CharField(max_length=64)
    sealed_settings = models.BinaryField(default=b"", blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="alerts_channel_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="alerts_channel_id"),
            models.UniqueConstraint(fields=["tenant", "name"], name="alerts_channel_name"),
            models.CheckConstraint(condition=~Q(name=""), name="alerts_channel_named"),
            models.CheckConstraint(condition=Q(width__gte=1), name="alerts_channel_width"),
        ]

    def __str__(self) -> str:
        return self.name


class Route(TenantModel):
    """Which alerts go to which channels; see :class:`claimkit.alerts.policy.Route`."""

    audited = Audited(
        kind="alert_route",
        shown=(
            *("name", "priority", "enabled", "payers", "kinds", "dimensions", "least_severity"),
            "channels",
            *("steps", "goes_on", "tells_end", "wait_minutes", "interval_minutes"),
            *("repeat_hours", "quiet_from", "quiet_until"),
        ),
    )

    uid = models.CharField(max_length=32, default=new_route_uid, editable=False)
    name = models.CharField(max_length=100)
    priority = models.IntegerField(default=100)
    enabled = models.BooleanField(default=True)
    payers = models.JSONField(default=list, blank=True)
    kinds = models.JSONField(default=list, blank=True)
    #: Further dimension → values of which an alert has one.
    dimensions = models.JSONField(default=dict, db_default=NO_DIMENSIONS, blank=True)
    least_severity = models.CharField(
        max_length=8, choices=SeverityChoices.choices, default=SeverityChoices.LOW
    )
    channels = models.JSONField(default=list)
    #: ``[{"after_minutes": 240, "channels": ["chn_…"]}, …]``.
    steps = models.JSONField(default=list, blank=True)
    goes_on = models.BooleanField(default=False)
    tells_end = models.BooleanField(default=True)
    #: Minutes to wait for others that belong together, and at least between two notifications.
    wait_minutes = models.IntegerField(default=0)
    interval_minutes = models.IntegerField(default=5)
    #: Hours after which it is said again; 0 for never.
    repeat_hours = models.IntegerField(
        default=0, validators=[MinValueValidator(0), MaxValueValidator(24 * 90)]
    )
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["priority", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="alerts_route_uid"),
            models.UniqueConstraint(fields=["tenant", "name"], name="alerts_route_name"),
            models.CheckConstraint(
                condition=Q(least_severity__in=SEVERITIES), name="alerts_route_severity"
            ),
            models.CheckConstraint(
                condition=Q(wait_minutes__gte=0, interval_minutes__gte=0, repeat_hours__gte=0),
                name="alerts_route_waits",
            ),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None)
                | (
                    Q(quiet_from__isnull=False, quiet_until__isnull=False)
                    & ~Q(quiet_from=F("quiet_until"))
                ),
                name="alerts_route_quiet",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Rule(TenantModel):
    """Which signals become alerts, and how severe; see :class:`claimkit.alerts.rules.Rule`."""

    audited = Audited(
        kind="alert_rule",
        shown=(
            *("name", "priority", "enabled", "payers", "kinds", "dimensions", "metric"),
            *("comparison", "threshold", "clear_threshold", "severity"),
        ),
    )

    class ComparisonChoices(models.TextChoices):
        """Mirrors :class:`claimkit.alerts.rules.Comparison`."""

        AT_LEAST = Comparison.AT_LEAST.value, _("At least")
        ABOVE = Comparison.ABOVE.value, _("Above")
        AT_MOST = Comparison.AT_MOST.value, _("At most")
        BELOW = Comparison.BELOW.value, _("Below")

    uid = models.CharField(max_length=32, default=new_rule_uid, editable=False)
    name = models.CharField(max_length=100)
    priority = models.IntegerField(default=100)
    enabled = models.BooleanField(default=True)
    payers = models.JSONField(default=list, blank=True)
    kinds = models.JSONField(default=list, blank=True)
    #: Further dimension → values of which an alert has one.
    dimensions = models.JSONField(default=dict, db_default=NO_DIMENSIONS, blank=True)
    metric = models.CharField(max_length=32)
    comparison = models.CharField(max_length=16, choices=ComparisonChoices.choices)
    threshold = models.DecimalField(max_digits=14, decimal_places=2)
    #: An alert of this rule stays one until the metric does not even compare with this.
    clear_threshold = models.DecimalField(max_digits=14, decimal_places=2, null=True, blank=True)
    severity = models.CharField(max_length=8, choices=SeverityChoices.choices, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["priority", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="alerts_rule_uid"),
            models.UniqueConstraint(fields=["tenant", "name"], name="alerts_rule_name"),
            models.CheckConstraint(
                condition=Q(severity__in=["", *SEVERITIES]), name="alerts_rule_severity"
            ),
            models.CheckConstraint(
                condition=Q(comparison__in=[one.value for one in Comparison]),
                name="alerts_rule_comparison",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Silence(TenantModel):
    """What nobody wants to hear of for a while, who said so, and why."""

    audited = Audited(
        kind="alert_silence",
        shown=("payers", "kinds", "dimensions", "fingerprint", "begins_at", "ends_at"),
        hidden=("reason",),
    )

    uid = models.CharField(max_length=32, default=new_silence_uid, editable=False)
    payers = models.JSONField(default=list, blank=True)
    kinds = models.JSONField(default=list, blank=True)
    #: Further dimension → values of which an alert has one.
    dimensions = models.JSONField(default=dict, db_default=NO_DIMENSIONS, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="alerts_silence_uid"),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("begins_at")), name="alerts_silence_ends"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="alerts_silence_reason"),
        ]
        indexes = [models.Index(fields=["tenant", "ends_at"], name="alerts_silence_ending")]

    def __str__(self) -> str:
        return self.reason


class Digest(TenantModel):
    """What is open and what was muted, told once a day or week by the tenant's clock."""

    audited = Audited(
        kind="alert_digest", shown=("name", "enabled", "channels", "every", "weekday", "at")
    )

    class Every(models.TextChoices):
        """How often."""

        DAY = "day", _("Daily")
        WEEK = "week", _("Weekly")

    uid = models.CharField(max_length=32, default=new_digest_uid, editable=False)
    name = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True)
    channels = models.JSONField(default=list)
    every = models.CharField(max_length=8, choices=Every.choices, default=Every.DAY)
    #: 0 for Monday; of weekly ones.
    weekday = models.IntegerField(
        default=0, validators=[MinValueValidator(0), MaxValueValidator(6)]
    )
    at = models.TimeField()
    #: When the next one is due, and since when that one tells.
    next_at = models.DateTimeField(editable=False)
    told_until = models.DateTimeField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="alerts_digest_uid"),
            models.UniqueConstraint(fields=["tenant", "name"], name="alerts_digest_name"),
            models.CheckConstraint(
                condition=Q(every__in=["day", "week"]), name="alerts_digest_every"
            ),
            models.CheckConstraint(
                condition=Q(weekday__gte=0, weekday__lte=6), name="alerts_digest_weekday"
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(enabled=True), name="alerts_digest_next")
        ]

    def __str__(self) -> str:
        return self.name
