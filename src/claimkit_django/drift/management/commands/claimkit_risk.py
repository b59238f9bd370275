"""``manage.py claimkit_risk``: how probable a denial of claims is that were not sent yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from claimkit.claims.intake import preview_claims
from claimkit.claims.readers import ReadOptions
from claimkit.drift.risk import calibrate
from claimkit.errors import ClaimkitError
from claimkit.reports.document import as_plain
from claimkit.reports.terminal import render_calibration, render_risk
from claimkit.types import SystemClock, TenantKey
from claimkit_django.drift.risk import map_names, run_risk, tell_rules
from claimkit_django.runtime import open_store, plugins
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.tenants.scope import enter
from claimkit_django.terminal import progress_for

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from claimkit.claims.model import ClaimBatch
    from claimkit.drift.risk import PlannedClaim

__all__ = ["Command"]


class Command(BaseCommand):
    """Score a file of planned claims; keeps nothing of it."""

    help = "Say how probable a denial of unsent claims is, from the tenant's own decisions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("planned", type=Path, metavar="CLAIMS", help="CSV, 837 or FHIR")
        parser.add_argument("--tenant", metavar="KEY", required=True, help="whose decisions")
        parser.add_argument(
            "--calibration", action="store_true", help="also say how good such probabilities were"
        )
        parser.add_argument(
            "--tell-rules", action="store_true", help="let rules of automation act on the scores"
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, score, print."""
        del args
        row = find_active_tenant(options["tenant"])
        tenant = TenantKey(row.key)
        with enter(row):
            try:
                report = run_risk(self._planned(row.pk, options), tenant=tenant)
            except (ClaimkitError, OSError) as error:
                raise CommandError(str(error)) from None
            if options["tell_rules"]:
                tell_rules(report)
            found = (
                calibrate(tenant=tenant, store=open_store(), clock=SystemClock())
                if options["calibration"]
                else None
            )
        if options["format"] == "json":
            told = {"scores": [as_plain(one) for one in report.scores]}
            if options["calibration"]:
                told["calibration"] = as_plain(found)
            self.stdout.write(json.dumps(told, ensure_ascii=False))
            return
        self.stdout.write(render_risk(report))
        if options["calibration"]:
            self.stdout.write(render_calibration(found))

    def _planned(self, tenant_id: int, options: dict[str, Any]) -> list[PlannedClaim]:
        planned: list[PlannedClaim] = []

        def take(batch: ClaimBatch) -> None:
            planned.extend(map_names(batch.claims, tenant_id=tenant_id, using=DEFAULT_DB_ALIAS))

        path = options["planned"]
        with path.open("rb") as stream:
            preview_claims(
                stream,
                name=path.name,
                plugins=plugins(),
                options=ReadOptions(undecided=True),
                progress=progress_for(self.stderr, verbosity=options["verbosity"]),
                on_batch=take,
            )
        return planned
