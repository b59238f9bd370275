"""One table of everything that somebody waits for: ours, the usual way, and the limit below.

``run.py`` takes some minutes with 100,000 claims; ``--full`` uses a million. Every measurement is a process
of its own on a database of its own; rounds go there and back, and medians count. Rates are per CPU second
of client and database server together, so that another's work beside it matters little; a fixed spin
before and after each measurement tells when it did, and marks the row with ``*``. What others fail to do
is a dash.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

_HERE = Path(__file__).resolve().parent
_BENCHMARKS = _HERE.parent
sys.path[:0] = [str(_BENCHMARKS.parent), str(_BENCHMARKS / "imports")]

import psycopg  # noqa: E402
from files import write_export, write_remittance  # noqa: E402

from tests.postgres import postgres_url, stop  # noqa: E402


class Awaited(NamedTuple):
    """Something that somebody waits for."""

    name: str
    #: What is counted a second.
    unit: str
    #: Functions of ``works.py``; "" where there is no such thing.
    ours: str
    usual: str = ""
    limit: str = ""
    #: Whose copy it works on: ``empty``, ``filled`` or ``sqlite``; "" needs none.
    database: str = ""
    #: Of the files that are written before.
    file: str = "export.csv"


PATHS = (
    Awaited("CSV read and checked", "rows", "read_csv", "", "read_csv_typed"),
    *(
        Awaited(
            f"CSV into {name}", "rows", "import_file", "import_usually", "import_bare", database
        )
        for name, database in (("PostgreSQL", "empty"), ("SQLite", "sqlite"))
    ),
    Awaited(
        "10,000 rows behind all claims",
        "rows",
        "import_file",
        "",
        "import_bare",
        "filled",
        "few.csv",
    ),
    Awaited("835 into PostgreSQL", "claims", "import_file", "", "", "empty", "remittance.835"),
    Awaited("cube from all claims", "claims", "rebuild", "", "group_by", "filled"),
    Awaited("a night", "nights", "night", "night_usually", "", "filled"),
    Awaited(
        "claims, page 1", "requests", "first_page", "first_page_usually", "page_bare", "filled"
    ),
    Awaited(
        "claims, page 1,000", "requests", "deep_page", "deep_page_usually", "page_bare", "filled"
    ),
    Awaited(
        "claims, nothing new (304)",
        "requests",
        "not_modified",
        "first_page_usually",
        "page_bare",
        "filled",
    ),
    Awaited("dashboard", "requests", "dashboard", "dashboard_usually", "", "filled"),
    Awaited("export as CSV", "rows", "export_csv", "export_usually", "copy_to", "filled"),
    Awaited("export as XLSX", "rows", "export_xlsx", "", "", "filled"),
    Awaited("start of the command", "starts", "start_claimkit", "start_django", "start_python"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="1,000,000 claims instead of 100,000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="paths whose name contains this")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    asked = parser.parse_args()
    paths = [one for one in PATHS if asked.only in one.name]
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = _Bench(Path(folder), postgres_url(), 1_000_000 if asked.full else 100_000)
            measured = bench.measure(paths, asked.rounds)
    finally:
        stop()
    rows = [_row(path, measured) for path in paths]
    if asked.format == "json":
        print(json.dumps(rows, indent=1))
    else:
        print("\n".join(_table(rows, markdown=asked.format == "markdown")))
    return 0


class _Bench:
    """Files and databases, and the processes that work on copies of them."""

    def __init__(self, folder: Path, url: str, claims: int) -> None:
        self._folder = folder
        self._url = url
        self._copies = 0
        with psycopg.connect(url, autocommit=True) as connection:
            home = connection.execute("SHOW data_directory").fetchone()
            assert home is not None
            self._postmaster = Path(home[0], "postmaster.pid").read_text().split()[0]
            connection.execute("CREATE DATABASE empty")
        write_export(folder / "export.csv", claims // 5)
        write_export(folder / "few.csv", 10_000, seed=2)
        write_remittance(folder / "remittance.835", claims // 20)
        (folder / "claims").write_text(str(claims), encoding="ascii")
        self._run("make_tables", self._named("empty"), "claims")
        self._run("make_tables", f"sqlite://{folder / 'empty.sqlite3'}", "claims")
        self._copy("filled", "empty")
        self._run("fill", self._named("filled"), "claims")

    def measure(
        self, paths: list[Awaited], rounds: int
    ) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Return path and way → what each round printed."""
        plan = [
            (path, way)
            for path in paths
            for way in ("ours", "usual", "limit")
            if getattr(path, way)
        ]
        told: dict[tuple[str, str], list[dict[str, Any]]] = {
            (path.name, way): [] for path, way in plan
        }
        for round_ in range(rounds):
            for at, (path, way) in enumerate(plan if round_ % 2 == 0 else reversed(plan)):
                print(
                    f"round {round_ + 1} of {rounds}, {at + 1} of {len(plan)}: {path.name}, {way}",
                    file=sys.stderr,
                    flush=True,
                )
                told[path.name, way].append(self._measure(path, getattr(path, way)))
        return told

    def _measure(self, path: Awaited, work: str) -> dict[str, Any]:
        url = self._fresh(path.database)
        before = _spin()
        told = self._run(work, url, path.file)
        told["spin"] = max(before, _spin()) / _QUIET
        if url.startswith("postgres"):
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE copy{self._copies} WITH (FORCE)")
        return told

    def _fresh(self, database: str) -> str:
        self._copies += 1
        name = f"copy{self._copies}"
        if database == "sqlite":
            copied = shutil.copy(self._folder / "empty.sqlite3", self._folder / f"{name}.sqlite3")
            return f"sqlite://{copied}"
        if not database:
            return ""
        self._copy(name, database)
        return self._named(name)

    def _named(self, name: str) -> str:
        return self._url.replace("@/postgres", f"@/{name}")

    def _copy(self, name: str, template: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")

    def _run(self, work: str, url: str, file: str) -> dict[str, Any]:
        command = [sys.executable, str(_HERE / "works.py"), work, url, str(self._folder / file)]
        done = subprocess.run(
            [*command, self._postmaster], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{work}: {done.stderr.strip().rpartition(chr(10))[2]}")
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told


def _spin() -> float:
    """Return the wall seconds of a fixed piece of work: more where others took the core."""
    began = time.perf_counter()
    sum(range(3_000_000))
    return time.perf_counter() - began


#: The same when nobody else was there, the best of a few.
_QUIET = min(_spin() for _ in range(9))
#: A spin this much longer marks a measurement.
_DISTURBED = 1.5


def _row(path: Awaited, measured: dict[tuple[str, str], list[dict[str, Any]]]) -> dict[str, Any]:
    row: dict[str, Any] = {"path": path.name, "unit": path.unit}
    for way in ("ours", "usual", "limit"):
        rounds = measured.get((path.name, way), [])
        if not rounds:
            continue
        rates = [one["units"] / (one["client"] + one["server"]) for one in rounds]
        row[way] = statistics.median(rates)
        row[f"{way}_spread"] = [min(rates), max(rates)]
        row[f"{way}_mb"] = max(one["peak_mb"] for one in rounds)
        row["disturbed"] = row.get("disturbed", False) or any(
            one["spin"] > _DISTURBED for one in rounds
        )
    for way in ("usual", "limit"):
        if way in row:
            row[f"of_{way}"] = row["ours"] / row[way]
    return row


_HEADINGS = ("per CPU second", "", "ours", "spread", "usual", "limit", "x usual", "of limit", "MB")


def _table(rows: list[dict[str, Any]], *, markdown: bool) -> list[str]:
    cells = [_HEADINGS, *map(_cells, rows)]
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        return [lines[0], "|" + " --- |" * len(_HEADINGS), *lines[1:]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(_HEADINGS))]
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    low, high = row["ours_spread"]
    return (
        row["path"] + (" *" if row["disturbed"] else ""),
        row["unit"],
        _rate(row["ours"]),
        f"{_rate(low)} to {_rate(high)}",
        _rate(row.get("usual")),
        _rate(row.get("limit")),
        f"{row['of_usual']:.1f}" if "of_usual" in row else "-",
        f"{row['of_limit']:.2f}" if "of_limit" in row else "-",
        f"{row['ours_mb']:.0f}",
    )


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


if __name__ == "__main__":
    sys.exit(main())
