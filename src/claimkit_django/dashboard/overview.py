"""The first page: what changed, since when, how much money, and what can be seen at all.

Everything is read from the cube, the findings and the alerts, never from claims, in a number of
queries that is the same for any number of them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import Count, Q, Sum
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe

from claimkit.drift.findings import Tier
from claimkit.drift.power import PayerState
from claimkit.reports import charts
from claimkit_django.dashboard.pages import DashboardPage

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["OverviewPage", "chart_styles", "urlpatterns"]

#: Findings that the page draws; the list has all.
_DRAWN = 12
_WATCH_LIST = 20
_STYLES = charts.CSS.encode()
_STYLES_TAG = f'"{hashlib.sha256(_STYLES).hexdigest()[:16]}"'


class OverviewPage(DashboardPage):
    """What somebody looks at first in the morning."""

    template_name = "claimkit_dashboard/overview.html"
    section = "overview"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the open findings by money, and what stands behind them."""
        del request
        return self.show(**_drift(), **_alerts(), **_claims())


def _drift() -> dict[str, Any]:
    """Return figures, findings and payers; five queries, none where drift is not installed."""
    if not apps.is_installed("claimkit_django.drift"):
        return {}
    from claimkit_django.dashboard.findings import shown
    from claimkit_django.drift.figures import (
        last_watch,
        open_findings,
        recent_decisions,
        watched_payers,
    )
    from claimkit_django.drift.models import Finding

    rows = Finding.objects.filter(state=Finding.State.OPEN).order_by("-dollars_per_month", "-id")
    run = last_watch()
    payers = watched_payers(run)
    return {
        "has_drift": True,
        "figures": {**recent_decisions(), **open_findings()},
        "findings": [shown(row) for row in rows.filter(tier=Tier.ALERT)[:_DRAWN]],
        "watch_list": rows.filter(tier=Tier.WATCH).defer("evidence")[:_WATCH_LIST],
        "run": run,
        "payers": payers,
        "learning": [one for one in payers if one.state is PayerState.LEARNING],
    }


def _alerts() -> dict[str, Any]:
    """Return what waits for somebody, and what came back; two queries."""
    if not apps.is_installed("claimkit_django.alerts"):
        return {}
    from claimkit_django.alerts.models import Alert, Judgment

    live = Alert.objects.exclude(state=Alert.State.RESOLVED).order_by()
    return {
        "has_alerts": True,
        "alerts": live.aggregate(live=Count("id"), unassigned=Count("id", filter=Q(assignee=""))),
        "recovered": Judgment.objects.order_by().aggregate(
            money=Sum("recovered"),
            alerts=Count("alert", distinct=True, filter=Q(recovered__isnull=False)),
        ),
    }


def _claims() -> dict[str, Any]:
    """Return how fresh the data is; two queries."""
    if not apps.is_installed("claimkit_django.claims"):
        return {}
    from claimkit_django.claims.models import Upload

    return {
        "has_claims": True,
        "upload": Upload.objects.order_by("-created_at", "-id").first(),
        "holding": Upload.objects.filter(holds_alerts=True).count(),
    }


@require_safe
def chart_styles(request: HttpRequest) -> HttpResponse:
    """Return the style sheet of the drawings, which reports carry too."""
    del request
    return HttpResponse(
        _STYLES,
        content_type="text/css; charset=utf-8",
        headers={"Cache-Control": "public, max-age=3600", "ETag": _STYLES_TAG},
    )


urlpatterns = [
    path("", OverviewPage.as_view(), name="index"),
    path("charts.css", chart_styles, name="chart-styles"),
]
