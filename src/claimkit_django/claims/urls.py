"""Addresses of the claims room in the API."""

from __future__ import annotations

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from claimkit_django.claims.rest import ClaimViewSet
from claimkit_django.claims.rest_intake import (
    FhirIntakeView,
    FhirStatusView,
    SignedFhirIntakeView,
)
from claimkit_django.claims.rest_mappings import MappingViewSet
from claimkit_django.claims.rest_templates import CsvTemplateViewSet
from claimkit_django.claims.rest_uploads import UploadViewSet

router = SimpleRouter()
router.register("uploads", UploadViewSet, basename="upload")
router.register("mappings", MappingViewSet, basename="mapping")
router.register("templates", CsvTemplateViewSet, basename="template")
router.register("claims", ClaimViewSet, basename="claim")

urlpatterns = [
    *router.urls,
    path("intake/fhir/", FhirIntakeView.as_view(), name="intake-fhir"),
    re_path(
        r"^intake/fhir/(?P<uid>upl_[0-9a-z]{1,28})/$",
        FhirStatusView.as_view(),
        name="intake-fhir-detail",
    ),
    path(
        "intake/fhir/signed/<slug:tenant>/<slug:sender>/",
        SignedFhirIntakeView.as_view(),
        name="intake-fhir-signed",
    ),
]
