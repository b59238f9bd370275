"""``claimkit report`` and ``claimkit export``: the report of a period, and rows, as files."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from claimkit.cli.terminal import print_json, progress_for
from claimkit.cli.values import as_date
from claimkit.drift.cube import DECISIONS
from claimkit.drift.power import watched_payers
from claimkit.errors import ConfigError, UnknownName
from claimkit.reports.comparison import read_earlier
from claimkit.reports.exports import FORMATS, choose_columns, write_export
from claimkit.reports.period import compose_period
from claimkit.reports.periods import Period, PeriodKind, period_before, period_of
from claimkit.reports.safe_harbor import coarsen, safe_columns
from claimkit.reports.sources import CLAIM_COLUMNS, FINDING_COLUMNS, claim_batches, finding_batch
from claimkit.tenants import Role
from claimkit.types import SystemClock, TenantKey, date_of, day_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from claimkit.config import Config
    from claimkit.plugins import Plugins
    from claimkit.reports.comparison import EarlierReport
    from claimkit.reports.document import Report
    from claimkit.stores import Store

__all__ = ["add_export_arguments", "add_report_arguments", "export_rows", "report_period"]

_SOURCES = {"claims": CLAIM_COLUMNS, "findings": FINDING_COLUMNS}
#: Days before a period that say how well each payer is watched.
_WATCHED_DAYS = 400


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``claimkit report``, besides files and store."""
    parser.add_argument(
        "--kind",
        choices=[one.value for one in PeriodKind],
        default=PeriodKind.MONTHLY.value,
        help="which period (monthly)",
    )
    parser.add_argument(
        "--first", type=as_date, metavar="DATE", help="a day of the period (the last decision)"
    )
    parser.add_argument("--last", type=as_date, metavar="DATE", help="end of a custom period")
    parser.add_argument("--to", type=Path, metavar="FILE", help="where to (standard output)")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FILE",
        help="an earlier report, written --as json, to stand beside",
    )
    parser.add_argument(
        "--as", dest="form", default="html", metavar="NAME", help="html, pdf, xlsx, … (html)"
    )


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``claimkit export``, besides files and store."""
    parser.add_argument(
        "--source",
        choices=sorted(_SOURCES),
        default="claims",
        help="(claims); alerts and the audit trail are in the database of a site: manage.py claimkit_export",
    )
    parser.add_argument("--as", dest="form", choices=sorted(FORMATS), default="csv", help="(csv)")
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="NAME", help="all but personal ones"
    )
    parser.add_argument(
        "--safe-harbor",
        action="store_true",
        help="leave out identifiers of 45 CFR 164.514(b)(2); years for days",
    )
    parser.add_argument("--to", type=Path, metavar="FILE", help="where to (standard output)")


def report_period(
    arguments: argparse.Namespace, config: Config, plugins: Plugins, store: Store
) -> None:
    """Write the report of a period from what the store holds.

    Raises:
        UnknownName: there is no such format.
        ConfigError, InvalidWindow: the days are no such period.
    """
    if arguments.form not in plugins.renderers:
        raise UnknownName.of("report format", arguments.form, plugins.renderers)
    report = _compose(arguments, config, store)
    with _target(arguments.to) as out:
        plugins.renderers[arguments.form].render(report, out)
    if arguments.to is None:
        return
    if arguments.format == "json":
        print_json({"headline": report.headline, "content_hash": report.content_hash})
    else:
        print(f"{report.headline}\nreport written to {arguments.to}")


def export_rows(arguments: argparse.Namespace, store: Store) -> None:
    """Write rows of the store.

    Raises:
        UnknownName: there is no such column.
        ConfigError: a package that the format needs is not installed, or a column may not leave.
    """
    tenant = TenantKey(arguments.tenant)
    # Whoever runs this holds the file of the store.
    columns = choose_columns(_SOURCES[arguments.source], wanted=arguments.columns, role=Role.OWNER)
    if arguments.safe_harbor:
        columns = safe_columns(columns, wanted=arguments.columns)
    names = [one.name for one in columns]
    if arguments.source == "claims":
        batches: Any = claim_batches(store.claims.scan(tenant), names)
        total = store.claims.totals(tenant).claims
    else:
        found = store.findings.all(tenant)
        batches, total = [finding_batch(found, names)], len(found)
    if arguments.safe_harbor:
        columns, batches = coarsen(columns, batches)
    with _target(arguments.to) as out:
        rows = write_export(
            arguments.form,
            columns,
            batches,
            out,
            total=total,
            progress=progress_for(arguments),
        )
    if arguments.to is None:
        return
    if arguments.format == "json":
        print_json({"source": arguments.source, "rows": rows, "file": str(arguments.to)})
    else:
        print(f"{rows:,} rows of {arguments.source} written to {arguments.to}")


def _compose(arguments: argparse.Namespace, config: Config, store: Store) -> Report:
    tenant = TenantKey(arguments.tenant)
    period, now = _period(arguments, store), SystemClock().now()
    before = period_before(period)
    since = min(day_of(before.first), day_of(period.last) - _WATCHED_DAYS)
    decisions = store.cube.read(tenant, DECISIONS, since=since, until=day_of(period.last) + 1)
    return compose_period(
        tenant_name=arguments.tenant,
        period=period,
        findings=store.findings.all(tenant),
        decisions=decisions,
        payers=watched_payers(decisions, as_of=min(period.last, now.date()), config=config.drift),
        generated_at=now,
        earlier=_earlier(arguments),
        today=now.date(),
        config=config.reports,
    )


def _earlier(arguments: argparse.Namespace) -> EarlierReport | None:
    path: Path | None = arguments.compare
    if path is None:
        return None
    try:
        return read_earlier(path.read_bytes(), tenant=arguments.tenant)
    except OSError as error:
        raise ConfigError(
            f"the earlier report {path} cannot be read: {error.strerror}",
            remedy="Name a file that was written with --as json",
        ) from None


def _period(arguments: argparse.Namespace, store: Store) -> Period:
    kind, first = PeriodKind(arguments.kind), arguments.first
    if kind is PeriodKind.CUSTOM:
        if first is None or arguments.last is None:
            raise ConfigError("a custom period needs --first and --last")
        return Period(kind=kind, first=first, last=arguments.last)
    if first is None:
        day = store.cube.read(TenantKey(arguments.tenant), DECISIONS).numbers[DECISIONS.day]
        first = date_of(int(day.max())) if len(day) else SystemClock().now().date()
    return period_of(kind, first)


@contextmanager
def _target(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file that is whole or not there, or standard output."""
    if path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
