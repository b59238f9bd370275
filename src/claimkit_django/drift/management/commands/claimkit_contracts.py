"""``manage.py claimkit_contracts``: what payers owe by contract."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from claimkit.drift.contracts import COLUMNS, contract_rows
from claimkit.errors import FileRefused
from claimkit.types import TenantKey
from claimkit_django.drift.runs import run_rebuild
from claimkit_django.drift.tenant_settings import import_contracts, rates_of
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Show a tenant's contract rates as CSV, or import those of a file."""

    help = (
        "Show the rates of a tenant's contracts as CSV, or put those of a CSV file in the place of "
        "those that its payers had, and make the cube again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", nargs="?", type=Path, help=f"CSV with {', '.join(COLUMNS)}")
        parser.add_argument("--tenant", metavar="KEY", help="whose contracts")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the file that was named; show the rates in force if none was."""
        del args
        tenant = TenantKey(find_active_tenant(options["tenant"]).key)
        if options["file"] is None:
            self._show(tenant, is_json=options["format"] == "json")
            return
        try:
            text = options["file"].read_text(encoding="utf-8-sig")
            found = import_contracts(tenant, text)
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from None
        except (FileRefused, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from None
        claims = run_rebuild(
            tenant, progress=progress_for(self.stderr, verbosity=options["verbosity"])
        )
        payers = sorted({one.payer for one in found.rates})
        if options["format"] == "json":
            problems = [
                {"line": one.line, "field": one.field, "message": one.message, "remedy": one.remedy}
                for one in found.problems
            ]
            told = {"rates": len(found.rates), "payers": payers, "problems": problems}
            self.stdout.write(json.dumps(told))
            return
        for one in found.problems:
            self.stderr.write(f"line {one.line}, {one.field}: {one.message}. {one.remedy}")
        self.stdout.write(
            f"{tenant}: {len(found.rates):,} rates of {len(payers):,} payers are in force; "
            f"cube rebuilt from {claims:,} claims"
        )

    def _show(self, tenant: TenantKey, *, is_json: bool) -> None:
        rows = contract_rows(rates_of(tenant))
        if is_json:
            for row in rows:
                self.stdout.write(json.dumps(row))
            return
        out = csv.DictWriter(self.stdout, COLUMNS, lineterminator="\n")
        out.writeheader()
        out.writerows(rows)
