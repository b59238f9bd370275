"""Reports: ask for the report of a period, follow it, take its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import FileResponse, Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse

from claimkit.errors import ClaimkitError
from claimkit.reports.periods import Period, PeriodKind, period_of
from claimkit_django.dashboard.pages import ANALYST_ACTS, DashboardPage, listed
from claimkit_django.keysets import SortKey
from claimkit_django.reports.downloads import file_answer, report_name
from claimkit_django.reports.models import ReportFile, ReportRun
from claimkit_django.reports.runs import ask_report, period_of_run
from claimkit_django.reports.tasks import queue_report
from claimkit_django.runtime import plugins

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["ReportPage", "ReportsPage", "urlpatterns"]

_WAITS = (ReportRun.Status.QUEUED, ReportRun.Status.RUNNING)
_DATE = {"type": "date"}


class AskForm(forms.Form):
    """The report of which period, in which formats."""

    kind = forms.ChoiceField(
        label="Period",
        initial=PeriodKind.MONTHLY,
        choices=[
            (PeriodKind.WEEKLY, "A week"),
            (PeriodKind.MONTHLY, "A month"),
            (PeriodKind.QUARTERLY, "A quarter"),
            (PeriodKind.CUSTOM, "From … to …"),
        ],
    )
    first = forms.DateField(
        label="Day",
        widget=forms.DateInput(attrs=_DATE),
        help_text="Any day of the week, month or quarter; else the first day.",
    )
    last = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs=_DATE),
        help_text="Only where the period is from … to ….",
    )
    formats = forms.MultipleChoiceField(
        label="Formats", initial=["html"], widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["formats"]
        choice.choices = [(one, one) for one in plugins().renderers]

    def clean(self) -> dict[str, Any]:
        """Make the period, or say what is wrong with it."""
        told: dict[str, Any] = self.cleaned_data
        kind, first, last = told.get("kind"), told.get("first"), told.get("last")
        if kind is None or first is None:
            return told
        if (kind == PeriodKind.CUSTOM) != (last is not None):
            text = "A period from … to … has a last day, and no other period has."
            self.add_error("last", text)
            return told
        try:
            told["period"] = (
                Period(kind=PeriodKind.CUSTOM, first=first, last=last)
                if last is not None
                else period_of(PeriodKind(kind), first)
            )
        except ClaimkitError as error:
            self.add_error("first", f"{error.message.capitalize()}.")
        return told


class ReportsPage(DashboardPage):
    """Reports of periods, the latest period first, and the form for another one."""

    template_name = "claimkit_dashboard/reports.html"
    section = "reports"
    roles = ANALYST_ACTS

    def get(
        self, request: HttpRequest, form: AskForm | None = None, status: int = 200
    ) -> HttpResponse:
        """Show one page of them."""
        keys = (SortKey("last", descending=True), SortKey("id", descending=True))
        rows = ReportRun.objects.prefetch_related("files").defer("changes")
        found = listed(request, self.take_page(rows, *keys))
        found["rows"] = [(one, period_of_run(one)) for one in found["rows"]]
        return self.show(
            **found,
            waits=any(one.status in _WAITS for one, _ in found["rows"]),
            form=form or AskForm(auto_id="ask-%s"),
            status=status,
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        """Queue a report, and go where it is followed."""
        form = AskForm(request.POST, auto_id="ask-%s")
        if not form.is_valid():
            return self.get(request, form, status=422)
        run, must_start = ask_report(
            form.cleaned_data["period"], formats=form.cleaned_data["formats"], actor=self.actor
        )
        if must_start:
            queue_report(run)
        return HttpResponseRedirect(reverse("claimkit_dashboard:report", args=[run.uid]))


class ReportPage(DashboardPage):
    """One report: what it says first, what is different from the one before, and its files."""

    template_name = "claimkit_dashboard/report.html"
    section = "reports"

    def get(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Show it; while it is made, htmx asks again."""
        del request
        run = get_object_or_404(ReportRun.objects.prefetch_related("files", "mails"), uid=uid)
        return self.show(run=run, period=period_of_run(run), waits=run.status in _WAITS)


class ReportFilePage(DashboardPage):
    """The report in one format, as it was last made."""

    def get(self, request: HttpRequest, uid: str, renderer: str) -> FileResponse:
        """Return the file.

        Raises:
            Http404: there is no such report, or not in this format.
        """
        del request
        run = get_object_or_404(ReportRun, uid=uid)
        found = ReportFile.objects.filter(run=run, renderer=renderer).first()
        if found is None:
            raise Http404
        return file_answer(found, report_name(run, renderer), found.media_type)


urlpatterns = [
    path("", ReportsPage.as_view(), name="reports"),
    path("<slug:uid>/", ReportPage.as_view(), name="report"),
    path("<slug:uid>/<slug:renderer>/", ReportFilePage.as_view(), name="report-file"),
]
