"""Names: what payers and procedure groups are called, and which spellings are probably the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse

from claimkit.claims.mapping import MappingRule, Match, Subject
from claimkit.errors import MappingRefused
from claimkit.types import TenantKey
from claimkit_django.claims.mappings import (
    add_rule,
    payer_suggestions,
    restore_version,
    rules_in_force,
)
from claimkit_django.claims.models import MappingVersion
from claimkit_django.claims.tasks import queue_mapping
from claimkit_django.dashboard.pages import ANALYST_ACTS, DashboardPage

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["MappingsPage", "RulePage", "urlpatterns"]

#: Versions that the page shows.
_VERSIONS = 10


class RuleForm(forms.Form):
    """What matches a value is called something."""

    subject = forms.ChoiceField(
        label="What",
        choices=[(Subject.PAYER, "A payer"), (Subject.PROCEDURE_GROUP, "A group of procedures")],
    )
    match = forms.ChoiceField(
        label="Matches",
        choices=[
            (Match.EXACT, "exactly"),
            (Match.PREFIX, "what begins with"),
            (Match.RANGE, "codes from … to …"),
        ],
    )
    value = forms.CharField(
        label="Value",
        max_length=200,
        help_text="A payer's name or its id such as PI:60054, or a procedure code.",
    )
    last = forms.CharField(
        label="Last code", max_length=200, required=False, help_text="Of a range of codes only."
    )
    target = forms.CharField(label="Is called", max_length=200)

    def rule(self) -> MappingRule:
        """Return the rule."""
        told: dict[str, Any] = self.cleaned_data
        return MappingRule(
            **{**told, "subject": Subject(told["subject"]), "match": Match(told["match"])}
        )


class MappingsPage(DashboardPage):
    """Suggestions to decide on, the rules in force, and how they came to be."""

    template_name = "claimkit_dashboard/mappings.html"
    section = "mappings"

    def get(
        self, request: HttpRequest, form: RuleForm | None = None, status: int = 200
    ) -> HttpResponse:
        """Show them."""
        del request
        versions = list(MappingVersion.objects.order_by("-number")[:_VERSIONS])
        in_force = rules_in_force()
        return self.show(
            suggestions=payer_suggestions(TenantKey(self.tenant.key)),
            in_force=in_force,
            versions=versions,
            waits=any(one.status == MappingVersion.Status.QUEUED for one in versions),
            people=self.people,
            form=form or RuleForm(auto_id="rule-%s"),
            status=status,
        )


class RulePage(MappingsPage):
    """Put one more rule in force: one that was written, or a decision about a suggestion."""

    roles = ANALYST_ACTS
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest) -> HttpResponse:
        """Keep it as the next version, and have all claims renamed."""
        form = RuleForm(request.POST, auto_id="rule-%s")
        if not form.is_valid():
            return self.get(request, form, status=422)
        rule = form.rule()
        try:
            version = add_rule(rule, actor=self.actor)
        except MappingRefused as error:
            form.add_error(None, f"{error.message.capitalize()}. {error.remedy}")
            return self.get(request, form, status=422)
        queue_mapping(version)
        if rule.value == rule.target:
            messages.success(request, f"{rule.value} stays a name of its own.")
        else:
            messages.success(request, f"{rule.value} is called {rule.target} from now on.")
        return HttpResponseRedirect(reverse("claimkit_dashboard:mappings"))


class RestorePage(DashboardPage):
    """Bring the rules of an earlier version back."""

    roles = ANALYST_ACTS
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Keep them as the next version."""
        applied = MappingVersion.objects.filter(status=MappingVersion.Status.APPLIED)
        earlier = get_object_or_404(applied, uid=uid)
        queue_mapping(restore_version(earlier.number, actor=self.actor))
        messages.success(request, f"The rules of version {earlier.number} come back.")
        return HttpResponseRedirect(reverse("claimkit_dashboard:mappings"))


urlpatterns = [
    path("", MappingsPage.as_view(), name="mappings"),
    path("rules/", RulePage.as_view(), name="rule"),
    path("<slug:uid>/restore/", RestorePage.as_view(), name="restore"),
]
