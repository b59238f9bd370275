"""The inbox: what people have to deal with, and what they do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.apps import apps
from django.contrib import messages
from django.db import DEFAULT_DB_ALIAS
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.text import slugify

from claimkit.alerts.judgments import Verdict
from claimkit.errors import AlertConflict
from claimkit.tenants import Role
from claimkit_django.alerts import acts
from claimkit_django.alerts.models import Alert, Judgment, SeverityChoices
from claimkit_django.dashboard.pages import ANALYST_ACTS, DashboardPage, listed
from claimkit_django.keysets import SortKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest

    from claimkit_django.drift.models import Finding

__all__ = ["FINGERPRINT_LENGTH", "ActPage", "AlertPage", "AlertsPage", "about_alert", "urlpatterns"]

#: Characters of a finding's fingerprint that its alert keeps.
FINGERPRINT_LENGTH = 64
#: More than any payer gives back; its cents fit a bigint, with room for sums.
_MOST_DOLLARS = 10**12


class AlertForm(forms.Form):
    """A form about an alert; ``people`` are the members of the tenant, by key."""

    def __init__(self, *args: Any, people: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = people


class AssignForm(AlertForm):
    """Who deals with it, and by when."""

    assignee = forms.ChoiceField(label="Who", required=False)
    due_on = forms.DateField(
        label="By", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["assignee"]
        choice.choices = [("", "Nobody"), *self.people.items()]


class CommentForm(AlertForm):
    """What to write down for others."""

    text = forms.CharField(
        label="Comment", max_length=2_000, widget=forms.Textarea(attrs={"rows": 3})
    )


class JudgeForm(AlertForm):
    """What somebody thinks of an alert, and what came of it."""

    verdict = forms.ChoiceField(
        label="What is it?", choices=Judgment.VerdictChoices.choices, widget=forms.RadioSelect
    )
    reason = forms.CharField(
        label="Reason",
        max_length=64,
        required=False,
        help_text="A word or two that you count by, such as contract change.",
    )
    note = forms.CharField(
        label="Note", max_length=2_000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    recovered = forms.DecimalField(
        label="Money that came back, in dollars",
        min_value=0,
        max_value=_MOST_DOLLARS,
        decimal_places=2,
        required=False,
    )
    recovered_on = forms.DateField(
        label="On", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def clean_reason(self) -> str:
        """Return the reason as a word of the tenant's own, as the API takes it."""
        return str(slugify(self.cleaned_data["reason"])).replace("-", "_")[:64]

    def clean(self) -> dict[str, Any]:
        """Refuse money without a day, and a day without money."""
        told: dict[str, Any] = self.cleaned_data
        money, day = told.get("recovered"), told.get("recovered_on")
        if "recovered" in told and "recovered_on" in told and (money is None) != (day is None):
            missing = "recovered" if money is None else "recovered_on"
            text = "Say how much came back, too." if money is None else "Say when it came, too."
            self.add_error(missing, text)
        return told


#: Act → its form; None where a button says all.
_FORMS: Mapping[str, type[AlertForm] | None] = {
    "acknowledge": None,
    "resolve": None,
    "assign": AssignForm,
    "comment": CommentForm,
    "judge": JudgeForm,
}
_PLAIN: Mapping[str, Callable[..., Alert]] = {
    "acknowledge": acts.acknowledge,
    "resolve": acts.resolve,
    "assign": acts.assign,
    "comment": acts.comment,
}
_DONE = {
    "acknowledge": "This is yours now. You hear of it again only if it becomes more severe.",
    "resolve": "Resolved. The same change within some days opens it again.",
    "assign": "Noted who deals with it.",
    "comment": "Noted.",
    "judge": "Thank you: your judgment is kept.",
}


def about_alert(
    page: DashboardPage, alert: Alert | None, bound: Mapping[str, forms.Form] | None = None
) -> dict[str, Any]:
    """Return what pages show of an alert: itself, its people, and forms.

    One query, and two for what was prefetched. ``bound`` are forms that need correction.
    """
    if alert is None:
        return {}
    made: dict[str, forms.Form] = {
        "assign": AssignForm(
            auto_id="assign-%s",
            people=page.people,
            initial={"assignee": alert.assignee, "due_on": alert.due_on},
        ),
        "comment": CommentForm(auto_id="comment-%s", people=page.people),
        "judge": JudgeForm(auto_id="judge-%s", people=page.people),
        **(bound or {}),
    }
    return {"alert": alert, "forms": made, "people": page.people}


