"""The middleware under test, whatever else the settings list."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _middleware(settings):
    settings.MIDDLEWARE = [
        "claimkit_django.http.request_ids.RequestIdMiddleware",
        "claimkit_django.http.problems.ProblemMiddleware",
        "claimkit_django.http.versions.ApiVersionMiddleware",
        "django.middleware.common.CommonMiddleware",
    ]
