"""``manage.py claimkit_watch_platform``: look at the site itself and tell operators, for cron."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from claimkit.errors import did_you_mean
from claimkit.ops.platform import RULES
from claimkit_django.ops.platform import watch

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from claimkit_django.ops.platform import Watched

__all__ = ["Command"]


class Command(BaseCommand):
    """Look once; a fault of the watch itself shows as a metric, and the exit status stays 0."""

    help = (
        "Look at error rate, latency, connections, tasks, deliveries and the audit trail, and "
        "tell the channels of OPS.ALERT_CHANNELS what is new. The exit status is 0 also where "
        "the watch itself fails: claimkit_platform_faults shows that."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--dry-run", action="store_true", help="change nothing, tell nobody")
        parser.add_argument(
            "--rule",
            action="append",
            default=[],
            metavar="NAME",
            help=f"only this one, may be repeated: {', '.join(RULES)}",
        )
        parser.add_argument(
            "--verbose", action="store_true", help="also list rules that do not fire"
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Watch."""
        del args
        for name in options["rule"]:
            if name not in RULES:
                raise CommandError(f"there is no rule {name!r}{did_you_mean(name, RULES)}")
        found = watch(using=options["database"], only=options["rule"], is_dry=options["dry_run"])
        if options["format"] == "json":
            self.stdout.write(json.dumps(_as_json(found)))
            return
        if found.fault:
            self.stderr.write(f"the site could not be watched: {found.fault}; see the log")
            return
        for one in found.judged:
            if one.is_firing or options["verbose"]:
                word = "firing" if one.is_firing else "unknown" if one.figure is None else "ok"
                self.stdout.write(f"{word:8} {one.rule.name}: {one.summary}")
        self.stdout.write(
            f"{found.told} told, {found.retried} to be tried again, {found.dead} given up"
        )


def _as_json(found: Watched) -> dict[str, Any]:
    return {
        "rules": [
            {
                "rule": one.rule.name,
                "is_firing": one.is_firing,
                "figure": one.figure,
                "threshold": one.rule.threshold,
                "unit": one.rule.unit,
                "severity": one.rule.severity.value,
            }
            for one in found.judged
        ],
        "told": found.told,
        "retried": found.retried,
        "dead": found.dead,
        "fault": found.fault,
    }
