"""Addresses of the drift room in the API."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from claimkit_django.drift.rest import ActiveDriftViewSet, FindingViewSet
from claimkit_django.drift.rest_backtests import BacktestViewSet

router = SimpleRouter()
router.register("findings", FindingViewSet, basename="finding")
router.register("drift/backtests", BacktestViewSet, basename="backtest")

urlpatterns = [
    *router.urls,
    path("drift/active/", ActiveDriftViewSet.as_view({"get": "list"}), name="drift-active"),
]
