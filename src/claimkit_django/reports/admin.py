"""Reports, schedules and exports in the admin, to look at; people ask for them over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin

from claimkit.tenants import Role
from claimkit_django.reports.models import (
    ExportRun,
    ReportFile,
    ReportMail,
    ReportRun,
    ReportSchedule,
)
from claimkit_django.tenants.admin import TenantModelAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["ExportRunAdmin", "ReportRunAdmin", "ReportScheduleAdmin"]


class _Shown(TenantModelAdmin):
    """Rows to look at."""

    write_role: ClassVar[Role] = Role.ADMIN

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: what is asked for is checked over the API."""
        del request
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return all fields that are shown."""
        del request, obj
        return tuple(self.fields or ())  # type: ignore[arg-type]


class _Inline(admin.TabularInline):  # type: ignore[type-arg]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: rows are written by runs."""
        del request, obj
        return False


class FileInline(_Inline):
    """What was rendered; downloads go through the API, which knows the tenant."""

    model = ReportFile
    fields = ("renderer", "media_type", "bytes", "sha256")
    readonly_fields = fields


class MailInline(_Inline):
    """Who got it."""

    model = ReportMail
    fields = ("address", "status", "attempts", "reason", "due_at", "sent_at")
    readonly_fields = fields


@admin.register(ReportRun)
class ReportRunAdmin(_Shown):
    """Reports of periods."""

    list_display = ("uid", "kind", "first", "last", "status", "headline")
    list_filter = ("kind", "status")
    search_fields = ("uid",)
    fields = (
        *("uid", "kind", "first", "last", "status", "headline", "content_hash", "formats"),
        *("actor", "attempts", "error_code", "error_message", "created_at", "finished_at"),
    )
    inlines = (FileInline, MailInline)


@admin.register(ReportSchedule)
class ReportScheduleAdmin(_Shown):
    """Which reports are made by themselves."""

    list_display = ("uid", "kind", "at", "after_days", "enabled", "done_until")
    list_filter = ("kind", "enabled")
    fields = (
        *("uid", "kind", "at", "after_days", "formats", "recipients", "attach", "enabled"),
        *("catch_up", "done_until", "created_at", "updated_at"),
    )


@admin.register(ExportRun)
class ExportRunAdmin(_Shown):
    """What was exported by whom."""

    list_display = ("uid", "source", "form", "status", "rows_done", "actor", "created_at")
    list_filter = ("source", "form", "status")
    search_fields = ("uid", "actor")
    fields = (
        *("uid", "source", "form", "columns", "since", "until", "status", "rows_done", "bytes"),
        *("sha256", "actor", "downloads", "error_code", "error_message"),
        *("created_at", "finished_at", "expires_at"),
    )
