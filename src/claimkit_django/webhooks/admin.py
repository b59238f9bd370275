"""Endpoints and deliveries in the admin; keys are never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.utils.translation import gettext_lazy as _

from claimkit.tenants import Role, current_tenant
from claimkit_django.tenants.admin import TenantModelAdmin
from claimkit_django.webhooks import endpoints
from claimkit_django.webhooks.enqueue import ping, replay
from claimkit_django.webhooks.models import Attempt, Delivery, Endpoint

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

__all__ = ["DeliveryAdmin", "EndpointAdmin"]


class _Shown(TenantModelAdmin):
    write_role: ClassVar[Role] = Role.ADMIN

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: endpoints are added over the API, which shows their key once."""
        del request
        return False

    def has_write_permission(self, request: HttpRequest) -> bool:
        """Whether the person may act on rows: the admins of the tenant."""
        return self._may_write(request)


@admin.register(Endpoint)
class EndpointAdmin(_Shown):
    """Who is told, and how they fare."""

    list_display = ("uid", "url", "enabled", "disabled_reason", "failures", "held_until")
    list_filter = ("enabled", "disabled_reason")
    search_fields = ("uid", "description")
    fields = (
        *("uid", "url", "description", "event_types", "detail", "enabled", "disabled_reason"),
        *(
            "disabled_at",
            "confirmed_at",
            "legacy_signature",
            "order",
            "failures",
            "failing_since",
            "held_until",
        ),
    )
    readonly_fields = fields
    actions = ("enable", "disable", "send_ping")

    @admin.action(description=_("Enable"), permissions=["write"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Send to the endpoints again."""
        for one in queryset:
            endpoints.enable(one, using=queryset.db)
        messages.success(request, _("Enabled."))

    @admin.action(description=_("Disable"), permissions=["write"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Send nothing more to the endpoints."""
        for one in queryset:
            endpoints.disable(one, using=queryset.db)
        messages.success(request, _("Disabled."))

    @admin.action(description=_("Send a test webhook"), permissions=["write"])
    def send_ping(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        """Send a test webhook to the endpoints."""
        for one in queryset:
            ping(current_tenant(), one, using=queryset.db)
        messages.success(request, _("On its way; look at the deliveries."))


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]
    """What happened at each attempt."""

    model = Attempt
    extra = 0
    can_delete = False
    fields = ("number", "started_at", "milliseconds", "status", "reason", "key_fingerprints")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: attempts are written by workers."""
        del request, obj
        return False


@admin.register(Delivery)
class DeliveryAdmin(_Shown):
    """What was told to whom, the latest first."""

    list_display = ("uid", "message", "lane", "state", "attempts", "reason", "due_at")
    list_filter = ("state", "reason")
    search_fields = ("uid", "message__uid")
    list_select_related = ("message", "lane")
    fields = ("uid", "message", "lane", "state", "due_at", "attempts", "reason", "replay")
    readonly_fields = fields
    inlines = (AttemptInline,)
    actions = ("send_again",)

    @admin.action(description=_("Send again"), permissions=["write"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Send the messages again."""
        rows = list(queryset.select_related("message"))
        count = replay(current_tenant(), rows, using=queryset.db)
        messages.success(request, _("%(count)d on their way.") % {"count": count})
