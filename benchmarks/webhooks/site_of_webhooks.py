"""A site with tenants and webhooks to a receiver on this machine, on the database that it names."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "imports"))

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from site_of_imports import database_of  # noqa: E402


def set_up(url: str) -> None:
    """Configure Django for the database behind ``url`` (sqlite:///path or postgresql://…)."""
    settings.configure(
        SECRET_KEY="only-for-benchmarks-" + "k" * 50,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": database_of(url)},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "claimkit_django.tenants",
            "claimkit_django.webhooks",
        ],
        CLAIMKIT={
            "WEBHOOKS": {
                "ALLOW_HTTP": True,
                "ALLOWED_NETWORKS": ["127.0.0.0/8"],
                "CONFIRM_ENDPOINTS": False,
            }
        },
        LOGGING_CONFIG=None,
    )
    django.setup()
