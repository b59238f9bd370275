"""``manage.py claimkit_export``: write rows of a tenant to a file, or remove expired exports."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from claimkit.errors import ClaimkitError
from claimkit.reports.exports import FORMATS, write_export
from claimkit.reports.safe_harbor import coarsen, safe_columns
from claimkit.tenants import Role
from claimkit_django.reports.exports import Wanted, check_wanted, find_source, prune_exports
from claimkit_django.reports.orphans import remove_orphans
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.tenants.scope import enter
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Stream rows to a file or to standard output."""

    help = "Write claims, findings, alerts or what else rooms offer to a file; rows are streamed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--tenant", metavar="KEY", help="whose rows")
        which.add_argument(
            "--prune",
            action="store_true",
            help="remove exports of all tenants that have expired, and files that killed workers left",
        )
        parser.add_argument("--source", default="claims", help="what: claims, findings, … (claims)")
        parser.add_argument("--as", dest="form", choices=sorted(FORMATS), default="csv")
        parser.add_argument(
            "--columns", nargs="+", default=[], metavar="NAME", help="all but personal ones"
        )
        parser.add_argument(
            "--safe-harbor",
            action="store_true",
            help="leave out identifiers of 45 CFR 164.514(b)(2); years for days",
        )
        parser.add_argument("--since", type=dt.date.fromisoformat, metavar="DATE")
        parser.add_argument("--until", type=dt.date.fromisoformat, metavar="DATE")
        parser.add_argument(
            "--to", type=Path, metavar="FILE", help="where to; standard output if not given"
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the rows; a file that cannot be finished is not left behind."""
        del args
        if options["prune"]:
            now, using = timezone.now(), options["database"]
            removed, died = prune_exports(now=now, using=using)
            orphans = remove_orphans(now=now, using=using)
            told = {"removed": removed, "given_up": died, "orphans": orphans}
            self.stdout.write(
                json.dumps(told)
                if options["format"] == "json"
                else f"{removed} exports removed, {died} given up, {orphans} files without a row removed"
            )
            return
        tenant = find_active_tenant(options["tenant"])
        wanted = Wanted(
            source=options["source"],
            form=options["form"],
            columns=options["columns"],
            since=options["since"],
            until=options["until"],
        )
        try:
            with enter(tenant):
                rows = self._write(wanted, options)
        except (ClaimkitError, OSError) as error:
            raise CommandError(str(error)) from None
        # Standard output may hold the rows themselves.
        told_to = self.stdout if options["to"] else self.stderr
        if options["format"] == "json":
            told_to.write(json.dumps({"source": wanted.source, "rows": rows}))
        else:
            told_to.write(f"{rows:,} rows of {wanted.source} written")

    def _write(self, wanted: Wanted, options: dict[str, Any]) -> int:
        using = options["database"]
        # Whoever can run this can read the database.
        columns = check_wanted(wanted, Role.OWNER, using)
        source = find_source(wanted.source, using)
        if options["safe_harbor"]:
            columns = safe_columns(columns, wanted=wanted.columns)
        batches = source.batches([one.name for one in columns], wanted.since, wanted.until)
        if options["safe_harbor"]:
            columns, batches = coarsen(columns, batches)
        total = source.count(wanted.since, wanted.until)
        progress = progress_for(self.stderr, verbosity=options["verbosity"])
        if options["to"] is None:
            return write_export(
                wanted.form, columns, batches, sys.stdout.buffer, total=total, progress=progress
            )
        part: Path = options["to"].with_name(f"{options['to'].name}.part")
        try:
            with part.open("wb") as out:
                rows = write_export(
                    wanted.form, columns, batches, out, total=total, progress=progress
                )
            part.replace(options["to"])
        finally:
            part.unlink(missing_ok=True)
        return rows
