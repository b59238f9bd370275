"""A database that a server in another thread works in too."""

from __future__ import annotations

import pytest

from claimkit_django.audit.checks import APPEND_ONLY
from claimkit_django.migrations_kit.append_only import allow_changes, refuse_changes


@pytest.fixture(autouse=True)
def _trail_can_be_emptied(transactional_db):
    """Let the test runner empty the append-only tables, for which SQLite knows nothing but DELETE."""
    refuse_changes(APPEND_ONLY, "default")
    yield
    allow_changes(APPEND_ONLY, "default")
