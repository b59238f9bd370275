"""Backtests: what past nights would have told, to see what an alert is worth before trusting one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse

from claimkit_django.dashboard.pages import ANALYST_ACTS, DashboardPage, listed
from claimkit_django.drift.models import BacktestRun
from claimkit_django.drift.tasks import queue_backtest
from claimkit_django.keysets import SortKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

__all__ = ["BacktestPage", "BacktestsPage", "urlpatterns"]

_WAITS = (BacktestRun.Status.QUEUED, BacktestRun.Status.RUNNING)


class ReplayForm(forms.Form):
    """Which nights to replay, and with which knowledge."""

    start = forms.DateField(
        label="First night",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="A year before the last one by default.",
    )
    end = forms.DateField(
        label="Last night",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The day of the last decision by default.",
    )
    knowledge = forms.ChoiceField(label="Each night knows", choices=BacktestRun.Knowledge.choices)

    def clean(self) -> dict[str, Any]:
        """Refuse nights in the wrong order."""
        told: dict[str, Any] = self.cleaned_data
        start, end = told.get("start"), told.get("end")
        if start and end and start > end:
            self.add_error("start", "The first night is after the last one.")
        return told


class BacktestsPage(DashboardPage):
    """Backtests, the latest asked for first, and the form for another one."""

    template_name = "claimkit_dashboard/backtests.html"
    section = "backtests"
    roles = ANALYST_ACTS

    def get(
        self, request: HttpRequest, form: ReplayForm | None = None, status: int = 200
    ) -> HttpResponse:
        """Show one page of them."""
        keys = (SortKey("created_at", descending=True), SortKey("id", descending=True))
        found = listed(request, self.take_page(BacktestRun.objects.defer("result"), *keys))
        return self.show(
            **found,
            people=self.people,
            waits=any(one.status in _WAITS for one in found["rows"]),
            form=form or ReplayForm(auto_id="replay-%s"),
            status=status,
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        """Queue a backtest, and go where it is followed."""
        form = ReplayForm(request.POST, auto_id="replay-%s")
        if not form.is_valid():
            return self.get(request, form, status=422)
        run = BacktestRun.objects.create(**form.cleaned_data, actor=self.actor)
        queue_backtest(run)
        return HttpResponseRedirect(reverse("claimkit_dashboard:backtest", args=[run.uid]))


class BacktestPage(DashboardPage):
    """One backtest: how far it is, and what the nights would have told."""

    template_name = "claimkit_dashboard/backtest.html"
    section = "backtests"

    def get(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Show it; while it runs, htmx asks for the part that changes."""
        del request
        run = get_object_or_404(BacktestRun, uid=uid)
        waits = run.status in _WAITS
        part = (
            "claimkit_dashboard/parts/backtest.html"
            if waits and self.wants_part("backtest")
            else ""
        )
        return self.show(
            template=part,
            run=run,
            waits=waits,
            findings=[_dated(one) for one in run.result.get("findings", ())],
        )


def _dated(finding: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finding of a result with its days as dates."""
    days = ("detected_on", "onset", "ended")
    read = {name: finding.get(name) for name in days}
    return {
        **finding,
        **{name: dt.date.fromisoformat(day) if day else None for name, day in read.items()},
    }


urlpatterns = [
    path("", BacktestsPage.as_view(), name="backtests"),
    path("<slug:uid>/", BacktestPage.as_view(), name="backtest"),
]
