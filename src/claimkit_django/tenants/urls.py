"""Addresses of the tenants room in the API."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from claimkit_django.tenants.rest import TenantViewSet
from claimkit_django.tenants.rest_members import MembershipViewSet

router = SimpleRouter()
router.register("tenants", TenantViewSet, basename="tenant")
router.register("memberships", MembershipViewSet, basename="membership")

urlpatterns = router.urls
