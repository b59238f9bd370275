"""Findings: the list of all, and the page of one with everything that speaks for and against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse

from claimkit.drift.findings import Signal
from claimkit.errors import FindingUnknown
from claimkit.reports.sections import finding_section
from claimkit.types import TenantKey
from claimkit_django.dashboard.pages import ANALYST_ACTS, DashboardPage, listed
from claimkit_django.drift.figures import claims_behind
from claimkit_django.drift.models import Finding
from claimkit_django.drift.rows import finding_of
from claimkit_django.drift.runs import run_accept
from claimkit_django.keysets import SortKey

if TYPE_CHECKING:
    from django.http import HttpRequest

    from claimkit.reports.document import Section

__all__ = ["FindingPage", "FindingsPage", "ShownFinding", "shown", "urlpatterns"]

_UID = "<slug:uid>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFinding:
    """A finding's row, and what reports say of it."""

    row: Finding
    section: Section

    @property
    def chart(self) -> Any:
        """Return the chart of observed against expected, None where there are too few weeks."""
        return next(iter(self.section.figures), None)


def shown(row: Finding) -> ShownFinding:
    """Return what is shown of a row."""
    return ShownFinding(row=row, section=finding_section(finding_of(row), row.pk))


class FindingsPage(DashboardPage):
    """All findings ever, the latest first."""

    template_name = "claimkit_dashboard/findings.html"
    section = "findings"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show one page of them, of the state that was asked for."""
        state = request.GET.get("state", "")
        rows = Finding.objects.defer("evidence")
        if state in Finding.State.values:
            rows = rows.filter(state=state)
        keys = (SortKey("as_of", descending=True), SortKey("id", descending=True))
        return self.show(
            **listed(request, self.take_page(rows, *keys)),
            state=state,
            states=Finding.State.choices,
        )


class FindingPage(DashboardPage):
    """One finding: what, how much, since when, why, and what to do about it."""

    template_name = "claimkit_dashboard/finding.html"
    section = "findings"

    def get(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Show it."""
        row = get_object_or_404(Finding, uid=uid)
        return self.show(
            finding=row,
            shown=shown(row),
            **self._alert(row),
            **self._claims(request, row),
        )

    def _alert(self, row: Finding) -> dict[str, Any]:
        """Return the alert about it, with history, judgments and people; four queries."""
        if not apps.is_installed("claimkit_django.alerts"):
            return {}
        from claimkit_django.alerts.models import Alert
        from claimkit_django.dashboard.alerts import FINGERPRINT_LENGTH, about_alert

        alerts = Alert.objects.filter(
            fingerprint=row.fingerprint[:FINGERPRINT_LENGTH], source="drift"
        )
        alert = alerts.order_by("-pk").prefetch_related("history", "judgments").first()
        return about_alert(self, alert)

    def _claims(self, request: HttpRequest, row: Finding) -> dict[str, Any]:
        """Return a page of the claims behind it, and what was remarked; six queries."""
        if not apps.is_installed("claimkit_django.claims"):
            return {}
        from claimkit_django.dashboard.claims import shown_claims, shown_remarks

        is_about_denials = row.signal in (Signal.DENIAL_RATE, Signal.DENIAL_REASON_MIX)
        asked = claims_behind(row)
        if is_about_denials and request.GET.get("claims") != "all":
            asked["outcome"] = "denied"
        return {
            "claims": shown_claims(self, asked),
            # Of denials only: beside a payment, remarks tell how it was calculated.
            "remarks": shown_remarks({**asked, "outcome": "denied"}) if is_about_denials else {},
            "claims_denied_only": "outcome" in asked,
            "claims_have_choice": is_about_denials,
        }


class AcceptPage(DashboardPage):
    """Take the level of a finding as the new normal."""

    roles = {**ANALYST_ACTS}
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Close the finding, and go back to it."""
        get_object_or_404(Finding, uid=uid)
        try:
            run_accept(TenantKey(self.tenant.key), uid, by=self.actor)
        except FindingUnknown:
            messages.error(
                request, "This finding is closed already, so there is nothing to accept."
            )
        else:
            messages.success(
                request, "The new level is the baseline from now on; this finding is closed."
            )
        return HttpResponseRedirect(reverse("claimkit_dashboard:finding", args=[uid]))


urlpatterns = [
    path("", FindingsPage.as_view(), name="findings"),
    path(f"{_UID}/", FindingPage.as_view(), name="finding"),
    path(f"{_UID}/accept/", AcceptPage.as_view(), name="accept"),
]
