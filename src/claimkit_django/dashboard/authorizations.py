"""Authorizations: which end soon, how much of them is used, and when units run out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone

from claimkit_django.authorizations.models import Authorization
from claimkit_django.dashboard.pages import DashboardPage, listed
from claimkit_django.keysets import SortKey

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

__all__ = ["AuthorizationPage", "AuthorizationsPage", "BurnDown", "burn_down", "urlpatterns"]

_WITHIN = (
    ("30", "30 days"),
    ("90", "90 days"),
    ("all", "any time from now"),
    ("ended", "the past"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnDown:
    """How much of an authorization is used, beside how much of its time has passed."""

    row: Authorization
    #: Whole percents, 0 to 100.
    used: int
    passed: int
    #: Negative once it is over.
    days_left: int

    @property
    def is_fast(self) -> bool:
        """Whether units are used up faster than time passes."""
        return self.days_left >= 0 and self.used > self.passed


def burn_down(row: Authorization, today: dt.date) -> BurnDown:
    """Return how far an authorization is on a day.

    Both days of its period count: on the first day no time has passed.
    """
    days = (row.valid_until - row.valid_from).days + 1
    passed = (today - row.valid_from).days
    return BurnDown(
        row=row,
        used=min(100, round(100 * row.units_used / row.units_authorized)),
        passed=max(0, min(100, round(100 * passed / days))),
        days_left=(row.valid_until - today).days,
    )


class AuthorizationsPage(DashboardPage):
    """Authorizations, the next end first."""

    template_name = "claimkit_dashboard/authorizations.html"
    section = "authorizations"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show one page of those that end when it was asked for."""
        within = request.GET.get("within", "90")
        today = timezone.localdate()
        rows = Authorization.objects.select_related("renewal")
        is_over = within == "ended"
        rows = (
            rows.filter(valid_until__lt=today) if is_over else rows.filter(valid_until__gte=today)
        )
        if within.isascii() and within.isdigit():
            rows = rows.filter(
                valid_until__lte=today + dt.timedelta(days=min(int(within[:4]), 3_650))
            )
        keys = (SortKey("valid_until", descending=is_over), SortKey("id", descending=is_over))
        found = listed(request, self.take_page(rows, *keys))
        found["rows"] = [burn_down(one, today) for one in found["rows"]]
        return self.show(**found, within=within, choices=_WITHIN)


class AuthorizationPage(DashboardPage):
    """One authorization with its services and warnings; whose it is, is not known here."""

    template_name = "claimkit_dashboard/authorization.html"
    section = "authorizations"

    def get(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Show it."""
        del request
        rows = Authorization.objects.select_related("renewal").prefetch_related(
            "claims", "warnings"
        )
        return self.show(one=burn_down(get_object_or_404(rows, uid=uid), timezone.localdate()))


urlpatterns = [
    path("", AuthorizationsPage.as_view(), name="authorizations"),
    path("<slug:uid>/", AuthorizationPage.as_view(), name="authorization"),
]
