"""Rules and what they did in the admin, to look at; they change over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin

from claimkit.tenants import Role
from claimkit_django.automation.models import Approval, Execution, Rule, Work
from claimkit_django.tenants.admin import TenantModelAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["ApprovalAdmin", "ExecutionAdmin", "RuleAdmin", "WorkAdmin"]


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


@admin.register(Rule)
class RuleAdmin(_Shown):
    """What happens when."""

    list_display = ("name", "topic", "action", "mode", "priority", "rests_until")
    list_filter = ("mode",)
    fields = (
        *("uid", "name", "topic", "conditions", "action", "settings", "mode", "priority"),
        *("goes_on", "max_per_hour", "ask_from_dollars", "ask_below_confidence"),
        *("failures", "rests_until"),
    )


@admin.register(Execution)
class ExecutionAdmin(_Shown):
    """What rules did."""

    list_display = ("at", "rule_name", "action", "result", "reason", "subject", "actor")
    list_filter = ("result",)
    fields = (
        *("uid", "at", "rule", "rule_name", "action", "topic", "subject", "result", "reason"),
        *("facts", "actor", "duration_ms"),
    )


@admin.register(Approval)
class ApprovalAdmin(_Shown):
    """What waits for a person, and who decided."""

    list_display = ("asked_at", "rule_name", "action", "subject", "state", "actor")
    list_filter = ("state",)
    fields = (
        *("uid", "asked_at", "rule_name", "action", "settings", "topic", "subject", "facts"),
        *("held", "state", "actor", "note", "decided_at"),
    )


@admin.register(Work)
class WorkAdmin(_Shown):
    """What is left for people."""

    list_display = ("created_at", "kind", "text", "subject", "due_on", "done_at")
    list_filter = ("kind",)
    fields = (
        *("uid", "kind", "text", "topic", "subject", "rule_name", "due_on", "created_at"),
        *("done_at", "actor"),
    )
