"""Addresses of the audit room in the API."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from claimkit_django.audit.rest import AuditEntryViewSet

router = SimpleRouter()
router.register("audit", AuditEntryViewSet, basename="audit")

urlpatterns = router.urls
