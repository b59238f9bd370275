"""Findings, runs, backtests, contracts and choices in the admin; read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from claimkit.types import from_cents
from claimkit_django.drift.models import (
    BacktestRun,
    ContractRate,
    DriftChoice,
    Finding,
    WatchRun,
)
from claimkit_django.tenants.admin import TenantModelAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = [
    "BacktestRunAdmin",
    "ContractRateAdmin",
    "DriftChoiceAdmin",
    "FindingAdmin",
    "WatchRunAdmin",
]


class _ReadOnly(TenantModelAdmin):
    hidden: frozenset[str] = frozenset({"id", "tenant"})

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: rows come from runs."""
        del request
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what people can read."""
        del request, obj
        return [field.name for field in self.opts.fields if field.name not in self.hidden]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return all fields."""
        return self.get_fields(request, obj)


@admin.register(Finding)
class FindingAdmin(_ReadOnly):
    """What is drifting, most dollars a month first."""

    list_display = ("summary", "money", "severity", "tier", "state", "payer", "onset", "as_of")
    list_filter = ("state", "tier", "severity", "signal")
    search_fields = ("payer", "uid", "fingerprint")
    ordering = ("-dollars_per_month", "-id")
    hidden = frozenset({"id", "tenant", "severity_rank", "told_severity_rank", "dollars_per_month"})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what people can read, with dollars in place of cents."""
        return ["money", *super().get_fields(request, obj)]

    @admin.display(description=_("Dollars a month"), ordering="dollars_per_month")
    def money(self, finding: Finding) -> str:
        """Show dollars."""
        return f"{from_cents(finding.dollars_per_month):,}"


@admin.register(WatchRun)
class WatchRunAdmin(_ReadOnly):
    """Runs of the watch, newest first."""

    list_display = ("uid", "status", "as_of", "new", "worse", "same", "resolved", "started_at")
    list_filter = ("status",)
    search_fields = ("uid",)


@admin.register(BacktestRun)
class BacktestRunAdmin(_ReadOnly):
    """What past nights would have told, the latest asked for first."""

    list_display = ("uid", "status", "start", "end", "knowledge", "alerts", "created_at")
    list_filter = ("status", "knowledge")
    search_fields = ("uid",)


@admin.register(ContractRate)
class ContractRateAdmin(_ReadOnly):
    """What payers owe by contract; ``claimkit_contracts`` and the API import it."""

    list_display = ("payer", "procedure_code", "owed", "effective_from", "effective_until")
    list_filter = ("payer",)
    search_fields = ("payer", "procedure_code")
    ordering = ("payer", "procedure_code", "effective_from")
    hidden = frozenset({"id", "tenant", "allowed"})

    @admin.display(description=_("Owed"))
    def owed(self, rate: ContractRate) -> str:
        """Show dollars, or percent of the charge."""
        if rate.allowed is not None:
            return f"${from_cents(rate.allowed):,}"
        return f"{rate.percent_of_charge:f} %"


@admin.register(DriftChoice)
class DriftChoiceAdmin(_ReadOnly):
    """What tenants chose to watch; ``claimkit_drift_settings`` and the API change it."""

    list_display = ("tenant", "detectors", "dimensions", "actor", "changed_at")
