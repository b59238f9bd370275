"""``manage.py claimkit_report``: make reports, one period or everything that is due."""

from __future__ import annotations

import datetime as dt
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from claimkit.errors import ClaimkitError
from claimkit.reports.periods import Period, PeriodKind, period_before, period_of
from claimkit.types import SystemClock, TenantKey
from claimkit_django.reports.bounces import MAX_BYTES, take_bounce
from claimkit_django.reports.models import ReportFile
from claimkit_django.reports.runs import ask_report, run_report
from claimkit_django.reports.schedules import make_due
from claimkit_django.tenants.commands import find_active_tenant
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from claimkit_django.reports.models import ReportRun

__all__ = ["Command"]


class Command(BaseCommand):
    """Make the report of a period, or all that schedules want; safe to repeat."""

    help = "Make the report of a period for a tenant, or with --due all that schedules want now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--tenant", metavar="KEY", help="make one report of this tenant")
        which.add_argument(
            "--due", action="store_true", help="make and mail what schedules want; for cron"
        )
        which.add_argument(
            "--bounced",
            action="store_true",
            help="note a mail that came back: the notice (RFC 3464) is read from standard input",
        )
        parser.add_argument(
            "--kind",
            choices=[one.value for one in PeriodKind],
            default=PeriodKind.MONTHLY.value,
            help="which period (monthly)",
        )
        parser.add_argument(
            "--first",
            type=dt.date.fromisoformat,
            metavar="DATE",
            help="a day of the period, first one of a custom period (the latest that has ended)",
        )
        parser.add_argument(
            "--last", type=dt.date.fromisoformat, metavar="DATE", help="end of a custom period"
        )
        parser.add_argument(
            "--as",
            dest="formats",
            nargs="+",
            default=["html"],
            metavar="NAME",
            help="formats, such as html pdf xlsx (html)",
        )
        parser.add_argument("--mail", nargs="*", default=[], metavar="ADDRESS", help="who gets it")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is asked for."""
        del args
        if options["due"]:
            self._due(options)
            return
        if options["bounced"]:
            self._bounced(options)
            return
        tenant = find_active_tenant(options["tenant"])
        using = options["database"]
        try:
            with enter(tenant):
                row, _ = ask_report(
                    _period(options),
                    formats=options["formats"],
                    recipients=options["mail"],
                    actor="command",
                    using=using,
                )
            made = run_report(TenantKey(tenant.key), row.uid, using=using)
        except ClaimkitError as error:
            raise CommandError(str(error)) from None
        if made is None:
            raise CommandError("another worker is making this report; look at it in a minute")
        with enter(tenant):
            self._tell(made, options["format"], using)

    def _bounced(self, options: dict[str, Any]) -> None:
        try:
            status = take_bounce(sys.stdin.buffer.read(MAX_BYTES), using=options["database"])
        except ClaimkitError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(json.dumps({"status": status}) if options["format"] == "json" else status)

    def _due(self, options: dict[str, Any]) -> None:
        done = make_due(using=options["database"])
        if options["format"] == "json":
            self.stdout.write(json.dumps(asdict(done)))
        else:
            self.stdout.write(
                f"{done.queued} due, {done.made} made, {done.failed} failed, {done.mailed} mailed"
            )
        if done.failed or done.broken:
            raise CommandError(
                f"{done.failed} reports failed and {done.broken} schedules cannot be kept; "
                "each says why, in the admin or over the API"
            )

    def _tell(self, row: ReportRun, form: str, using: str) -> None:
        files = list(ReportFile.objects.using(using).filter(run=row))
        if form == "json":
            told = {
                "uid": row.uid,
                "kind": row.kind,
                "first": row.first.isoformat(),
                "last": row.last.isoformat(),
                "headline": row.headline,
                "content_hash": row.content_hash,
                "files": {one.renderer: one.file.name for one in files},
            }
            self.stdout.write(json.dumps(told, ensure_ascii=False))
            return
        self.stdout.write(f"{row}: {row.headline}")
        for one in files:
            self.stdout.write(f"  {one.renderer:<10} {one.file.name} ({one.bytes:,} bytes)")


def _period(options: dict[str, Any]) -> Period:
    kind, first = PeriodKind(options["kind"]), options["first"]
    if kind is PeriodKind.CUSTOM:
        if first is None or options["last"] is None:
            raise CommandError("a custom period needs --first and --last")
        return Period(kind=kind, first=first, last=options["last"])
    if first is None:
        return period_before(period_of(kind, SystemClock().now().date()))
    return period_of(kind, first)
