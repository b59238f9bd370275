"""The database that ``CLAIMKIT_TEST_DATABASE`` asks for: SQLite, or a throw-away PostgreSQL.

``postgres-rls`` is PostgreSQL with row-level security, worked in by a role that owns nothing.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

#: Whether the second wall stands.
ROW_LEVEL_SECURITY = os.environ.get("CLAIMKIT_TEST_DATABASE") == "postgres-rls"
#: The role of the application, which neither owns tables nor bypasses policies.
APP_ROLE = "claimkit_app"


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
    if wanted in ("postgres", "postgres-rls"):
        from tests.postgres import postgres_url

        entry = _from_url(postgres_url())
        if ROW_LEVEL_SECURITY and "CLAIMKIT_TEST_NAME" in os.environ:
            # A child of a test: its database is made, and the role is there.
            entry["OPTIONS"]["assume_role"] = APP_ROLE
        return entry
    raise ValueError(
        f"CLAIMKIT_TEST_DATABASE must be sqlite, postgres or postgres-rls, not {wanted!r}"
    )


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
