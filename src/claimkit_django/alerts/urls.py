"""Addresses of the alerts room in the API."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from claimkit_django.alerts.rest import AlertViewSet, RecoveriesView
from claimkit_django.alerts.rest_digests import DigestViewSet
from claimkit_django.alerts.rest_routing import ChannelViewSet, RouteViewSet, SilenceViewSet
from claimkit_django.alerts.rest_rules import RuleViewSet

router = SimpleRouter()
router.register("alerts/channels", ChannelViewSet, basename="alert-channel")
router.register("alerts/routes", RouteViewSet, basename="alert-route")
router.register("alerts/silences", SilenceViewSet, basename="alert-silence")
router.register("alerts/rules", RuleViewSet, basename="alert-rule")
router.register("alerts/digests", DigestViewSet, basename="alert-digest")
router.register("alerts", AlertViewSet, basename="alert")

urlpatterns = [
    path("alerts/recoveries/", RecoveriesView.as_view(), name="alert-recoveries"),
    *router.urls,
]
