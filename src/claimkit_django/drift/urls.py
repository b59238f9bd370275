"""Addresses of the drift room in the API."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from claimkit_django.drift.rest import ActiveDriftViewSet, FindingViewSet
from claimkit_django.drift.rest_backtests import BacktestViewSet
from claimkit_django.drift.rest_figures import DashboardView, PayerSummaryViewSet
from claimkit_django.drift.rest_risk import CalibrationView, RiskView
from claimkit_django.drift.rest_runs import RunViewSet
from claimkit_django.drift.rest_settings import (
    ContractViewSet,
    DriftSettingsView,
    WatchedPayersView,
)

router = SimpleRouter()
router.register("findings", FindingViewSet, basename="finding")
router.register("runs", RunViewSet, basename="run")
router.register("drift/contracts", ContractViewSet, basename="contract")
router.register("drift/backtests", BacktestViewSet, basename="backtest")

urlpatterns = [
    *router.urls,
    path("dashboard/", DashboardView.as_view(), name="dashboard"),
    path(
        "claims/payer-summary/",
        PayerSummaryViewSet.as_view({"get": "list"}),
        name="claim-payer-summary",
    ),
    path("drift/settings/", DriftSettingsView.as_view(), name="drift-settings"),
    path("drift/payers/", WatchedPayersView.as_view(), name="drift-payers"),
    path("drift/active/", ActiveDriftViewSet.as_view({"get": "list"}), name="drift-active"),
    path("drift/risk/", RiskView.as_view(), name="drift-risk"),
    path("drift/risk/calibration/", CalibrationView.as_view(), name="drift-risk-calibration"),
]
