"""``manage.py claimkit_prune_webhooks``: delete what is no longer needed of webhooks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from claimkit.errors import ConfigError
from claimkit_django.terminal import progress_for
from claimkit_django.webhooks.retention import prune

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Delete ended deliveries, their attempts and bodies, once they are old enough."""

    help = "Delete old deliveries of webhooks with their attempts; what is still due stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--dry-run", action="store_true", help="count, and delete nothing")
        parser.add_argument(
            "--keep-days", type=int, metavar="DAYS", help="instead of WEBHOOKS.KEEP_DAYS"
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete in batches; may be interrupted and run again."""
        del args
        try:
            pruned = prune(
                using=options["database"],
                keep_days=options["keep_days"],
                is_dry_run=options["dry_run"],
                progress=progress_for(self.stderr, verbosity=options["verbosity"]),
            )
        except ConfigError as error:
            raise CommandError(str(error)) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], **asdict(pruned)}))
            return
        counts = ", ".join(f"{count:,} {name}" for name, count in asdict(pruned).items())
        self.stdout.write(f"{counts} {'would be deleted' if options['dry_run'] else 'deleted'}")
