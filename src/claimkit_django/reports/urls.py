"""Addresses of the reports room in the API."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from claimkit_django.reports.rest import ReportViewSet
from claimkit_django.reports.rest_exports import ExportSourcesView, ExportViewSet
from claimkit_django.reports.rest_schedules import ScheduleViewSet

router = SimpleRouter()
router.register("reports/schedules", ScheduleViewSet, basename="report-schedule")
router.register("reports", ReportViewSet, basename="report")
router.register("exports", ExportViewSet, basename="export")

urlpatterns = [
    path("exports/sources/", ExportSourcesView.as_view(), name="export-sources"),
    *router.urls,
]
