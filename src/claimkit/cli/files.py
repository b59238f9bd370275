"""The files named on a command line, and the store that they are read into."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimkit.claims.intake import ImportReport, import_claims, preview_claims
from claimkit.claims.payers import payer_of
from claimkit.claims.readers import ReadOptions
from claimkit.claims.templates import CsvTemplate, check_template
from claimkit.cli.terminal import error_row, fail, one_line, print_json, progress_for, warn
from claimkit.drift.contracts import ContractMeasure, FeeSchedule, read_contracts
from claimkit.drift.dimensions import check_dimensions
from claimkit.drift.watch import CubeUpkeep, Keeping
from claimkit.errors import ClaimkitError, FileRefused, StoreError
from claimkit.events import Bus
from claimkit.types import SystemClock, TenantKey, from_cents

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from claimkit.claims.model import RowProblem
    from claimkit.config import DriftConfig
    from claimkit.plugins import Plugins
    from claimkit.stores import Store
    from claimkit.types import Progress

__all__ = [
    "Imported",
    "Kept",
    "add_contracts_argument",
    "keeping_of",
    "open_kept",
    "read_options",
    "read_template",
    "report_rows",
    "report_text",
]

_KEY_BYTES = 32


@dataclass(slots=True)
class Kept:
    """A store that is open, with the key for the patient tokens in it."""

    store: Store
    patient_key: bytes
    #: What its cube keeps beside the tables that all have.
    keeping: Keeping


class Imported:
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
        kept: Kept | None,
        *,
        dry_run: bool,
    ) -> Imported:
        """Read every file; one that is refused does not keep the others from being read."""
        done = cls()
        progress = progress_for(arguments)
        for path in arguments.files:
            try:
                done.reports.append(
                    done._preview(path, arguments, plugins, progress)
                    if dry_run or kept is None
                    else done._import(path, arguments, plugins, kept, progress)
                )
            except (ClaimkitError, OSError) as error:
                done.refused.append((str(path), one_line(error)))
                if arguments.format == "json":
                    print_json({"file": str(path), "kind": None, "error": error_row(error)})
        return done

    def tell_rejected(self) -> None:
        """Print one line per file with rows or claims that could not be read."""
        for one in self.reports:
            if one.rejected:
                warn(
                    f"{one.name}: {one.rejected:,} could not be read; "
                    f"'claimkit import --dry-run {one.name}' says why"
                )

    def tell_refused(self) -> int:
        """Print one line per file that was not read to its end, and return the exit status."""
        stopped = [(one.name, one.stopped) for one in self.reports if one.stopped]
        for path, line in (*self.refused, *stopped):
            fail(f"{path}: {line}")
        return 1 if self.refused or stopped else 0

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
                options=read_options(arguments),
                reader=arguments.reader,
                progress=progress,
                on_problem=self.problems.append,
            )

    def _import(
        self,
        path: Path,
        arguments: argparse.Namespace,
        plugins: Plugins,
        kept: Kept,
        progress: Progress | None,
    ) -> ImportReport:
        with path.open("rb") as stream:
            return import_claims(
                stream,
                name=str(path),
                tenant=TenantKey(arguments.tenant),
                store=kept.store,
                plugins=plugins,
                bus=Bus(
                    [
                        CubeUpkeep(kept.store.cube, keeping=lambda _tenant: kept.keeping),
                        *plugins.listeners.values(),
                    ]
                ),
                clock=SystemClock(),
                patient_key=kept.patient_key,
                options=read_options(arguments),
                reader=arguments.reader,
                progress=progress,
                on_problem=self.problems.append,
            )


@contextmanager
def open_kept(url: str, plugins: Plugins, keeping: Keeping | None = None) -> Iterator[Kept]:
    """Open the store of a URL, and close it after the block."""
    with closing(plugins.open_store(url)) as store:
        yield Kept(store=store, patient_key=_patient_key(url), keeping=keeping or Keeping())


def keeping_of(arguments: argparse.Namespace, plugins: Plugins, config: DriftConfig) -> Keeping:
    """Return what the cube keeps: the settings' dimensions, and measures of plugins and contracts.

    Raises:
        UnknownName: claims have no such dimension.
    """
    contracts = ContractMeasure(_schedule(arguments.contracts))
    return Keeping(
        dimensions=check_dimensions(config.dimensions),
        measures=(*plugins.measures.values(), contracts),
    )


def add_contracts_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the file of contracts."""
    parser.add_argument(
        "--contracts",
        type=Path,
        metavar="CSV",
        help="what payers owe: payer, procedure_code, allowed or percent_of_charge, effective_from, "
        "effective_until",
    )


def _schedule(path: Path | None) -> FeeSchedule:
    """Return the rates of a file, and warn of the lines that could not be taken."""
    if path is None:
        return FeeSchedule()
    try:
        found = read_contracts(path.read_text(encoding="utf-8"), payer_of=payer_of)
    except UnicodeDecodeError:
        raise FileRefused(
            f"{path} is no text in UTF-8", remedy="Export it again in UTF-8"
        ) from None
    for one in found.problems:
        warn(f"{path}: line {one.line}, {one.field}: {one.message}. {one.remedy}")
    return FeeSchedule(found.rates)


def read_template(path: Path) -> CsvTemplate:
    """Read a template from a JSON file: header, columns, date_order, nulls.

    Raises:
        ValueError: no such file, not JSON, or nothing that a template can be made of.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    known = {"header", "columns", "date_order", "nulls"}
    if not isinstance(given, dict) or not {"header"} <= given.keys() <= known:
        raise ValueError(f"{path}: a template has header, columns, date_order and nulls")
    template = CsvTemplate(
        name=path.stem,
        header=tuple(given["header"]),
        columns=given.get("columns", {}),
        date_order=given.get("date_order", ""),
        nulls=frozenset(given.get("nulls", ())),
    )
    check_template(template)
    return template


def _patient_key(url: str) -> bytes:
    """Return the key for patient tokens: a file beside a file store, made once; else random.

    It must stay the same for a store, or the same file would look changed the next time.
    """
    path = url.removeprefix("sqlite:///")
    if path == url:
        return secrets.token_bytes(_KEY_BYTES)
    beside = Path(f"{path}.key")
    if not beside.exists():
        _make_key(beside)
    try:
        key = bytes.fromhex(beside.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise StoreError(
            "the key beside the store cannot be read",
            remedy="Restore it from a backup; with another key every patient would look new",
        )
    return key


def _make_key(path: Path) -> None:
    """Put a new key at ``path``, whole or not at all; one that is there by then stays."""
    handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(secrets.token_bytes(_KEY_BYTES).hex())
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    except OSError:
        # A file system without hard links, where two first commands at once may disagree.
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def read_options(arguments: argparse.Namespace, *, undecided: bool = False) -> ReadOptions:
    """Return how the arguments say that files are read."""
    return ReadOptions(
        undecided=undecided,
        columns=dict(arguments.column),
        templates=arguments.template,
        date_order=arguments.date_order,
        nulls=frozenset(arguments.null),
    )


def report_rows(report: ImportReport) -> Iterator[dict[str, Any]]:
    """Yield what is in a file, one object per kind of record."""
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


def report_text(report: ImportReport, *, dry_run: bool) -> str:
    """Return what is in a file, and what became of it, for people."""
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
