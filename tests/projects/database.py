"""The database that ``CLAIMKIT_TEST_DATABASE`` asks for: SQLite, or a throw-away PostgreSQL."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def database() -> dict[str, Any]:
    """Return the ``default`` entry of ``DATABASES``.

    ``CLAIMKIT_TEST_NAME`` lets a child process use the database of the test that started it.
    """
    wanted = os.environ.get("CLAIMKIT_TEST_DATABASE", "sqlite")
    if wanted == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("CLAIMKIT_TEST_NAME", ":memory:"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
            },
            # A file, so that several connections can be tried against each other.
            "TEST": {"NAME": str(Path(tempfile.gettempdir()) / f"claimkit-{os.getpid()}.sqlite3")},
        }
    if wanted == "postgres":
        from tests.postgres import postgres_url

        return _from_url(postgres_url())
    raise ValueError(f"CLAIMKIT_TEST_DATABASE must be sqlite or postgres, not {wanted!r}")


def _from_url(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("CLAIMKIT_TEST_NAME") or parts.path.lstrip("/") or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": query,
    }
