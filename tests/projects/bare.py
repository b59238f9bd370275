"""A site that adopted tenants, claims and drift and has neither DRF nor Celery installed."""

from __future__ import annotations

import os

import django

from tests.projects.database import ROW_LEVEL_SECURITY, database

SECRET_KEY = "only-for-tests-" + "k" * 50
DEBUG = False
ALLOWED_HOSTS = ["testserver"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.projects.urls_bare"
DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
_MEDIA = os.environ.get("CLAIMKIT_TEST_MEDIA", "")
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": _MEDIA},
    }
    if _MEDIA
    else {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_URL = "static/"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "claimkit_django.tenants",
    "claimkit_django.claims",
    "claimkit_django.drift",
    "claimkit_django.webhooks",
    "claimkit_django.alerts",
    "claimkit_django.authorizations",
    "claimkit_django.reports",
    "claimkit_django.automation",
    "claimkit_django.dashboard",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "claimkit_django.tenants.middleware.TenantMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
if django.VERSION >= (6, 1):
    # In the place of EMAIL_BACKEND.
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
CLAIMKIT: dict[str, dict[str, object]] = {}
if ROW_LEVEL_SECURITY:
    CLAIMKIT["TENANTS"] = {"ROW_LEVEL_SECURITY": True}
if "CLAIMKIT_TEST_BATCH_SIZE" in os.environ:
    CLAIMKIT["CLAIMS"] = {"BATCH_SIZE": int(os.environ["CLAIMKIT_TEST_BATCH_SIZE"])}
if "CLAIMKIT_TEST_WEBHOOKS" in os.environ:
    # A worker in another process, whose receivers are on this machine and fail quickly.
    CLAIMKIT["WEBHOOKS"] = {
        "ALLOW_HTTP": True,
        "ALLOWED_NETWORKS": ["127.0.0.0/8"],
        "CONFIRM_ENDPOINTS": False,
        "ATTEMPT_SECONDS": 1.0,
        "CONNECT_SECONDS": 1.0,
        "RETRY_WAITS": ["1s"] * 30,
        "CIRCUIT_FAILURES": 1_000_000,
        "POLL_SECONDS": 0.05,
        "BATCH_SIZE": int(os.environ["CLAIMKIT_TEST_WEBHOOKS"]),
        "THREADS": 2,
    }
