"""``manage.py claimkit_mapping``: a tenant's own names for payers and procedure groups."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from claimkit.errors import MappingRefused
from claimkit.tenants import use_tenant
from claimkit.types import TenantKey
from claimkit_django.claims.mapping_table import rules_of
from claimkit_django.claims.mappings import (
    apply_version,
    keep_rules,
    payer_suggestions,
    preview_rules,
    restore_version,
    rules_in_force,
)
from claimkit_django.claims.models import MappingVersion
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from claimkit.claims.mapping import MappingRule

__all__ = ["Command"]

_COLUMNS = ("subject", "match", "value", "last", "target")


class Command(BaseCommand):
    """Show, try, apply and take back the rules of a tenant."""

    help = (
        "Show the rules in force as CSV, put those of a CSV file in force (--dry-run: only say "
        "what they would rename), bring a version back, or suggest rules."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--tenant", metavar="KEY", help="whose rules")
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--apply", type=Path, metavar="FILE", help=f"CSV with columns {', '.join(_COLUMNS)}"
        )
        what.add_argument(
            "--restore", type=int, metavar="NUMBER", help="bring a version back; 0 is no rules"
        )
        what.add_argument("--suggest", action="store_true", help="name payers that look alike")
        parser.add_argument("--note", default="", help="why, for colleagues")
        parser.add_argument("--dry-run", action="store_true", help="only say what would change")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do the one thing that was asked for; show the rules in force if nothing was."""
        del args
        tenant = TenantKey(find_active_tenant(options["tenant"]).key)
        with use_tenant(tenant):
            try:
                self._handle(tenant, options)
            except MappingRefused as error:
                raise CommandError(str(error)) from None
            except MappingVersion.DoesNotExist:
                raise CommandError("there is no such version that was in force") from None

    def _handle(self, tenant: TenantKey, options: dict[str, Any]) -> None:
        if options["suggest"]:
            for one in payer_suggestions(tenant):
                targets = ", ".join(one.targets)
                self.stdout.write(f"{one.value} ({one.statements:,}): {targets}")
        elif options["apply"] is not None:
            rules = _read(options["apply"])
            if options["dry_run"]:
                self._preview(tenant, rules)
                return
            self._apply(tenant, keep_rules(rules, note=options["note"], actor="command"), options)
        elif options["restore"] is not None:
            if options["dry_run"]:
                raise CommandError("--dry-run goes with --apply")
            self._apply(tenant, restore_version(options["restore"], actor="command"), options)
        else:
            self._show()

    def _show(self) -> None:
        version = rules_in_force()
        rows = csv.DictWriter(self.stdout, _COLUMNS, restval="", lineterminator="\n")
        rows.writeheader()
        rows.writerows(version.rules if version else [])

    def _preview(self, tenant: TenantKey, rules: list[MappingRule]) -> None:
        for one in preview_rules(tenant, rules):
            self.stdout.write(
                f"{one.subject}: {one.value}: {one.before} becomes {one.after} "
                f"({one.statements:,} statements)"
            )

    def _apply(self, tenant: TenantKey, kept: MappingVersion, options: dict[str, Any]) -> None:
        version = apply_version(
            tenant, kept.uid, progress=progress_for(self.stderr, verbosity=options["verbosity"])
        )
        if version.status != MappingVersion.Status.APPLIED:
            raise CommandError(version.error_message or "the version is not in force")
        self.stdout.write(
            f"{tenant}: version {version.number} is in force; {version.claims_changed:,} claims "
            f"and {version.statements_changed:,} statements were renamed"
        )


def _read(path: Path) -> list[MappingRule]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text)
            if not set(rows.fieldnames or ()) <= set(_COLUMNS):
                raise MappingRefused(f"the columns must be {', '.join(_COLUMNS)}")
            return rules_of([{name: row[name] or "" for name in row} for row in rows])
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
