"""The command ``claimkit``: read claims files, keep them, and say which payer changed.

``watch`` reads files and reports drift, ``report`` writes the report of a period, ``export`` claims
or findings as a table, ``backtest`` says what past nights would have told, ``risk`` how probable a denial of claims
is that were not sent yet, ``import`` puts files into a store (or, with ``--dry-run``, only says what is in them), ``cube``
makes the cube of claims in Parquet by an engine, ``plugins`` shows what is loaded, ``plugin new`` makes one, ``doctor`` checks the installation, ``deliver`` tries a receiver of webhooks, ``listen`` is one, and ``verify``
looks at one that was kept.
Results go to standard output, progress and errors to standard error; every
command has ``--format json``. Exit status: 0 done, 1 something could not be done, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimkit import __version__
from claimkit.claims.intake import repair_csv
from claimkit.cli.cube import add_cube_arguments, build_from_files
from claimkit.cli.files import (
    Imported,
    add_contracts_argument,
    keeping_of,
    open_kept,
    report_rows,
    report_text,
)
from claimkit.cli.listen import (
    add_listen_arguments,
    add_verify_arguments,
    listen,
    verify_kept,
)
from claimkit.cli.plugins import show_plugins
from claimkit.cli.reports import (
    add_export_arguments,
    add_report_arguments,
    export_rows,
    report_period,
)
from claimkit.cli.risk import add_risk_arguments, print_risk
from claimkit.cli.scaffold import add_plugin_arguments, make_plugin
from claimkit.cli.terminal import fail, one_line, print_json, progress_for, wants_color, warn
from claimkit.cli.values import as_date, as_months, as_pair, as_template
from claimkit.cli.webhooks import add_deliver_arguments, deliver_one
from claimkit.config import Config
from claimkit.doctor import examine
from claimkit.drift.backtest import Knowledge, backtest
from claimkit.drift.watch import watch
from claimkit.errors import ClaimkitError, ConfigError
from claimkit.events import Bus
from claimkit.plugins import Plugins, load_plugins
from claimkit.reports.compose import Volume, compose, compose_backtest
from claimkit.reports.document import as_plain
from claimkit.reports.sections import FileSummary
from claimkit.reports.terminal import render_backtest, render_text
from claimkit.types import SystemClock, TenantKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from claimkit.claims.intake import ImportReport
    from claimkit.cli.files import Kept
    from claimkit.drift.backtest import Backtest
    from claimkit.reports.document import Report
    from claimkit.stores import Store

__all__ = ["main"]

#: Tenant of the command line where none is named.
_LOCAL = "local"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except BrokenPipeError:
        # The reader of our output went away (head, a closed pager): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ClaimkitError, OSError) as error:
        return fail(one_line(error))
    except KeyboardInterrupt:
        return fail("interrupted; what was committed stays")


# -- commands ---------------------------------------------------------------------------------


def _watch(arguments: argparse.Namespace) -> int:
    if not arguments.files and arguments.store == "memory:":
        arguments.refuse("name files, or a --store that has claims")
    config, plugins = _configure(arguments)
    with _kept(arguments, config, plugins) as kept:
        imported = Imported.read(arguments, plugins, kept, dry_run=False)
        if imported.refused and not imported.reports:
            return imported.tell_refused()
        clock = SystemClock()
        watched = watch(
            tenant=TenantKey(arguments.tenant),
            store=kept.store,
            detectors=plugins.detectors,
            config=config.drift,
            as_of=arguments.as_of,
            bus=Bus([*plugins.listeners.values()]),
            clock=clock,
            progress=progress_for(arguments),
        )
        report = compose(
            tenant_name=arguments.tenant,
            watched=watched,
            volume=_volume(kept.store, TenantKey(arguments.tenant)),
            files=[_file_summary(one) for one in imported.reports],
            backtest=_replay(arguments, config, plugins, kept.store)
            if arguments.backtest
            else None,
            generated_at=clock.now(),
            config=config.reports,
        )
    _write_reports(arguments, plugins, report)
    _print_report(arguments, plugins, report)
    imported.tell_rejected()
    return imported.tell_refused()


def _backtest(arguments: argparse.Namespace) -> int:
    config, plugins = _configure(arguments)
    with _kept(arguments, config, plugins) as kept:
        imported = Imported.read(arguments, plugins, kept, dry_run=False)
        if imported.refused and not imported.reports:
            return imported.tell_refused()
        result = _replay(arguments, config, plugins, kept.store)
    report = compose_backtest(
        tenant_name=arguments.tenant, result=result, generated_at=SystemClock().now()
    )
    _write_reports(arguments, plugins, report)
    if arguments.format == "json":
        print_json(as_plain(result))
    else:
        width = shutil.get_terminal_size().columns
        print(render_backtest(result, name=arguments.tenant, width=width, color=wants_color()))
    return imported.tell_refused()


def _replay(
    arguments: argparse.Namespace, config: Config, plugins: Plugins, store: Store
) -> Backtest:
    """Replay the nights that the arguments name; ``watch`` names only how many months."""
    drift = config.drift
    if arguments.backtest:
        drift = replace(drift, first_scan_days=round(arguments.backtest * 365 / 12))
    return backtest(
        tenant=TenantKey(arguments.tenant),
        store=store,
        detectors=plugins.detectors,
        config=drift,
        clock=SystemClock(),
        start=getattr(arguments, "since", None),
        end=getattr(arguments, "until", None) or getattr(arguments, "as_of", None),
        knowledge=Knowledge(getattr(arguments, "knowledge", Knowledge.NOW)),
        every_days=getattr(arguments, "every", 7),
        progress=progress_for(arguments),
    )


def _import(arguments: argparse.Namespace) -> int:
    config, plugins = _configure(arguments)
    if arguments.dry_run:
        imported = Imported.read(arguments, plugins, None, dry_run=True)
    else:
        with _kept(arguments, config, plugins) as kept:
            imported = Imported.read(arguments, plugins, kept, dry_run=False)
    if arguments.repair:
        with arguments.repair.open("wb") as out:
            repair_csv(imported.problems, out, header=imported.header)
    for report in imported.reports:
        if arguments.format == "json":
            for row in report_rows(report):
                print_json(row)
        else:
            print(report_text(report, dry_run=arguments.dry_run))
    return imported.tell_refused()


def _plugins(arguments: argparse.Namespace) -> int:
    config, disabled = _settings(arguments)
    return show_plugins(arguments, config.plugins, disabled)


def _doctor(arguments: argparse.Namespace) -> int:
    results = examine(store_url=arguments.store, disabled=_settings(arguments)[1])
    for one in results:
        if arguments.format == "json":
            print_json({"check": one.name, "ok": one.ok, "detail": one.detail})
        else:
            print(f"{'ok  ' if one.ok else 'FAIL'}  {one.name}: {one.detail}")
    return 0 if all(one.ok for one in results) else 1


def _report(arguments: argparse.Namespace) -> int:
    config, plugins = _configure(arguments)
    with _kept(arguments, config, plugins) as kept:
        imported = Imported.read(arguments, plugins, kept, dry_run=False)
        if imported.refused and not imported.reports:
            return imported.tell_refused()
        if imported.reports:
            # What was read now is looked at first: a report tells what was found.
            watch(
                tenant=TenantKey(arguments.tenant),
                store=kept.store,
                detectors=plugins.detectors,
                config=config.drift,
                as_of=None,
                bus=Bus([*plugins.listeners.values()]),
                clock=SystemClock(),
                progress=progress_for(arguments),
            )
        report_period(arguments, config, plugins, kept.store)
    return imported.tell_refused()


def _export(arguments: argparse.Namespace) -> int:
    config, plugins = _configure(arguments)
    with _kept(arguments, config, plugins) as kept:
        imported = Imported.read(arguments, plugins, kept, dry_run=False)
        if imported.refused and not imported.reports:
            return imported.tell_refused()
        export_rows(arguments, kept.store)
    return imported.tell_refused()


def _cube(arguments: argparse.Namespace) -> int:
    config, plugins = _configure(arguments)
    return build_from_files(arguments, config, plugins)


def _risk(arguments: argparse.Namespace) -> int:
    config, plugins = _configure(arguments)
    with _kept(arguments, config, plugins) as kept:
        imported = Imported.read(arguments, plugins, kept, dry_run=False)
        return max(imported.tell_refused(), print_risk(arguments, plugins, kept.store))


def _deliver(arguments: argparse.Namespace) -> int:
    config, plugins = _configure(arguments)
    return deliver_one(arguments, config.webhooks, plugins)


# -- what people see --------------------------------------------------------------------------


def _volume(store: Store, tenant: TenantKey) -> Volume:
    totals = store.claims.totals(tenant)
    return Volume(
        claims=totals.claims, pending=totals.pending, charge=totals.charge, paid=totals.paid
    )


def _file_summary(report: ImportReport) -> FileSummary:
    notices = Counter[str]()
    for tally in report.kinds.values():
        notices.update(tally.notices)
    return FileSummary(
        name=Path(report.name).name,
        claims=report.claims,
        rejected=report.rejected,
        notices=tuple(notices.most_common()),
    )


def _write_reports(arguments: argparse.Namespace, plugins: Plugins, report: Report) -> None:
    if arguments.html is None:
        return
    with arguments.html.open("wb") as out:
        plugins.renderers["html"].render(report, out)
    print(f"report written to {arguments.html}", file=sys.stderr)


def _print_report(arguments: argparse.Namespace, plugins: Plugins, report: Report) -> None:
    if arguments.format == "text":
        width = shutil.get_terminal_size().columns
        print(render_text(report, width=width, color=wants_color()))
        return
    sys.stdout.flush()
    plugins.renderers["json"].render(report, sys.stdout.buffer)


# -- arguments --------------------------------------------------------------------------------


def _kept(
    arguments: argparse.Namespace, config: Config, plugins: Plugins
) -> AbstractContextManager[Kept]:
    return open_kept(arguments.store, plugins, keeping_of(arguments, plugins, config.drift))


def _configure(arguments: argparse.Namespace) -> tuple[Config, Plugins]:
    config, disabled = _settings(arguments)
    plugins = load_plugins(disabled=disabled, required=config.plugins.required, strict=False)
    for one in plugins.failed:
        warn(one_line(one.error))
    return config, plugins


def _settings(arguments: argparse.Namespace) -> tuple[Config, set[str]]:
    """Return the settings, and the names of plugins that must not load."""
    settings: dict[str, dict[str, Any]] = {}
    if arguments.config:
        settings = _config_file(arguments.config)
    config = Config.from_mapping(settings)
    return config, {*config.plugins.disabled, *arguments.disable_plugin}


def _config_file(path: Path) -> dict[str, dict[str, Any]]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="claimkit",
        description="Tell early that a payer denies more, pays less or decides later.",
        epilog="Documentation: reference/commands. Each command has its own --help.",
    )
    parser.add_argument("--version", action="version", version=f"claimkit {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _watch_parser(_command(commands, "watch", _watch, "read claims files and report drift"))
    _backtest_parser(
        _command(commands, "backtest", _backtest, "say what past nights would have told")
    )
    _import_parser(_command(commands, "import", _import, "read claims files into a store"))
    _report_parser(_command(commands, "report", _report, "write the report of a period"))
    _export_parser(_command(commands, "export", _export, "write claims or findings as a table"))
    _risk_parser(_command(commands, "risk", _risk, "say how probable a denial of unsent claims is"))
    _command(commands, "plugins", _plugins, "show what is loaded, what it adds and what failed")
    add_plugin_arguments(_command(commands, "plugin", make_plugin, "make a plugin of your own"))
    add_cube_arguments(
        _command(commands, "cube", _cube, "make the cube of claims in Parquet, by an engine")
    )
    doctor = _command(commands, "doctor", _doctor, "check the installation")
    doctor.add_argument("--store", metavar="URL", default="memory:", help="store to try")
    add_deliver_arguments(
        _command(commands, "deliver", _deliver, "send one signed webhook to a receiver")
    )
    add_listen_arguments(
        _command(commands, "listen", listen, "receive webhooks, verify and print them")
    )
    add_verify_arguments(
        _command(commands, "verify", verify_kept, "verify a webhook that was kept")
    )
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    parser.set_defaults(run=run, refuse=parser.error)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how to print (text)"
    )
    parser.add_argument("--config", type=Path, metavar="TOML", help="settings, a table per room")
    parser.add_argument(
        "--disable-plugin",
        action="append",
        default=[],
        metavar="NAME",
        help="do not load this plugin",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _file_arguments(parser: argparse.ArgumentParser, *, store: str, files: str = "+") -> None:
    parser.add_argument("files", nargs=files, type=Path, metavar="FILE", help="CSV, 835 or 837")
    parser.add_argument(
        "--store",
        metavar="URL",
        default=store,
        help=f"where claims are kept: memory: or sqlite:///PATH ({store})",
    )
    parser.add_argument("--tenant", default=_LOCAL, metavar="KEY", help="whose claims (local)")
    parser.add_argument("--reader", default="", metavar="NAME", help="do not guess the format")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        type=as_pair,
        metavar="HEADER=FIELD",
        help="map a CSV column, such as 'Tot Chg=billed'",
    )
    parser.add_argument(
        "--date-order", choices=("mdy", "dmy"), default="", help="of ambiguous CSV dates"
    )
    parser.add_argument(
        "--template",
        action="append",
        default=[],
        type=as_template,
        metavar="JSON",
        help="how a known CSV export is read; recognized by its header",
    )
    parser.add_argument(
        "--null", action="append", default=[], metavar="TEXT", help="a CSV text for 'no value'"
    )
    add_contracts_argument(parser)


def _report_parser(parser: argparse.ArgumentParser) -> None:
    _file_arguments(parser, store="memory:", files="*")
    add_report_arguments(parser)


def _export_parser(parser: argparse.ArgumentParser) -> None:
    _file_arguments(parser, store="memory:", files="*")
    add_export_arguments(parser)


def _risk_parser(parser: argparse.ArgumentParser) -> None:
    add_risk_arguments(parser)
    _file_arguments(parser, store="memory:", files="*")


def _watch_parser(parser: argparse.ArgumentParser) -> None:
    _file_arguments(parser, store="memory:", files="*")
    parser.add_argument("--html", type=Path, metavar="PATH", help="also write a report with charts")
    parser.add_argument(
        "--as-of", type=as_date, metavar="DATE", help="look back from this day (last decision)"
    )
    parser.add_argument(
        "--backtest",
        type=as_months,
        metavar="MONTHS",
        help="also report what the past months would have told",
    )


def _backtest_parser(parser: argparse.ArgumentParser) -> None:
    _file_arguments(parser, store="memory:", files="*")
    parser.add_argument("--html", type=Path, metavar="PATH", help="also write a report with charts")
    parser.add_argument(
        "--months",
        dest="backtest",
        type=as_months,
        default=12,
        metavar="N",
        help="months to replay (12)",
    )
    parser.add_argument(
        "--since", type=as_date, metavar="DATE", help="first night, not --months ago"
    )
    parser.add_argument("--until", type=as_date, metavar="DATE", help="last night (last decision)")
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


def _import_parser(parser: argparse.ArgumentParser) -> None:
    _file_arguments(parser, store="sqlite:///claimkit.db")
    parser.add_argument("--dry-run", action="store_true", help="only say what is in the files")
    parser.add_argument(
        "--repair", type=Path, metavar="CSV", help="write the rejected rows with reasons"
    )
