"""Rows of the alerts room: alerts with their history, and who is told of them how."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from claimkit.alerts.judgments import Verdict
from claimkit.alerts.lifecycle import AlertState
from claimkit_django.alerts.routing import (
    NO_DIMENSIONS,
    SEVERITIES,
    Channel,
    Digest,
    Route,
    Rule,
    SeverityChoices,
    Silence,
)
from claimkit_django.outbox import OutboxRow
from claimkit_django.tenants.keys import TenantForeignKey
from claimkit_django.tenants.models import TenantModel
from claimkit_django.uids import (
    new_alert_uid,
    new_notification_uid,
)

__all__ = [
    "Alert",
    "AlertEntry",
    "Channel",
    "Digest",
    "Heartbeat",
    "Judgment",
    "Notification",
    "NotificationItem",
    "Route",
    "Rule",
    "SeverityChoices",
    "Signal",
    "Silence",
]

_LIVE = [one.value for one in AlertState if one.is_live]


class Alert(TenantModel):
    """What people deal with; one live row per fingerprint. See :mod:`claimkit.alerts.lifecycle`."""

    class State(models.TextChoices):
        """Mirrors :class:`claimkit.alerts.lifecycle.AlertState`."""

        OPEN = AlertState.OPEN.value, _("Open")
        ACKNOWLEDGED = AlertState.ACKNOWLEDGED.value, _("Acknowledged")
        RESOLVED = AlertState.RESOLVED.value, _("Resolved")

    shown_in: ClassVar[str] = "alerts"

    uid = models.CharField(max_length=32, default=new_alert_uid, editable=False)
    fingerprint = models.CharField(max_length=64, editable=False)
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    severity = models.CharField(max_length=8, choices=SeverityChoices.choices)
    source = models.CharField(max_length=32)
    kind = models.CharField(max_length=64)
    payer = models.CharField(max_length=200, blank=True)
    summary = models.CharField(max_length=500, blank=True)
    onset = models.DateField(null=True, blank=True)
    #: Money at risk per 30 days, in cents.
    dollars_per_month = models.BigIntegerField(default=0)
    #: Further dimension → its values; see :attr:`claimkit.alerts.lifecycle.Subject.dimensions`.
    dimensions = models.JSONField(default=dict, db_default=NO_DIMENSIONS, blank=True)
    figure = models.FloatField(null=True, blank=True)
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    count = models.IntegerField(default=1)
    episode = models.IntegerField(default=1)
    resolved_at = models.DateTimeField(null=True, blank=True)
    #: How severe it was when somebody acknowledged it.
    acknowledged = models.CharField(
        max_length=8,
        choices=SeverityChoices.choices,
        default="",
        db_default="",
        blank=True,
        editable=False,
    )
    #: Uid of the rule that decided last.
    rule = models.CharField(max_length=32, default="", db_default="", blank=True, editable=False)
    #: Fingerprint of the wider alert that mutes it.
    inhibited_by = models.CharField(
        max_length=64, default="", db_default="", blank=True, editable=False
    )
    #: Somebody is to learn of the end as soon as their channel is on again.
    owes_end = models.BooleanField(default=False, db_default=False, editable=False)
    #: Key of a route → what its channels were told in this episode.
    told = models.JSONField(default=dict, blank=True, editable=False)
    #: When time alone may change what is done; null for never.
    look_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: Actor who deals with it.
    assignee = models.CharField(max_length=200, blank=True)
    due_on = models.DateField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="alerts_alert_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="alerts_alert_id"),
            models.UniqueConstraint(
                fields=["tenant", "fingerprint"],
                condition=Q(state__in=_LIVE),
                name="alerts_alert_one_live",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[one.value for one in AlertState]), name="alerts_alert_state"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=SEVERITIES), name="alerts_alert_severity"
            ),
            models.CheckConstraint(
                condition=Q(acknowledged__in=["", *SEVERITIES]), name="alerts_alert_acknowledged"
            ),
            models.CheckConstraint(
                condition=Q(count__gte=1, episode__gte=1), name="alerts_alert_counts"
            ),
            models.CheckConstraint(
                condition=Q(state__in=_LIVE, resolved_at=None)
                | Q(state=AlertState.RESOLVED.value, resolved_at__isnull=False),
                name="alerts_alert_resolved",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "fingerprint", "-id"], name="alerts_alert_latest"),
            models.Index(fields=["tenant", "-opened_at", "-id"], name="alerts_alert_newest"),
            models.Index(
                fields=["look_at"], condition=Q(look_at__isnull=False), name="alerts_alert_look"
            ),
            models.Index(
                fields=["tenant", "inhibited_by"],
                condition=~Q(inhibited_by=""),
                name="alerts_alert_inhibited",
            ),
            models.Index(fields=["tenant", "rule"], name="alerts_alert_rule"),
        ]

    def __str__(self) -> str:
        return self.summary or self.uid


class Signal(TenantModel):
    """What was reported other than by drift, whose past can be computed; for previews of rules."""

    fingerprint = models.CharField(max_length=64)
    is_firing = models.BooleanField()
    needs_rule = models.BooleanField(default=False)
    severity = models.CharField(max_length=8, choices=SeverityChoices.choices)
    at = models.DateTimeField()
    source = models.CharField(max_length=32)
    kind = models.CharField(max_length=64)
    payer = models.CharField(max_length=200, blank=True)
    summary = models.CharField(max_length=500, blank=True)
    onset = models.DateField(null=True, blank=True)
    dollars_per_month = models.BigIntegerField(default=0)
    dimensions = models.JSONField(default=dict, blank=True)
    figure = models.FloatField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(severity__in=SEVERITIES), name="alerts_signal_severity"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "at"], name="alerts_signal_at")]

    def __str__(self) -> str:
        return self.summary or self.kind


class Heartbeat(TenantModel):
    """When something was last there that should come again; late, it is an alert."""

    class Name(models.TextChoices):
        """What should come again."""

        IMPORT = "import", _("A file with claims")
        WATCH = "watch", _("A watch of drift")
        PAYER = "payer", _("Claims of a payer")

    name = models.CharField(max_length=8, choices=Name.choices)
    payer = models.CharField(max_length=200, blank=True)
    beat_at = models.DateTimeField()
    #: Days on which it was there.
    beats = models.IntegerField(default=1)
    #: Most days between two of them.
    longest_days = models.IntegerField(default=0)
    #: When it is late; null for never.
    late_at = models.DateTimeField(null=True, blank=True)
    is_late = models.BooleanField(default=False)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["name", "payer"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name", "payer"], name="alerts_heartbeat_once"
            ),
            models.CheckConstraint(
                condition=Q(name__in=["import", "watch", "payer"]), name="alerts_heartbeat_name"
            ),
            models.CheckConstraint(
                condition=Q(beats__gte=1, longest_days__gte=0), name="alerts_heartbeat_counts"
            ),
        ]
        indexes = [
            models.Index(
                fields=["late_at"],
                condition=Q(is_late=False, late_at__isnull=False),
                name="alerts_heartbeat_late",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.payer}".strip()


#: What a line of an alert's history may tell.
_LINES = (
    *("opened", "reopened", "escalated", "resolved", "acknowledged", "assigned", "commented"),
    *("judged", "notify", "wait", "mute", "sent", "failed"),
)


class AlertEntry(TenantModel):
    """One line of an alert's history: what happened, what was decided, what people said."""

    class What(models.TextChoices):
        """What a line tells."""

        OPENED = "opened", _("Opened")
        REOPENED = "reopened", _("Opened again")
        ESCALATED = "escalated", _("Became more severe")
        RESOLVED = "resolved", _("Resolved")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        ASSIGNED = "assigned", _("Assigned")
        COMMENTED = "commented", _("Commented")
        JUDGED = "judged", _("Judged")
        NOTIFY = "notify", _("To be told")
        WAIT = "wait", _("Waits")
        MUTE = "mute", _("Muted")
        SENT = "sent", _("Told")
        FAILED = "failed", _("Could not be told")

    alert = models.ForeignKey(
        Alert, models.CASCADE, related_name="history", db_index=False, db_constraint=False
    )
    at = models.DateTimeField()
    what = models.CharField(max_length=16, choices=What.choices)
    #: A :class:`claimkit.alerts.policy.Reason`, or why something failed.
    reason = models.CharField(max_length=32, blank=True)
    #: Key of the route, silence or channel that decided, or fingerprint of the wider alert.
    by = models.CharField(max_length=64, blank=True)
    actor = models.CharField(max_length=200, blank=True)
    #: What a person wrote.
    text = models.CharField(max_length=2_000, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["id"]
        constraints = [
            TenantForeignKey(
                fields=["tenant", "alert"],
                to="claimkit_alerts.Alert",
                to_fields=["tenant", "id"],
                name="alerts_entry_alert",
            ),
            models.CheckConstraint(condition=Q(what__in=_LINES), name="alerts_entry_what"),
        ]
        indexes = [models.Index(fields=["alert", "id"], name="alerts_entry_of_alert")]

    def __str__(self) -> str:
        return f"{self.what} {self.reason}".strip()


class Judgment(TenantModel):
    """What one person thought of an alert, and what came of it."""

    class VerdictChoices(models.TextChoices):
        """Mirrors :class:`claimkit.alerts.judgments.Verdict`."""

        REAL = Verdict.REAL.value, _("Real")
        NOISE = Verdict.NOISE.value, _("Noise")
        FOLLOW_UP = Verdict.FOLLOW_UP.value, _("Needs follow-up")

    alert = models.ForeignKey(
        Alert, models.CASCADE, related_name="judgments", db_index=False, db_constraint=False
    )
    verdict = models.CharField(max_length=16, choices=VerdictChoices.choices)
    #: A word of the tenant's own, such as ``contract_change``.
    reason = models.CharField(max_length=64, blank=True)
    note = models.CharField(max_length=2_000, blank=True)
    actor = models.CharField(max_length=200)
    #: Whether the person may mute alone.
    is_decisive = models.BooleanField(default=False)
    judged_at = models.DateTimeField()
    #: How severe the alert was then.
    severity = models.CharField(max_length=8, choices=SeverityChoices.choices)
    #: Money that came back, in cents; null where nothing is known of any.
    recovered = models.BigIntegerField(null=True, blank=True)
    recovered_on = models.DateField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-id"]
        constraints = [
            TenantForeignKey(
                fields=["tenant", "alert"],
                to="claimkit_alerts.Alert",
                to_fields=["tenant", "id"],
                name="alerts_judgment_alert",
            ),
            models.CheckConstraint(
                condition=Q(recovered=None, recovered_on=None)
                | Q(recovered__gte=0, recovered_on__isnull=False),
                name="alerts_judgment_recovered",
            ),
            models.CheckConstraint(
                condition=Q(severity__in=SEVERITIES), name="alerts_judgment_severity"
            ),
            models.CheckConstraint(
                condition=Q(verdict__in=[one.value for one in Verdict]),
                name="alerts_judgment_verdict",
            ),
        ]
        indexes = [
            models.Index(fields=["alert", "-id"], name="alerts_judgment_of_alert"),
            models.Index(
                fields=["tenant", "recovered_on"],
                condition=Q(recovered__isnull=False),
                name="alerts_judgment_recovery",
            ),
        ]

    def __str__(self) -> str:
        return self.verdict


class Notification(OutboxRow, TenantModel):
    """What one channel is told at once: the alerts of one route that came together."""

    uid = models.CharField(max_length=32, default=new_notification_uid, editable=False)
    lane = models.ForeignKey(
        Channel, models.CASCADE, related_name="notifications", db_index=False, db_constraint=False
    )
    #: Uid of the route.
    route = models.CharField(max_length=32)
    #: When it was to be sent; ``due_at`` moves with each attempt.
    planned_at = models.DateTimeField()
    #: What is said before its alerts, in a digest.
    note = models.CharField(max_length=500, default="", db_default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="alerts_notification_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="alerts_notification_id"),
            # What comes while a notification waits goes into it.
            models.UniqueConstraint(
                fields=["tenant", "lane", "route"],
                condition=Q(state="due", attempts=0),
                name="alerts_notification_one_waits",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[one.value for one in OutboxRow.State]),
                name="alerts_notification_state",
            ),
            models.CheckConstraint(
                condition=Q(attempts__gte=0), name="alerts_notification_attempts"
            ),
            TenantForeignKey(
                fields=["tenant", "lane"],
                to="claimkit_alerts.Channel",
                to_fields=["tenant", "id"],
                name="alerts_notification_channel",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lane", "due_at", "id"],
                condition=Q(state__in=["due", "leased"]),
                name="alerts_notification_due",
            ),
            models.Index(
                fields=["lane", "due_at"],
                condition=Q(state="leased"),
                name="alerts_notification_leased",
            ),
            models.Index(
                fields=["tenant", "lane", "route", "-planned_at"], name="alerts_notification_latest"
            ),
        ]

    def __str__(self) -> str:
        return self.uid


class NotificationItem(TenantModel):
    """One alert of a notification, as it was when somebody was to be told."""

    notification = models.ForeignKey(
        Notification, models.CASCADE, related_name="items", db_index=False, db_constraint=False
    )
    alert = models.ForeignKey(
        Alert, models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    episode = models.IntegerField()
    #: A :class:`claimkit.alerts.policy.Reason`.
    reason = models.CharField(max_length=32)
    severity = models.CharField(max_length=8, choices=SeverityChoices.choices)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "notification", "alert"], name="alerts_item_once"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=SEVERITIES), name="alerts_item_severity"
            ),
            TenantForeignKey(
                fields=["tenant", "notification"],
                to="claimkit_alerts.Notification",
                to_fields=["tenant", "id"],
                name="alerts_item_notification",
            ),
            TenantForeignKey(
                fields=["tenant", "alert"],
                to="claimkit_alerts.Alert",
                to_fields=["tenant", "id"],
                name="alerts_item_alert",
            ),
        ]
        indexes = [models.Index(fields=["alert"], name="alerts_item_of_alert")]

    def __str__(self) -> str:
        return self.reason
