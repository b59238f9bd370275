"""A site with tenants, claims and drift for one measurement, on the database that it names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import django
from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TENANT = "northside"


def set_up(url: str, media: Path) -> None:
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
            "claimkit_django.claims",
            "claimkit_django.drift",
        ],
        MEDIA_ROOT=str(media),
        LOGGING_CONFIG=None,
    )
    django.setup()


def database_of(url: str) -> dict[str, Any]:
    """Return the settings of the database behind a URL."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": parts.path,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "",
        "HOST": query.get("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
    }


@contextmanager
def tenant() -> Iterator[Any]:
    """Make the tables and the tenant where they are not there yet; yield the tenant."""
    from django.core.management import call_command

    from claimkit.tenants import use_tenant
    from claimkit_django.tenants.models import Tenant

    call_command("migrate", verbosity=0)
    row, _ = Tenant.objects.get_or_create(key=TENANT, defaults={"name": "Northside"})
    with use_tenant(row.key):
        yield row
