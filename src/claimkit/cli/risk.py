"""``claimkit risk``: how probable a denial of claims is that were not sent yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from claimkit.claims.intake import preview_claims
from claimkit.cli.files import read_options
from claimkit.cli.terminal import print_json, progress_for
from claimkit.drift.risk import calibrate, plan, score_claims
from claimkit.reports.document import as_plain
from claimkit.reports.terminal import render_calibration, render_risk
from claimkit.types import SystemClock, TenantKey

if TYPE_CHECKING:
    import argparse

    from claimkit.claims.model import ClaimBatch
    from claimkit.drift.risk import PlannedClaim
    from claimkit.plugins import Plugins
    from claimkit.stores import Store

__all__ = ["add_risk_arguments", "print_risk"]


def add_risk_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``claimkit risk``, besides files and store."""
    parser.add_argument(
        "planned", type=Path, metavar="CLAIMS", help="claims to score: CSV, 837 or FHIR"
    )
    parser.add_argument(
        "--calibration", action="store_true", help="also say how good such probabilities were"
    )


def print_risk(arguments: argparse.Namespace, plugins: Plugins, store: Store) -> int:
    """Print the risk of each claim of the planned file, and return the exit status.

    Raises:
        FileRefused: the file cannot be read as claims.
    """
    tenant, clock = TenantKey(arguments.tenant), SystemClock()
    planned: list[PlannedClaim] = []

    def take(batch: ClaimBatch) -> None:
        planned.extend(plan(batch.claims))

    with arguments.planned.open("rb") as stream:
        preview_claims(
            stream,
            name=str(arguments.planned),
            plugins=plugins,
            options=read_options(arguments, undecided=True),
            reader=arguments.reader,
            progress=progress_for(arguments),
            on_batch=take,
        )
    report = score_claims(planned, tenant=tenant, store=store, clock=clock)
    found = calibrate(tenant=tenant, store=store, clock=clock) if arguments.calibration else None
    if arguments.format == "json":
        for one in report.scores:
            print_json(as_plain(one))
        if arguments.calibration:
            print_json({"calibration": as_plain(found)})
        return 0
    print(render_risk(report))
    if arguments.calibration:
        print(render_calibration(found))
    return 0
