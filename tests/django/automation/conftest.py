"""The walls of the log of executions, which tests that empty tables of SQLite take down."""

from __future__ import annotations

import pytest
from django.db import connection

from claimkit_django.automation.models import Execution
from claimkit_django.migrations_kit.append_only import refuse_changes


@pytest.fixture
def walls(db):
    """Put them up, whatever ran before."""
    if connection.vendor == "sqlite":
        refuse_changes([Execution._meta.db_table], "default")
