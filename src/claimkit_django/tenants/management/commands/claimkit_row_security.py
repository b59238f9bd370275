"""``manage.py claimkit_row_security``: show, enable or disable policies on tables of tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections

from claimkit_django.conf import config
from claimkit_django.tenants.policies import disable, enable, inventory

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Show, enable or disable row-level security on tables of tenants (PostgreSQL)."""

    help = "Show, enable or disable row-level security on tables of tenants (PostgreSQL)."
    # Its purpose is to mend what the checks refuse.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the act and the database."""
        parser.add_argument("act", choices=("status", "enable", "disable"))
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked."""
        del args
        using = options["database"]
        if connections[using].vendor != "postgresql":
            raise CommandError(f"{using} is not a PostgreSQL database")
        if options["act"] == "status":
            self._show(using)
            return
        if options["act"] == "enable" and not config().tenants.row_level_security:
            raise CommandError(
                'set CLAIMKIT["TENANTS"]["ROW_LEVEL_SECURITY"] = True first, and restart: processes'
                " that do not tell their tenant would see no rows"
            )
        changed = enable(using) if options["act"] == "enable" else disable(using)
        for table in changed:
            self.stdout.write(f"{options['act']}d on {table}")
        missing = [one for one in inventory(using) if not one.has_policy]
        if missing and options["act"] == "enable":
            names = ", ".join(one.model for one in missing)
            raise CommandError(f"no policy: {names}; add AddTenantPolicy to their migrations")

    def _show(self, using: str) -> None:
        for one in inventory(using):
            state = "holds" if one.holds else "open"
            notes = [
                note
                for note, told in (
                    ("no policy", not one.has_policy),
                    ("not enabled", not one.enabled),
                    ("not forced", not one.forced),
                    (f"also lets pass: {', '.join(one.others)}", bool(one.others)),
                )
                if told
            ]
            self.stdout.write(f"{state:5}  {one.model}  {'; '.join(notes)}".rstrip())
