"""Addresses of the webhooks room in the API."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from claimkit_django.webhooks.rest import EndpointViewSet
from claimkit_django.webhooks.rest_deliveries import DeliveryViewSet, EventTypesView

router = SimpleRouter()
router.register("webhooks/endpoints", EndpointViewSet, basename="webhook-endpoint")
router.register("webhooks/deliveries", DeliveryViewSet, basename="webhook-delivery")

urlpatterns = [
    *router.urls,
    path("webhooks/event-types/", EventTypesView.as_view(), name="webhook-event-type-list"),
]
