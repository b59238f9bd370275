"""Rows of the reports room: runs with their files, schedules, mails, and exports."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from claimkit.reports.exports import FORMATS
from claimkit.reports.periods import PeriodKind
from claimkit_django.reports.files import export_path, report_path
from claimkit_django.tenants.keys import TenantForeignKey
from claimkit_django.tenants.models import TenantModel
from claimkit_django.trail import Audited
from claimkit_django.uids import new_export_uid, new_report_uid, new_schedule_uid

__all__ = ["ExportRun", "ReportFile", "ReportMail", "ReportRun", "ReportSchedule"]

_KINDS = [one.value for one in PeriodKind]


class RunStatus(models.TextChoices):
    """A queued run waits for a worker; a running run whose heart stopped is dead."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCESS = "success", _("Success")
    FAILED = "failed", _("Failed")


def _run_constraints(prefix: str) -> list[models.CheckConstraint]:
    """Return what is true of every run: a known status, its times, and an error where it failed."""
    return [
        models.CheckConstraint(
            condition=Q(status__in=RunStatus.values, attempts__gte=0), name=f"{prefix}_status"
        ),
        models.CheckConstraint(
            condition=Q(status__in=["queued", "running"], finished_at__isnull=True)
            | Q(status__in=["success", "failed"], finished_at__isnull=False),
            name=f"{prefix}_times",
        ),
        models.CheckConstraint(
            condition=Q(status="failed") & ~Q(error_code="")
            | ~Q(status="failed") & Q(error_code=""),
            name=f"{prefix}_error",
        ),
    ]


class ReportRun(TenantModel):
    """The report of one period: one row per tenant, kind and period, however often it is made."""

    shown_in: ClassVar[str] = "reports"
    Status = RunStatus

    uid = models.CharField(max_length=32, default=new_report_uid, editable=False)
    kind = models.CharField(max_length=16, choices=[(one, one) for one in _KINDS])
    #: First and last day, both included.
    first = models.DateField()
    last = models.DateField()
    status = models.CharField(max_length=16, choices=RunStatus.choices, default=RunStatus.QUEUED)
    #: Names of renderers, in the order asked for.
    formats = models.JSONField(default=list)
    #: Mail addresses that get it once it is made.
    recipients = models.JSONField(default=list, blank=True)
    attach = models.BooleanField(default=True)
    headline = models.TextField(blank=True)
    #: Of the document, without the time at which it was made.
    content_hash = models.CharField(max_length=64, blank=True)
    #: What is different from the period before: findings that came and went, and key figures; and
    #: what each number is made of.
    changes = models.JSONField(default=dict, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    #: Runs so far; also the token by which a run knows that a later one took over.
    attempts = models.IntegerField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-last", "-id"]
        indexes = [
            models.Index(fields=["tenant", "-last", "-id"], name="reports_run_recent"),
            models.Index(
                fields=["heartbeat_at"],
                condition=Q(status__in=["queued", "running"]),
                name="reports_run_unfinished",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="reports_run_uid"),
            models.UniqueConstraint(fields=["tenant", "id"], name="reports_run_tenant_id"),
            models.UniqueConstraint(
                fields=["tenant", "kind", "first", "last"], name="reports_run_period"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=_KINDS, last__gte=F("first")), name="reports_run_days"
            ),
            *_run_constraints("reports_run"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.first} to {self.last}"


class ReportFile(TenantModel):
    """A report in one format, in the site's storage."""

    shown_in: ClassVar[str] = "reports"

    run = models.ForeignKey(
        ReportRun, models.CASCADE, related_name="files", db_index=False, db_constraint=False
    )
    #: Name of the renderer.
    renderer = models.CharField(max_length=64)
    media_type = models.CharField(max_length=128)
    file = models.FileField(upload_to=report_path, max_length=255)
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "run", "renderer"], name="reports_file_format"
            ),
            models.CheckConstraint(condition=Q(bytes__gte=0), name="reports_file_bytes"),
            TenantForeignKey(
                fields=["tenant", "run"],
                to="claimkit_reports.ReportRun",
                to_fields=["tenant", "id"],
                name="reports_file_run",
            ),
        ]

    def __str__(self) -> str:
        return self.renderer


