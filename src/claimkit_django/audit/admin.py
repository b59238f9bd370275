"""The audit trail in the admin: to read, by admins of the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin

from claimkit.tenants import Role
from claimkit_django.audit.models import AuditEntry
from claimkit_django.tenants.admin import TenantModelAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["AuditEntryAdmin"]


@admin.register(AuditEntry)
class AuditEntryAdmin(TenantModelAdmin):
    """Who did what."""

    write_role: ClassVar[Role] = Role.ADMIN
    list_display = ("at", "actor", "action", "target", "network")
    list_filter = ("action",)
    search_fields = ("=target", "=actor")
    fields = (
        *("uid", "at", "actor", "via", "network", "request_id", "action", "target", "changes"),
    )
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: entries are written by what is done."""
        del request
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person has the permission and is an admin of the tenant."""
        tenant = getattr(request, "claimkit_tenant", None)
        may_view = super().has_view_permission(request, obj)
        return may_view and (tenant is None or self._may_write(request))
