"""Addresses of the claims room in the API."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from claimkit_django.claims.rest import ClaimViewSet
from claimkit_django.claims.rest_mappings import MappingViewSet
from claimkit_django.claims.rest_templates import CsvTemplateViewSet
from claimkit_django.claims.rest_uploads import UploadViewSet

router = SimpleRouter()
router.register("uploads", UploadViewSet, basename="upload")
router.register("mappings", MappingViewSet, basename="mapping")
router.register("templates", CsvTemplateViewSet, basename="template")
router.register("claims", ClaimViewSet, basename="claim")

urlpatterns = router.urls
