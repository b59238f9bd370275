"""System checks of the audit room.

======================  =======================================================================
``claimkit_audit.E001``  a setting of the audit room cannot be used
``claimkit_audit.E002``  a table of the trail lost the triggers that refuse changes
======================  =======================================================================
"""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.db import connections

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config
from claimkit_django.migrations_kit.append_only import without_walls

__all__ = ["APPEND_ONLY", "register_checks"]

#: Tables of which no row is changed or deleted.
APPEND_ONLY = ("claimkit_audit_auditentry", "claimkit_audit_auditlink")
_RANGES = {"ipv4_bits": (0, 32), "ipv6_bits": (0, 128), "link_minutes": (1, 1_440)}


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_settings)
    checks.register(check_walls, checks.Tags.database)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 for each setting that is out of its range."""
    try:
        room = read_config().audit
    except ConfigError:
        return []  # claimkit_tenants.E001 says so.
    return [
        checks.Error(
            f'CLAIMKIT["AUDIT"]["{name.upper()}"] is {getattr(room, name)}.',
            hint=f"Set it to {least} at least and {most} at most.",
            id="claimkit_audit.E001",
        )
        for name, (least, most) in _RANGES.items()
        if not least <= getattr(room, name) <= most
    ]


def check_walls(databases: Any = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 for tables of the trail whose rows could be changed."""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        there = set(connections[alias].introspection.table_names())
        tables = [one for one in APPEND_ONLY if one in there]
        found.extend(
            checks.Error(
                f"Nothing refuses to change rows of {table} in the database {alias!r}.",
                hint="As owner of the tables, run: manage.py claimkit_audit_verify --repair-walls",
                id="claimkit_audit.E002",
            )
            for table in (without_walls(tables, alias) if tables else ())
        )
    return found
