"""``manage.py claimkit_backtest``: what past nights would have told."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from claimkit.drift.backtest import Knowledge
from claimkit.errors import ClaimkitError
from claimkit.reports.document import as_plain
from claimkit.reports.terminal import render_backtest
from claimkit.tenants import use_tenant
from claimkit.types import TenantKey
from claimkit_django.drift.backtests import run_backtest
from claimkit_django.drift.models import BacktestRun
from claimkit_django.tenants.commands import add_tenant_arguments, chosen_tenants
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]


class Command(BaseCommand):
    """Replay past nights; keeps the result, changes nothing else and tells nobody."""

    help = "Say what past nights would have told: alerts a month, which and when."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        add_tenant_arguments(parser)
        day = dt.date.fromisoformat
        parser.add_argument("--since", type=day, metavar="DATE", help="first night (a year ago)")
        parser.add_argument("--until", type=day, metavar="DATE", help="last night (last decision)")
        parser.add_argument(
            "--knowledge",
            choices=[one.value for one in Knowledge],
            default=Knowledge.NOW.value,
            help="what each night knows: all that is known now, or what was imported by then (now)",
        )
        parser.add_argument(
            "--every",
            type=int,
            default=7,
            metavar="DAYS",
            help="days between two runs with the knowledge of then (7)",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay each tenant's nights; one that fails does not stop the others."""
        del args
        if options["every"] < 1:
            raise CommandError("--every must be at least 1")
        if options["since"] and options["until"] and options["since"] > options["until"]:
            raise CommandError("--since is after --until")
        failed = 0
        for tenant in chosen_tenants(options):
            key = TenantKey(tenant.key)
            with use_tenant(key):
                run = BacktestRun.objects.create(
                    start=options["since"],
                    end=options["until"],
                    knowledge=options["knowledge"],
                    every_days=options["every"],
                    actor="command",
                )
            try:
                result = run_backtest(
                    key,
                    run.uid,
                    progress=progress_for(self.stderr, verbosity=options["verbosity"]),
                )
            except ClaimkitError as error:
                failed += 1
                self.stderr.write(self.style.ERROR(f"{tenant.key}: {error}"))
                continue
            if result is None:
                continue
            if options["format"] == "json":
                self.stdout.write(json.dumps(as_plain(result), ensure_ascii=False))
            else:
                self.stdout.write(render_backtest(result, name=tenant.name))
        if failed:
            raise CommandError(f"{failed} tenants could not be replayed")
