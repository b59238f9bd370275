"""Automation: what waits for a person's yes, the rules, and what they did."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Max
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone

from claimkit.errors import ApprovalConflict
from claimkit.tenants import Role
from claimkit_django.automation.engine import approve, reject
from claimkit_django.automation.models import Approval, Execution, Rule
from claimkit_django.dashboard.pages import ANALYST_ACTS, DashboardPage, listed
from claimkit_django.keysets import SortKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest, HttpResponse

__all__ = ["AnswerPage", "AutomationPage", "urlpatterns"]

#: Approvals on the page; the rest come up as these are answered.
_MOST_WAITING = 50
#: Lines of the log that are counted: all of it may be years.
_LATELY = dt.timedelta(days=30)
_ANSWERS: Mapping[str, Callable[..., Approval]] = {"approve": approve, "reject": reject}
_DONE = {
    "approve": "Approved. The log says how it ended.",
    "reject": "Rejected: nothing was done.",
}


class NoteForm(forms.Form):
    """Why somebody said yes or no."""

    note = forms.CharField(label="Note", max_length=500, required=False)


class AutomationPage(DashboardPage):
    """The queue, oldest first; the rules, for those who keep them; and the log, newest first."""

    template_name = "claimkit_dashboard/automation.html"
    section = "automation"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show one page of the log below what waits."""
        result = request.GET.get("result", "")
        lines = Execution.objects.all()
        if result in Execution.Result.values:
            lines = lines.filter(result=result)
        waiting = Approval.objects.filter(state=Approval.State.WAITING).order_by("asked_at", "id")
        keeps_rules = self.role.includes(Role.ADMIN)
        return self.show(
            **listed(
                request,
                self.take_page(
                    lines, SortKey("at", descending=True), SortKey("id", descending=True)
                ),
            ),
            waiting=[{"row": one, "told": _told(one.facts)} for one in waiting[:_MOST_WAITING]],
            rules=_rules() if keeps_rules else [],
            keeps_rules=keeps_rules,
            result=result,
            results=Execution.Result.choices,
            people=self.people,
        )


class AnswerPage(DashboardPage):
    """Says yes or no to what waits, and goes back to the queue."""

    roles = ANALYST_ACTS
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, uid: str, answer: str) -> HttpResponse:
        """Answer."""
        # First: what is wrong with a form must not tell whose queue it stands in.
        get_object_or_404(Approval, uid=uid)
        if answer not in _ANSWERS:
            raise Http404
        form = NoteForm(request.POST)
        if not form.is_valid():
            messages.error(request, "The note is too long: 500 characters at most.")
            return self.back(reverse("claimkit_dashboard:automation"))
        try:
            _ANSWERS[answer](
                uid, actor=self.actor, note=form.cleaned_data["note"], using=DEFAULT_DB_ALIAS
            )
        except ApprovalConflict as error:
            messages.error(request, f"{error.message.capitalize()}.")
        else:
            messages.success(request, _DONE[answer])
        return self.back(reverse("claimkit_dashboard:automation"))


def _rules() -> list[dict[str, Any]]:
    """Return the rules as they are asked, each with its lines of late; two queries."""
    counted = (
        Execution.objects.filter(at__gt=timezone.now() - _LATELY)
        .order_by()
        .values("rule")
        .annotate(lines=Count("pk"), last=Max("at"))
    )
    known = {one["rule"]: one for one in counted}
    return [
        {
            "row": one,
            "lines": known.get(one.uid, {}).get("lines", 0),
            "last": known.get(one.uid, {}).get("last"),
        }
        for one in Rule.objects.all()
    ]


def _told(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a rule saw, for people; there is nothing about a patient in it."""
    return [
        (
            name.replace("_", " "),
            f"{value:,g}" if isinstance(value, float) else str(value).replace("_", " "),
        )
        for name, value in facts.items()
        if value is not None and name != "severity_rank"
    ]


urlpatterns = [
    path("", AutomationPage.as_view(), name="automation"),
    path("<slug:uid>/<slug:answer>/", AnswerPage.as_view(), name="answer"),
]
