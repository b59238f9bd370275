"""Rows of the automation room; the log names rules and does not hang on them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from claimkit.automation.actions import WorkKind
from claimkit.automation.rules import Mode
from claimkit_django.tenants.models import TenantModel
from claimkit_django.trail import Audited
from claimkit_django.uids import (
    new_approval_uid,
    new_automation_rule_uid,
    new_execution_uid,
    new_work_uid,
)

__all__ = ["Approval", "Execution", "Rule", "Work"]

_RESULTS = ("dry_run", "waiting", "success", "failed", "limited", "circuit_open", "rejected")


class Rule(TenantModel):
    """What happens when: :class:`claimkit.automation.rules.AutomationRule` in a row, with what it did lately."""

    audited = Audited(
        kind="automation_rule",
        shown=(
            *("name", "topic", "action", "mode", "priority", "max_per_hour", "ask_from_dollars"),
            "ask_below_confidence",
        ),
        hidden=("conditions", "settings"),
    )

    class ModeChoices(models.TextChoices):
        """Mirrors :class:`claimkit.automation.rules.Mode`."""

        OFF = Mode.OFF.value, _("Off")
        DRY_RUN = Mode.DRY_RUN.value, _("Dry run")
        APPROVAL = Mode.APPROVAL.value, _("After approval")
        AUTOMATIC = Mode.AUTOMATIC.value, _("Automatic")

    uid = models.CharField(max_length=32, default=new_automation_rule_uid, editable=False)
    name = models.CharField(max_length=100)
    topic = models.CharField(max_length=64)
    #: ``[{"fact": "payer", "operator": "equals", "operand": "Aetna"}, …]``.
    conditions = models.JSONField(default=list, blank=True)
    #: Name of a registered action.
    action = models.CharField(max_length=64)
    settings = models.JSONField(default=dict, blank=True)
    mode = models.CharField(max_length=16, choices=ModeChoices.choices, default=ModeChoices.OFF)
    priority = models.IntegerField(default=100)
    goes_on = models.BooleanField(default=True)
    max_per_hour = models.IntegerField(default=20)
    ask_from_dollars = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    ask_below_confidence = models.FloatField(null=True, blank=True)
    failures = models.IntegerField(default=0, editable=False)
    rests_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["priority", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="automation_rule_uid"),
            models.UniqueConstraint(fields=["tenant", "name"], name="automation_rule_name"),
            models.CheckConstraint(
                condition=Q(mode__in=[one.value for one in Mode]), name="automation_rule_mode"
            ),
            models.CheckConstraint(condition=~Q(topic=""), name="automation_rule_topic_given"),
            models.CheckConstraint(
                condition=Q(max_per_hour__gte=0, failures__gte=0) & ~Q(name=""),
                name="automation_rule_counts",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Execution(TenantModel):
    """One line of the log: what a rule did about one event, and why. Never changed.

    Only retention, and the erasure of its tenant, delete it. It copies what it needs of its rule,
    which may be gone. A rule writes one line of step 0 about an event, and where a person was asked
    one of step 1 about the answer.
    """

    class Result(models.TextChoices):
        """How it ended."""

        DRY_RUN = "dry_run", _("Only tried out")
        WAITING = "waiting", _("A person was asked")
        SUCCESS = "success", _("Done")
        FAILED = "failed", _("Failed")
        LIMITED = "limited", _("Too many in an hour")
        CIRCUIT_OPEN = "circuit_open", _("The rule rests")
        REJECTED = "rejected", _("A person said no")

    uid = models.CharField(max_length=32, default=new_execution_uid, editable=False)
    rule = models.CharField(max_length=32)
    rule_name = models.CharField(max_length=100)
    action = models.CharField(max_length=64)
    topic = models.CharField(max_length=64)
    #: What tells events apart.
    event_key = models.CharField(max_length=32)
    step = models.SmallIntegerField(default=0)
    #: Public identifier of what the event is about.
    subject = models.CharField(max_length=64, blank=True)
    result = models.CharField(max_length=16, choices=Result.choices)
    #: Code of what went wrong.
    reason = models.CharField(max_length=64, blank=True)
    #: Facts that the rule saw; there is none about a patient.
    facts = models.JSONField(default=dict)
    #: Who decided, where somebody did.
    actor = models.CharField(max_length=200, blank=True)
    duration_ms = models.IntegerField(default=0)
    at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="automation_execution_uid"),
            models.UniqueConstraint(
                fields=["tenant", "rule", "event_key", "step"], name="automation_execution_once"
            ),
            models.CheckConstraint(
                condition=Q(result__in=_RESULTS), name="automation_execution_result"
            ),
            models.CheckConstraint(
                condition=Q(step__in=[0, 1], duration_ms__gte=0), name="automation_execution_step"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "rule", "-at"], name="automation_execution_lately"),
            models.Index(fields=["tenant", "-at", "-id"], name="automation_execution_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name}: {self.result}"

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """Write a new line.

        Raises:
            TypeError: the line is there already.
        """
        if not self._state.adding:
            raise TypeError("a line of the log is never changed")
        super().save_base(*args, **kwargs)

    save_base.alters_data = True  # type: ignore[attr-defined]

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse.

        Raises:
            TypeError: always.
        """
        del args, kwargs
        raise TypeError("a line of the log is never deleted")

    delete.alters_data = True  # type: ignore[attr-defined]


