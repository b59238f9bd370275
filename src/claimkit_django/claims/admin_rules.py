"""What a tenant decides for itself, in the admin: names, and how exports are read."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from claimkit.claims.mapping import ClaimMapping
from claimkit.claims.templates import check_template
from claimkit.errors import ClaimkitError, MappingRefused
from claimkit.tenants import current_tenant
from claimkit_django.claims.intake import template_of
from claimkit_django.claims.mapping_table import rules_of
from claimkit_django.claims.mappings import (
    keep_rules,
    payer_suggestions,
    restore_version,
    rules_in_force,
)
from claimkit_django.claims.models import CsvTemplate, MappingVersion
from claimkit_django.claims.tasks import queue_mapping
from claimkit_django.tenants.admin import TenantModelAdmin
from claimkit_django.tenants.directory import actor_of

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from claimkit.claims.mapping import MappingRule

__all__ = ["CsvTemplateAdmin", "MappingVersionAdmin"]

_COLUMNS = ("subject", "match", "value", "last", "target")


class CsvTemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A template with which files can be read."""

    class Meta:
        model = CsvTemplate
        fields = ("name", "header", "columns", "date_order", "nulls")

    def clean(self) -> dict[str, Any]:
        """Refuse a template with which no file could be read."""
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                check_template(template_of(CsvTemplate(**cleaned)))
            except (ClaimkitError, TypeError, AttributeError) as error:
                raise forms.ValidationError(str(error)) from None
        return cleaned


@admin.register(CsvTemplate)
class CsvTemplateAdmin(TenantModelAdmin):
    """How known exports are read."""

    form = CsvTemplateForm
    list_display = ("name", "date_order", "actor", "changed_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may add: a template is written by hand."""
        del obj
        return self.has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may add; files that were read with a template stay as they are."""
        del obj
        return self.has_add_permission(request)

    def save_model(self, request: HttpRequest, obj: CsvTemplate, form: Any, change: Any) -> None:
        """Note who made it."""
        obj.actor = actor_of(request.user)
        super().save_model(request, obj, form, change)


class RulesForm(forms.ModelForm):  # type: ignore[type-arg]
    """Rules as lines of CSV, starting from those in force."""

    table = forms.CharField(
        label=_("Rules"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 20, "cols": 100}),
        help_text=_(
            "One rule per line: subject (payer, procedure_group), match (exact, prefix, range), "
            "value, last code of a range, target."
        ),
    )

    class Meta:
        model = MappingVersion
        fields = ("note",)

    def clean_table(self) -> list[MappingRule]:
        """Return the rules.

        Raises:
            ValidationError: a rule cannot be used.
        """
        rows = csv.DictReader(io.StringIO(self.cleaned_data["table"]), _COLUMNS, restval="")
        found = [row for row in rows if row["subject"] != "subject"]
        try:
            rules = rules_of(found)
            ClaimMapping(rules)
        except MappingRefused as error:
            raise forms.ValidationError(str(error), code=error.code) from None
        return rules


@admin.register(MappingVersion)
class MappingVersionAdmin(TenantModelAdmin):
    """Versions of a tenant's rules; a new one renames history in a task."""

    form = RulesForm
    list_display = ("number", "status", "note", "claims_changed", "actor", "created_at")
    list_filter = ("status",)
    actions = ("bring_back",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's two fields, or all that is known of a version."""
        del request
        if obj is None:
            return ("table", "note")
        shown = [field.name for field in MappingVersion._meta.fields]
        return [*(name for name in shown if name not in {"id", "tenant", "rules"}), "rule_list"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return everything for a version that exists."""
        return () if obj is None else self.get_fields(request, obj)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Start from the rules in force."""
        del request
        version = rules_in_force()
        out = io.StringIO()
        rows = csv.DictWriter(out, _COLUMNS, restval="", lineterminator="\n")
        rows.writerows(version.rules if version else [])
        return {"table": out.getvalue()}

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        """Show the form; suggestions come as messages, for people to decide on."""
        answer = super().add_view(request, form_url, extra_context)
        if request.method == "GET" and answer.status_code == 200:
            for one in payer_suggestions(current_tenant(), limit=5):
                text = _("%(value)s looks like %(target)s.")
                messages.info(request, text % {"value": one.value, "target": one.targets[0]})
        return answer

    def save_model(self, request: HttpRequest, obj: MappingVersion, form: Any, change: Any) -> None:
        """Keep the rules as the next version, and start renaming after the commit."""
        del change
        kept = keep_rules(form.cleaned_data["table"], note=obj.note, actor=actor_of(request.user))
        # The page goes on with the row that was kept.
        obj.__dict__.update(kept.__dict__)
        queue_mapping(kept)

    @admin.display(description=_("Rules"))
    def rule_list(self, version: MappingVersion) -> str:
        """Show the rules, one a line."""
        return format_html_join(
            "",
            "{} {} {}{} → {}<br>",
            (
                (
                    rule["subject"],
                    rule["match"],
                    rule["value"],
                    f"–{rule['last']}" if rule.get("last") else "",
                    rule["target"],
                )
                for rule in version.rules
            ),
        )

    @admin.action(description=_("Bring these rules back"), permissions=["add"])
    def bring_back(self, request: HttpRequest, queryset: QuerySet[MappingVersion]) -> None:
        """Put the rules of one earlier version in force again."""
        chosen = list(queryset.filter(status=MappingVersion.Status.APPLIED)[:2])
        if len(chosen) != 1:
            messages.error(request, _("Choose one version that was in force."))
            return
        version = restore_version(chosen[0].number, actor=actor_of(request.user))
        queue_mapping(version)
        messages.success(
            request, _("Version %(number)d is on its way.") % {"number": version.number}
        )
