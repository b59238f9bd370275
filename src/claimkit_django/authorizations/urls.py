"""Addresses of the authorizations room in the API."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from claimkit_django.authorizations.rest import AuthorizationViewSet
from claimkit_django.authorizations.rest_files import (
    CalendarView,
    ImportViewSet,
    LeadTimeViewSet,
    show_calendar,
)

router = SimpleRouter()
router.register("authorizations/imports", ImportViewSet, basename="authorization-import")
router.register("authorizations/lead-times", LeadTimeViewSet, basename="authorization-lead-time")
router.register("authorizations", AuthorizationViewSet, basename="authorization")

urlpatterns = [
    path("authorizations/calendar/", CalendarView.as_view(), name="authorization-calendar"),
    path("authorizations/calendar/<str:token>.ics", show_calendar, name="authorization-feed"),
    *router.urls,
]
