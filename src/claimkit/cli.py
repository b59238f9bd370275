"""The command ``claimkit``: read claims files, keep them, and say which payer changed.

``watch`` reads files and reports drift, ``import`` puts files into a store (or, with
``--dry-run``, only says what is in them), ``plugins`` shows what is loaded, ``doctor`` checks
the installation. Results go to standard output, progress and errors to standard error; every
command has ``--format json``. Exit status: 0 done, 1 something could not be done, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import secrets
import shutil
import sys
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimkit import __version__
from claimkit.claims.intake import ImportReport, import_claims, preview_claims, repair_csv
from claimkit.claims.readers import ReadOptions
from claimkit.config import Config
from claimkit.doctor import examine
from claimkit.drift.watch import CubeUpkeep, watch
from claimkit.errors import ClaimkitError, ConfigError
from claimkit.events import Bus
from claimkit.plugins import Plugins, load_plugins
from claimkit.reports.compose import FileSummary, Volume, compose
from claimkit.reports.terminal import render_text
from claimkit.types import SystemClock, TenantKey, from_cents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from claimkit.claims.model import RowProblem
    from claimkit.reports.document import Report
    from claimkit.stores import Store
    from claimkit.types import Progress

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
        return _fail(_one_line(error))
    except KeyboardInterrupt:
        return _fail("interrupted; what was committed stays")


# -- commands ---------------------------------------------------------------------------------


def _watch(arguments: argparse.Namespace) -> int:
    config, plugins = _configure(arguments)
    with _store(arguments.store, plugins) as kept:
        imported = _Imported.read(arguments, plugins, kept, dry_run=False)
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
            progress=_progress(arguments),
        )
        report = compose(
            tenant_name=arguments.tenant,
            watched=watched,
            volume=_volume(kept.store, TenantKey(arguments.tenant)),
            files=[_file_summary(one) for one in imported.reports],
            generated_at=clock.now(),
            config=config.reports,
        )
    _write_reports(arguments, plugins, report)
    _print_report(arguments, plugins, report)
    return imported.tell_refused()


def _import(arguments: argparse.Namespace) -> int:
    _, plugins = _configure(arguments)
    if arguments.dry_run:
        imported = _Imported.read(arguments, plugins, None, dry_run=True)
    else:
        with _store(arguments.store, plugins) as kept:
            imported = _Imported.read(arguments, plugins, kept, dry_run=False)
    if arguments.repair:
        with arguments.repair.open("wb") as out:
            repair_csv(imported.problems, out, header=imported.header)
    for report in imported.reports:
        if arguments.format == "json":
            for row in _report_rows(report):
                _print_json(row)
        else:
            print(_report_text(report, dry_run=arguments.dry_run))
    return imported.tell_refused()


def _plugins(arguments: argparse.Namespace) -> int:
    _, plugins = _configure(arguments)
    if arguments.format == "json":
        for one in plugins.loaded:
            adds = {kind: list(names) for kind, names in one.adds.items()}
            _print_json({"plugin": one.name, "distribution": one.distribution, "adds": adds})
        return 0
    for one in plugins.loaded:
        print(f"{one.name}  ({one.distribution})")
        for kind, names in one.adds.items():
            print(f"  {kind:<12} {', '.join(names)}")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    results = examine(store_url=arguments.store)
    for one in results:
        if arguments.format == "json":
            _print_json({"check": one.name, "ok": one.ok, "detail": one.detail})
        else:
            print(f"{'ok  ' if one.ok else 'FAIL'}  {one.name}: {one.detail}")
    return 0 if all(one.ok for one in results) else 1


# -- files ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Kept:
    """A store that is open, with the key for the patient tokens in it."""

    store: Store
    patient_key: bytes


class _Imported:
    """What became of the files named on the command line."""

    def __init__(self) -> None:
        self.reports: list[ImportReport] = []
        self.refused: list[tuple[str, str]] = []
        self.problems: list[RowProblem] = []

    @property
    def header(self) -> tuple[str, ...]:
        """Columns of the rejected rows, where all files have the same."""
        headers = {one.header for one in self.reports if one.problems}
        return headers.pop() if len(headers) == 1 else ()

    @classmethod
    def read(
        cls,
        arguments: argparse.Namespace,
        plugins: Plugins,
        kept: _Kept | None,
        *,
        dry_run: bool,
    ) -> _Imported:
        """Read every file; one that is refused does not keep the others from being read."""
        done = cls()
        progress = _progress(arguments)
        for path in arguments.files:
            try:
                done.reports.append(
                    done._preview(path, arguments, plugins, progress)
                    if dry_run or kept is None
                    else done._import(path, arguments, plugins, kept, progress)
                )
            except (ClaimkitError, OSError) as error:
                done.refused.append((str(path), _one_line(error)))
                if arguments.format == "json":
                    _print_json({"file": str(path), "kind": None, "error": _error_row(error)})
        return done

    def tell_refused(self) -> int:
        """Print one line per refused file and return the exit status."""
        for path, line in self.refused:
            _fail(f"{path}: {line}")
        return 1 if self.refused else 0

    def _preview(
        self,
        path: Path,
        arguments: argparse.Namespace,
        plugins: Plugins,
        progress: Progress | None,
    ) -> ImportReport:
        with path.open("rb") as stream:
            return preview_claims(
                stream,
                name=str(path),
                plugins=plugins,
                options=_read_options(arguments),
                reader=arguments.reader,
                progress=progress,
                on_problem=self.problems.append,
            )

    def _import(
        self,
        path: Path,
        arguments: argparse.Namespace,
        plugins: Plugins,
        kept: _Kept,
        progress: Progress | None,
    ) -> ImportReport:
        with path.open("rb") as stream:
            return import_claims(
                stream,
                name=str(path),
                tenant=TenantKey(arguments.tenant),
                store=kept.store,
                plugins=plugins,
                bus=Bus([CubeUpkeep(kept.store.cube), *plugins.listeners.values()]),
                clock=SystemClock(),
                patient_key=kept.patient_key,
                options=_read_options(arguments),
                reader=arguments.reader,
                progress=progress,
                on_problem=self.problems.append,
            )


@contextmanager
def _store(url: str, plugins: Plugins) -> Iterator[_Kept]:
    with closing(plugins.open_store(url)) as store:
        yield _Kept(store=store, patient_key=_patient_key(url))


def _patient_key(url: str) -> bytes:
    """Return the key for patient tokens: a file beside a file store, made once; else random.

    It must stay the same for a store, or the same file would look changed the next time.
    """
    path = url.removeprefix("sqlite:///")
    if path == url:
        return secrets.token_bytes(32)
    beside = Path(f"{path}.key")
    try:
        handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return bytes.fromhex(beside.read_text(encoding="ascii"))
    key = secrets.token_bytes(32)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(key.hex())
    return key


def _read_options(arguments: argparse.Namespace) -> ReadOptions:
    return ReadOptions(
        columns=dict(arguments.column),
        date_order=arguments.date_order,
        nulls=frozenset(arguments.null),
    )


# -- what people see --------------------------------------------------------------------------


def _report_rows(report: ImportReport) -> Iterator[dict[str, Any]]:
    for kind, tally in report.kinds.items():
        yield {
            "file": report.name,
            "kind": str(kind),
            "claims": tally.claims,
            "lines": tally.lines,
            "charge": str(from_cents(tally.charge)),
            "paid": str(from_cents(tally.paid)),
            "rejected": tally.rejected,
            "notices": dict(tally.notices),
        }


def _report_text(report: ImportReport, *, dry_run: bool) -> str:
    rows = []
    for kind, tally in report.kinds.items():
        rows.append(
            f"{report.name}: {kind}: {tally.claims:,} claims, {tally.lines:,} lines, "
            f"charged {from_cents(tally.charge):,}, paid {from_cents(tally.paid):,}, "
            f"{tally.rejected:,} rejected"
        )
        rows.extend(f"  notice  {code} ({count:,})" for code, count in tally.notices.items())
    if not dry_run:
        added = report.added
        rows.append(f"  {added.new:,} new, {added.changed:,} changed, {added.same:,} the same")
    rows.extend(_problem_text(problem) for problem in report.problems[:20])
    if len(report.problems) > 20:
        rows.append(f"  … and {len(report.problems) - 20:,} more; see them all with --repair FILE")
    return "\n".join(rows)


def _problem_text(problem: RowProblem) -> str:
    where = f"{problem.kind} {'line' if problem.kind == 'csv' else 'segment'} {problem.position}"
    named = f", {problem.field_name}" if problem.field_name else ""
    return f"  rejected  {where}{named}: {problem.message}. {problem.remedy}"


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
        print(render_text(report, width=width, color=_wants_color()))
        return
    sys.stdout.flush()
    plugins.renderers["json"].render(report, sys.stdout.buffer)


def _wants_color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _print_json(row: dict[str, Any]) -> None:
    print(json.dumps(row, ensure_ascii=False))


def _error_row(error: Exception) -> dict[str, str]:
    if isinstance(error, ClaimkitError):
        return {"code": error.code, "message": error.message, "remedy": error.remedy}
    return {"code": "file_unreadable", "message": _one_line(error), "remedy": ""}


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, ClaimkitError):
        return error.strerror or type(error).__name__
    return " ".join(str(error).split())


def _fail(line: str) -> int:
    print(f"claimkit: error: {line}", file=sys.stderr)
    return 1


def _progress(arguments: argparse.Namespace) -> Progress | None:
    if arguments.quiet or not sys.stderr.isatty():
        return None
    return _Bar()


class _Bar:
    """A progress bar on standard error, redrawn at most once per percent."""

    def __init__(self) -> None:
        self._shown: tuple[str, int] = ("", -1)

    def __call__(self, step: str, done: int, total: int | None) -> None:
        percent = min(100, 100 * done // total) if total else 0
        if (step, percent) == self._shown and (total is None or done < total):
            return
        self._shown = (step, percent)
        width = shutil.get_terminal_size().columns
        filled = percent // 5
        bar = f"[{'█' * filled}{'·' * (20 - filled)}] {percent:3d} %  {step}"
        end = "\n" if total is not None and done >= total else ""
        sys.stderr.write(f"\r\x1b[K{bar[: width - 1]}{end}")
        sys.stderr.flush()


# -- arguments --------------------------------------------------------------------------------


def _configure(arguments: argparse.Namespace) -> tuple[Config, Plugins]:
    settings: dict[str, dict[str, Any]] = {}
    if arguments.config:
        settings = _config_file(arguments.config)
    config = Config.from_mapping(settings)
    disabled = {*config.plugins.disabled, *arguments.disable_plugin}
    return config, load_plugins(disabled=disabled)


def _config_file(path: Path) -> dict[str, dict[str, Any]]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _pair(text: str) -> tuple[str, str]:
    header, equals, name = text.rpartition("=")
    if not equals or not header:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEADER=FIELD")
    return header, name


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2026-11-24") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="claimkit",
        description="Tell early that a payer denies more, pays less or decides later.",
        epilog="Documentation: reference/commands. Each command has its own --help.",
    )
    parser.add_argument("--version", action="version", version=f"claimkit {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _watch_parser(_command(commands, "watch", _watch, "read claims files and report drift"))
    _import_parser(_command(commands, "import", _import, "read claims files into a store"))
    _command(commands, "plugins", _plugins, "show what is loaded, from which distribution")
    doctor = _command(commands, "doctor", _doctor, "check the installation")
    doctor.add_argument("--store", metavar="URL", default="memory:", help="store to try")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    parser.set_defaults(run=run)
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


def _file_arguments(parser: argparse.ArgumentParser, *, store: str) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV, 835 or 837")
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
        type=_pair,
        metavar="HEADER=FIELD",
        help="map a CSV column, such as 'Tot Chg=billed'",
    )
    parser.add_argument(
        "--date-order", choices=("mdy", "dmy"), default="", help="of ambiguous CSV dates"
    )
    parser.add_argument(
        "--null", action="append", default=[], metavar="TEXT", help="a CSV text for 'no value'"
    )


def _watch_parser(parser: argparse.ArgumentParser) -> None:
    _file_arguments(parser, store="memory:")
    parser.add_argument("--html", type=Path, metavar="PATH", help="also write a report with charts")
    parser.add_argument(
        "--as-of", type=_date, metavar="DATE", help="look back from this day (last decision)"
    )


def _import_parser(parser: argparse.ArgumentParser) -> None:
    _file_arguments(parser, store="sqlite:///claimkit.db")
    parser.add_argument("--dry-run", action="store_true", help="only say what is in the files")
    parser.add_argument(
        "--repair", type=Path, metavar="CSV", help="write the rejected rows with reasons"
    )