class ReportMail(TenantModel):
    """A report on its way to one mailbox."""

    class Status(models.TextChoices):
        """``refused``: the mail server said never; ``failed``: tried as often as allowed.

        ``bounced``: the server took it, and it came back.
        """

        PENDING = "pending", _("Pending")
        SENT = "sent", _("Sent")
        REFUSED = "refused", _("Refused")
        FAILED = "failed", _("Failed")
        BOUNCED = "bounced", _("Bounced")

    shown_in: ClassVar[str] = "reports"

    run = models.ForeignKey(
        ReportRun, models.CASCADE, related_name="mails", db_index=False, db_constraint=False
    )
    address = models.EmailField(max_length=254)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    attempts = models.IntegerField(default=0)
    #: Why it was not sent the last time, such as ``smtp_550``.
    reason = models.CharField(max_length=64, blank=True)
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(status="pending"), name="reports_mail_pending"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "run", "address"], name="reports_mail_once"),
            models.CheckConstraint(
                condition=Q(
                    status__in=["pending", "sent", "refused", "failed", "bounced"], attempts__gte=0
                ),
                name="reports_mail_status",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["sent", "bounced"], sent_at__isnull=False)
                | ~Q(status__in=["sent", "bounced"]) & Q(sent_at__isnull=True),
                name="reports_mail_sent",
            ),
            TenantForeignKey(
                fields=["tenant", "run"],
                to="claimkit_reports.ReportRun",
                to_fields=["tenant", "id"],
                name="reports_mail_run",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.status}"


class ReportSchedule(TenantModel):
    """Which reports are made by themselves, when, and who gets them."""

    audited = Audited(
        kind="report_schedule",
        shown=("kind", "at", "after_days", "formats", "attach", "enabled", "catch_up"),
        hidden=("recipients",),
    )
    shown_in: ClassVar[str] = "reports"

    uid = models.CharField(max_length=32, default=new_schedule_uid, editable=False)
    kind = models.CharField(
        max_length=16, choices=[(one, one) for one in _KINDS if one != PeriodKind.CUSTOM.value]
    )
    #: ``HH:MM`` on a clock in the tenant's time zone.
    at = models.CharField(max_length=5, default="06:00")
    #: Days after the last day of the period.
    after_days = models.SmallIntegerField(default=1)
    formats = models.JSONField(default=list)
    recipients = models.JSONField(default=list, blank=True)
    attach = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    #: How many periods are caught up after an outage.
    catch_up = models.SmallIntegerField(default=3)
    #: Last day of the latest period that it queued.
    done_until = models.DateField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="reports_schedule_uid"),
            models.UniqueConstraint(fields=["tenant", "kind"], name="reports_schedule_kind"),
            models.CheckConstraint(
                condition=Q(
                    kind__in=["weekly", "monthly", "quarterly"],
                    after_days__gte=1,
                    after_days__lte=28,
                    catch_up__gte=1,
                    catch_up__lte=52,
                ),
                name="reports_schedule_numbers",
            ),
        ]

    def __str__(self) -> str:
        return self.kind


class ExportRun(TenantModel):
    """Rows of one kind as a file: what was asked for, how far it is, and until when it is there."""

    audited = Audited(
        kind="export",
        shown=("source", "form", "columns", "since", "until"),
        on=frozenset({"made", "removed"}),
    )
    shown_in: ClassVar[str] = "reports"
    Status = RunStatus

    uid = models.CharField(max_length=32, default=new_export_uid, editable=False)
    #: Name of what a room offers, such as ``claims``.
    source = models.CharField(max_length=32)
    form = models.CharField(max_length=16, choices=[(one, one) for one in FORMATS])
    columns = models.JSONField(default=list)
    #: Days within which rows are exported; what a row's day is depends on the source.
    since = models.DateField(null=True, blank=True)
    until = models.DateField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=RunStatus.choices, default=RunStatus.QUEUED)
    rows_total = models.BigIntegerField(null=True, blank=True)
    rows_done = models.BigIntegerField(default=0)
    #: Empty until it is made, and again once it has expired.
    file = models.FileField(upload_to=export_path, max_length=255, blank=True)
    bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    downloads = models.IntegerField(default=0)
    attempts = models.IntegerField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="reports_export_recent"),
            models.Index(
                fields=["expires_at"], condition=~Q(file=""), name="reports_export_expiring"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="reports_export_uid"),
            models.CheckConstraint(
                condition=Q(form__in=sorted(FORMATS)), name="reports_export_form"
            ),
            models.CheckConstraint(
                condition=Q(rows_done__gte=0, bytes__gte=0, downloads__gte=0),
                name="reports_export_counts",
            ),
            models.CheckConstraint(
                condition=Q(since__isnull=True) | Q(until__isnull=True) | Q(until__gte=F("since")),
                name="reports_export_days",
            ),
            *_run_constraints("reports_export"),
        ]

    def __str__(self) -> str:
        return self.uid