class AlertsPage(DashboardPage):
    """Alerts, the latest first; those that wait by default."""

    template_name = "claimkit_dashboard/alerts.html"
    section = "alerts"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show one page of what was asked for."""
        state = request.GET.get("state", "live")
        severity = request.GET.get("severity", "")
        whose = request.GET.get("whose", "")
        rows = Alert.objects.all()
        if state == "live":
            rows = rows.exclude(state=Alert.State.RESOLVED)
        elif state in Alert.State.values:
            rows = rows.filter(state=state)
        if severity in SeverityChoices.values:
            rows = rows.filter(severity=severity)
        if whose in ("mine", "nobody"):
            rows = rows.filter(assignee=self.actor if whose == "mine" else "")
        keys = (SortKey("opened_at", descending=True), SortKey("id", descending=True))
        return self.show(
            **listed(request, self.take_page(rows, *keys)),
            state=state,
            severity=severity,
            whose=whose,
            people=self.people,
            states=[("live", "Waiting"), *Alert.State.choices, ("all", "All")],
            severities=SeverityChoices.choices,
            is_filtered=(state, severity, whose) != ("live", "", ""),
        )


class AlertPage(DashboardPage):
    """One alert: what it is about, what happened, and what to do."""

    template_name = "claimkit_dashboard/alert.html"
    section = "alerts"

    def get(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Show it."""
        del request
        return self.answer(uid)

    def answer(
        self, uid: str, bound: Mapping[str, forms.Form] | None = None, status: int = 200
    ) -> HttpResponse:
        """Return the page of an alert, with forms that were sent and need correction.

        Raises:
            Http404: the tenant in scope has no such alert.
        """
        rows = Alert.objects.prefetch_related("history", "judgments")
        alert = get_object_or_404(rows, uid=uid)
        return self.show(
            finding=_finding_of(alert), status=status, **about_alert(self, alert, bound)
        )


class ActPage(AlertPage):
    """Does what a form about an alert says, and goes back to where it stood."""

    roles = ANALYST_ACTS
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, uid: str, act: str) -> HttpResponse:
        """Do it."""
        # First: what is wrong with a form must not tell whose alert it is.
        get_object_or_404(Alert, uid=uid)
        if act not in _FORMS:
            raise Http404
        form_class = _FORMS[act]
        told: dict[str, Any] = {}
        if form_class is not None:
            form = form_class(request.POST, auto_id=f"{act}-%s", people=self.people)
            if not form.is_valid():
                return self.answer(uid, {act: form}, status=422)
            told = form.cleaned_data
        try:
            self._do(act, uid, told)
        except AlertConflict as error:
            messages.error(request, f"{error.message.capitalize()}.")
        else:
            messages.success(request, _DONE[act])
        return self.back(reverse("claimkit_dashboard:alert", args=[uid]))

    def _do(self, act: str, uid: str, told: dict[str, Any]) -> None:
        who: dict[str, Any] = {"actor": self.actor, "using": DEFAULT_DB_ALIAS}
        if act == "judge":
            dollars = told.pop("recovered")
            acts.judge(
                uid,
                **{**told, "verdict": Verdict(told["verdict"])},
                recovered=None if dollars is None else round(dollars * 100),
                is_decisive=self.role.includes(Role.ADMIN),
                **who,
            )
        else:
            _PLAIN[act](uid, **told, **who)


def _finding_of(alert: Alert) -> Finding | None:
    """Return the finding that an alert is about; one query, none where there is no drift."""
    if alert.source != "drift" or not apps.is_installed("claimkit_django.drift"):
        return None
    from claimkit_django.drift.models import Finding

    how = "exact" if len(alert.fingerprint) < FINGERPRINT_LENGTH else "startswith"
    rows = Finding.objects.filter(**{f"fingerprint__{how}": alert.fingerprint})
    found: Finding | None = rows.defer("evidence").order_by("-pk").first()
    return found


urlpatterns = [
    path("", AlertsPage.as_view(), name="alerts"),
    path("<slug:uid>/", AlertPage.as_view(), name="alert"),
    path("<slug:uid>/<slug:act>/", ActPage.as_view(), name="act"),
]
