"""A site that adopted everything."""

from __future__ import annotations

from tests.projects.core_rooms import *  # noqa: F403
from tests.projects.core_rooms import INSTALLED_APPS

ROOT_URLCONF = "tests.projects.urls"
INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "claimkit_django.accounts",
    "claimkit_django.ops",
    "claimkit_django.audit",
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
        "claimkit_django.accounts.authentication.TokenAuthentication",
    ]
}
