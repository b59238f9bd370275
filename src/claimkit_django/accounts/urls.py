"""Addresses of the accounts room in the API."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from claimkit_django.accounts.rest import TokenViewSet

router = SimpleRouter()
router.register("tokens", TokenViewSet, basename="token")

urlpatterns = router.urls
