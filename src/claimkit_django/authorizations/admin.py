"""Authorizations in the admin, to look at; they change over the API and by files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin

from claimkit.tenants import Role
from claimkit_django.authorizations.models import (
    Authorization,
    AuthorizationImport,
    AuthorizationWarning,
    ImportProblem,
    LeadTime,
)
from claimkit_django.tenants.admin import TenantModelAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["AuthorizationAdmin", "AuthorizationImportAdmin", "LeadTimeAdmin"]


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


class _Lines(admin.TabularInline):  # type: ignore[type-arg]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: lines are written by what happens."""
        del request, obj
        return False


class WarningInline(_Lines):
    """What was told of its end."""

    model = AuthorizationWarning
    fields = ("told_at", "kind", "step", "days_left", "ends_on")
    readonly_fields = fields


class ProblemInline(_Lines):
    """Rows that could not be taken."""

    model = ImportProblem
    fields = ("line", "code", "field_name", "message", "remedy")
    readonly_fields = fields


@admin.register(Authorization)
class AuthorizationAdmin(_Shown):
    """What payers allow."""

    list_display = ("uid", "payer", "procedure", "valid_until", "units_authorized", "units_used")
    search_fields = ("uid", "number", "payer")
    fields = (
        *("uid", "number", "payer", "procedure", "valid_from", "valid_until", "units_authorized"),
        *("units_stated", "units_linked", "runs_out", "exhausted_earliest", "exhausted_likely"),
        *("exhausted_latest", "checked_at", "renewal"),
    )
    inlines = (WarningInline,)


@admin.register(AuthorizationImport)
class AuthorizationImportAdmin(_Shown):
    """What became of files."""

    list_display = ("uid", "name", "imported_at", "new", "changed", "same", "rejected")
    fields = ("uid", "name", "actor", "imported_at", "new", "changed", "same", "rejected")
    inlines = (ProblemInline,)


@admin.register(LeadTime)
class LeadTimeAdmin(_Shown):
    """How long payers need."""

    list_display = ("payer", "days")
    fields = ("uid", "payer", "days")