class Approval(TenantModel):
    """What waits for a person, with all that is needed to do it though the rule is gone."""

    class State(models.TextChoices):
        """Whether somebody decided."""

        WAITING = "waiting", _("Waits")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    shown_in: ClassVar[str] = "automation"

    uid = models.CharField(max_length=32, default=new_approval_uid, editable=False)
    rule = models.CharField(max_length=32)
    rule_name = models.CharField(max_length=100)
    action = models.CharField(max_length=64)
    settings = models.JSONField(default=dict)
    topic = models.CharField(max_length=64)
    event_key = models.CharField(max_length=32)
    subject = models.CharField(max_length=64, blank=True)
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    #: It waits for nobody's opinion, but until what it is about is held no more.
    held = models.BooleanField(default=False, db_default=False)
    asked_at = models.DateTimeField()
    actor = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=500, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-asked_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="automation_approval_uid"),
            models.UniqueConstraint(
                fields=["tenant", "rule", "event_key"], name="automation_approval_once"
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", decided_at=None, actor="")
                | (Q(state__in=["approved", "rejected"], decided_at__isnull=False) & ~Q(actor="")),
                name="automation_approval_decided",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-asked_at", "-id"], name="automation_approval_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name}: {self.state}"


class Work(TenantModel):
    """A task, a tag or a hold that a rule left: :class:`claimkit.automation.actions.Work`."""

    class Kind(models.TextChoices):
        """Mirrors :class:`claimkit.automation.actions.WorkKind`."""

        TASK = WorkKind.TASK.value, _("Task")
        TAG = WorkKind.TAG.value, _("Tag")
        HOLD = WorkKind.HOLD.value, _("Held for review")

    shown_in: ClassVar[str] = "automation"

    uid = models.CharField(max_length=32, default=new_work_uid, editable=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    text = models.CharField(max_length=200)
    topic = models.CharField(max_length=64)
    #: Public identifier of what it is about.
    subject = models.CharField(max_length=64, blank=True)
    rule = models.CharField(max_length=32)
    rule_name = models.CharField(max_length=100)
    due_on = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    actor = models.CharField(max_length=200, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="automation_work_uid"),
            models.CheckConstraint(
                condition=Q(kind__in=[one.value for one in WorkKind]), name="automation_work_kind"
            ),
            models.CheckConstraint(
                condition=Q(done_at=None, actor="") | (Q(done_at__isnull=False) & ~Q(actor="")),
                name="automation_work_done",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="automation_work_newest"),
        ]

    def __str__(self) -> str:
        return self.text
