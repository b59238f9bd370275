"""Rows of the ops room: what was read of the site, and what operators were told. None is a tenant's."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

__all__ = ["PlatformAlert", "PlatformReading", "PlatformTelling", "PlatformWatch"]


class PlatformWatch(models.Model):
    """When the site was last watched, and how often in a row that failed; one row."""

    ok_at = models.DateTimeField(null=True)
    faults = models.IntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="ops_watch_one")]

    def __str__(self) -> str:
        return f"{self.faults} faults"


class PlatformReading(models.Model):
    """What the series said at one moment; :class:`claimkit.ops.platform.Readings`."""

    at = models.DateTimeField(db_index=True)
    readings = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.at.isoformat()


class PlatformAlert(models.Model):
    """What became of a rule about the site."""

    rule = models.CharField(max_length=32, unique=True)
    is_firing = models.BooleanField(default=False)
    #: How often it fired.
    episode = models.IntegerField(default=0)
    figure = models.FloatField(null=True)
    summary = models.CharField(max_length=300, blank=True)
    since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.rule


class PlatformTelling(models.Model):
    """One thing that one channel is told, once."""

    alert = models.ForeignKey(
        PlatformAlert, models.CASCADE, related_name="tellings", db_index=False
    )
    #: Kind of the channel, and a digest of its settings.
    channel = models.CharField(max_length=100)
    episode = models.IntegerField()
    #: 0 for the beginning, then one for each repetition; -1 for the end.
    number = models.IntegerField()
    state = models.CharField(max_length=8, default="due")
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField()
    reason = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "channel", "episode", "number"], name="ops_telling_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["due", "done", "dead"]), name="ops_telling_state"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="due"), name="ops_telling_due")
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.state}"
