"""``manage.py claimkit_backup``: make a backup, restore it elsewhere, and compare."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS

from claimkit_django.ops.backup import BackupFailed, make_backup, verify_backup

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]

#: Exit status where a backup was made or found and does not hold what it should.
_NOT_SOUND = 1
#: Where none could be made: nothing is known of what is there.
_NOT_MADE = 2


class Command(BaseCommand):
    """Make a backup, restore it into a scratch database, and compare rows, sums and chains."""

    help = (
        "Make a backup, restore it into a scratch database, and compare rows, checksums and the "
        "audit chains. The exit status is 0 when all of it was done and agrees, 1 when the backup "
        "is not sound, 2 when none could be made."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", type=Path, help="a new file; its manifest is FILE.json")
        parser.add_argument(
            "--verify-only", action="store_true", help="make none: verify the one in FILE"
        )
        parser.add_argument(
            "--tools", default="", metavar="FOLDER", help="where pg_dump and pg_restore are"
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make and verify; says so only when both were done."""
        del args
        path, told = options["file"], {"using": options["database"], "tools": options["tools"]}
        status = _NOT_MADE
        try:
            if not options["verify_only"]:
                make_backup(path, **told)
            status = _NOT_SOUND
            verified = verify_backup(path, **told)
        except (BackupFailed, OSError) as error:
            self._fail(error, options, status)
            return
        if options["format"] == "json":
            self.stdout.write(json.dumps({"verified": True, **asdict(verified)}))
            return
        self.stdout.write(
            f"verified: {verified.rows:,} rows in {verified.tables} tables, {verified.bytes:,} bytes,"
            f" restored in {verified.restore_seconds:.1f} s; taken at {verified.taken_at}"
        )

    def _fail(self, error: Exception, options: dict[str, Any], status: int) -> None:
        if options["format"] == "json":
            self.stdout.write(json.dumps({"verified": False, "error": str(error)}))
        self.stderr.write(f"NOT VERIFIED: {error}")
        sys.exit(status)
