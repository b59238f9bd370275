"""``manage.py claimkit_partitions``: show tables that are cut by month, and make the months ahead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from claimkit_django.migrations_kit.partitions import MONTHS_AHEAD, months_of
from claimkit_django.ops.months import add_all_months, partitioned_tables

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from claimkit_django.migrations_kit.partitions import Month

__all__ = ["Command"]


class Command(BaseCommand):
    """Make the months ahead of tables that are cut by month, and show their partitions."""

    help = (
        "Make the months ahead of tables that are cut by month, and show their partitions. "
        "Old months go by claimkit_retention."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--ahead", type=int, default=MONTHS_AHEAD, metavar="MONTHS",
            help="months after the running one (%(default)s)",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="only show what is there")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing, and show."""
        del args
        using = options["database"]
        if options["ahead"] < 1:
            raise CommandError("--ahead must be 1 or more")
        made: list[Month] = []
        if not options["dry_run"]:
            try:
                made = add_all_months(using, ahead=options["ahead"])
            except DatabaseError as error:
                raise CommandError(
                    f"a partition could not be made: {str(error).splitlines()[0]}; run this as the"
                    " role that owns the tables"
                ) from None
        for table in partitioned_tables(using):
            for month in months_of(table, using):
                self._show(table, month, options, is_new=month.table in {one.table for one in made})
        if not partitioned_tables(using) and options["format"] == "text":
            self.stdout.write("no table is cut by month")

    def _show(self, table: str, month: Month, options: dict[str, Any], *, is_new: bool) -> None:
        if options["format"] == "json":
            told = {
                "table": table,
                "partition": month.table,
                "first": month.first and month.first.isoformat(),
                "until": month.until and month.until.isoformat(),
                "rows": month.rows,
                "made": is_new,
            }
            self.stdout.write(json.dumps(told))
            return
        since = "the beginning" if month.first is None else f"{month.first}"
        span = "everything else" if month.is_default else f"{since} to before {month.until}"
        self.stdout.write(
            f"{month.table:40} {span:36} about {month.rows:,} rows{' (new)' if is_new else ''}"
        )
