"""Alerts and who is told of them in the admin; people act over the API and the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin

from claimkit.tenants import Role
from claimkit_django.alerts.models import Alert, AlertEntry, Channel, Notification, Route, Silence
from claimkit_django.tenants.admin import TenantModelAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["AlertAdmin", "ChannelAdmin", "NotificationAdmin", "RouteAdmin", "SilenceAdmin"]


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


class EntryInline(admin.TabularInline):  # type: ignore[type-arg]
    """What happened, what was decided, and why."""

    model = AlertEntry
    extra = 0
    can_delete = False
    fields = ("at", "what", "reason", "by", "actor", "text")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: lines are written by what happens."""
        del request, obj
        return False


@admin.register(Alert)
class AlertAdmin(_Shown):
    """What people deal with."""

    list_display = ("uid", "state", "severity", "kind", "payer", "opened_at", "assignee")
    list_filter = ("state", "severity", "kind")
    search_fields = ("uid", "payer")
    fields = (
        *("uid", "state", "severity", "kind", "payer", "summary", "onset", "opened_at"),
        *("seen_at", "resolved_at", "count", "episode", "assignee", "due_on"),
    )
    inlines = (EntryInline,)


@admin.register(Channel)
class ChannelAdmin(_Shown):
    """Ways of telling people, without their settings."""

    list_display = ("uid", "name", "kind", "enabled")
    fields = ("uid", "name", "kind", "enabled", "created_at")


@admin.register(Route)
class RouteAdmin(_Shown):
    """Which alerts go where."""

    list_display = ("uid", "name", "priority", "enabled", "least_severity")
    fields = (
        *("uid", "name", "priority", "enabled", "payers", "kinds", "least_severity", "channels"),
        *("steps", "goes_on", "tells_end", "wait_minutes", "interval_minutes", "repeat_hours"),
        *("quiet_from", "quiet_until"),
    )


@admin.register(Silence)
class SilenceAdmin(_Shown):
    """What nobody wants to hear of."""

    list_display = ("uid", "reason", "actor", "begins_at", "ends_at")
    fields = ("uid", "payers", "kinds", "fingerprint", "begins_at", "ends_at", "reason", "actor")


@admin.register(Notification)
class NotificationAdmin(_Shown):
    """What was told by which channel."""

    list_display = ("uid", "lane", "state", "attempts", "reason", "planned_at")
    list_filter = ("state",)
    list_select_related = ("lane",)
    fields = ("uid", "lane", "route", "state", "attempts", "reason", "planned_at", "created_at")
