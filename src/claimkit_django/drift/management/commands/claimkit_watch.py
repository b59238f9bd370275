"""``manage.py claimkit_watch``: look for payers that changed."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from claimkit.errors import ClaimkitError
from claimkit.types import TenantKey, from_cents
from claimkit_django.drift.runs import dead_runs, run_watch
from claimkit_django.tenants.commands import add_tenant_arguments, chosen_tenants
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from claimkit.drift.findings import Finding
    from claimkit.drift.watch import WatchReport

__all__ = ["Command"]

#: A run whose heart has not beaten for so long is dead.
_SILENCE = dt.timedelta(hours=1)


class Command(BaseCommand):
    """Look for payers that changed; running again changes nothing."""

    help = "Look for payers that deny more, pay less or decide later; safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        add_tenant_arguments(parser)
        parser.add_argument(
            "--as-of",
            type=dt.date.fromisoformat,
            metavar="DATE",
            help="look back from this day (the last decision)",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Watch each tenant; one that fails does not stop the others."""
        del args
        dead_runs(silent_since=timezone.now() - _SILENCE)
        failed = 0
        for tenant in chosen_tenants(options):
            try:
                report = run_watch(
                    TenantKey(tenant.key),
                    as_of=options["as_of"],
                    actor="command",
                    progress=progress_for(self.stderr, verbosity=options["verbosity"]),
                )
            except ClaimkitError as error:
                failed += 1
                self.stderr.write(self.style.ERROR(f"{tenant.key}: {error}"))
                continue
            if options["format"] == "json":
                self.stdout.write(json.dumps(_as_json(report), ensure_ascii=False))
            else:
                self._print(tenant.name, report)
        if failed:
            raise CommandError(f"{failed} tenants could not be watched")

    def _print(self, name: str, report: WatchReport) -> None:
        recorded = report.recorded
        self.stdout.write(
            f"{name}, as of {report.as_of}: {len(recorded.new)} new, {len(recorded.worse)} worse, "
            f"{len(recorded.same)} the same, {len(recorded.resolved)} resolved ({report.state})"
        )
        for one in report.findings:
            money = from_cents(one.dollars_per_month)
            self.stdout.write(
                f"  {one.tier} {one.severity}  ${money:,.2f} a month  since {one.onset}: {one.summary}"
            )


def _as_json(report: WatchReport) -> dict[str, Any]:
    recorded = report.recorded
    return {
        "tenant": report.tenant,
        "as_of": report.as_of.isoformat(),
        "state": report.state.value,
        "new": len(recorded.new),
        "worse": len(recorded.worse),
        "same": len(recorded.same),
        "resolved": len(recorded.resolved),
        "cells": report.cells,
        "findings": [_finding_json(one) for one in report.findings],
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "fingerprint": finding.fingerprint,
        "signal": finding.signal.value,
        "tier": finding.tier.value,
        "severity": finding.severity.value,
        "payer": finding.segment.payer,
        "procedure_groups": list(finding.segment.procedure_groups),
        "category": finding.segment.category,
        "onset": finding.onset.isoformat(),
        "dollars_per_month": str(from_cents(finding.dollars_per_month)),
        "summary": finding.summary,
    }
