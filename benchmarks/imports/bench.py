"""Imports through the whole Django pipeline against the bare limit of each database, in one run.

``bench.py`` takes less than a minute and is what CI runs: it fails where a ratio falls below its
floor. ``bench.py --full`` measures 200,000 and 1,000,000 rows, memory over two sizes, and the cube.
CPU seconds are those of the client and of the database server together; absolute figures differ
from machine to machine, ratios to the limit of the same round less so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent.parent
sys.path.insert(0, str(_ROOT))

import psycopg  # noqa: E402
from files import write_export, write_remittance  # noqa: E402

from tests.postgres import postgres_url, stop  # noqa: E402

#: Share of the bare limit below which something became slow. Half of what was measured.
_FLOORS = {"CSV → SQLite": 0.025, "CSV → PostgreSQL": 0.04}
#: Memory of a worker, whatever the size of the file.
_MAX_MEGABYTES = 150


class _Sizes(NamedTuple):
    rows: int
    more_rows: int
    claims: int
    rounds: int


_SHORT = _Sizes(rows=10_000, more_rows=0, claims=3_000, rounds=1)
_FULL = _Sizes(rows=200_000, more_rows=1_000_000, claims=60_000, rounds=3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    sizes = _FULL if parser.parse_args().full else _SHORT
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _report(_Bench(Path(folder), postgres_url()), sizes)
    finally:
        stop()


class _Bench:
    """Runs measurements, each in a process of its own and on an empty database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._url = url
        with psycopg.connect(url, autocommit=True) as connection:
            home = connection.execute("SHOW data_directory").fetchone()
        assert home is not None
        self._postmaster = Path(home[0], "postmaster.pid").read_text().split()[0]
        self._made = 0

    def database(self, vendor: str) -> str:
        """Make an empty database and return its URL."""
        self._made += 1
        name = f"bench{self._made}"
        if vendor == "sqlite":
            return f"sqlite://{self.folder / name}.sqlite3"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url.replace("@/postgres", f"@/{name}")

    def run(self, what: str, url: str, file: Path) -> dict[str, Any]:
        """Return what one measurement printed."""
        command = [sys.executable, str(_HERE / "measure.py"), what, url, str(file)]
        command += ["--postmaster", self._postmaster] if url.startswith("postgres") else []
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=_HERE)
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told


def _report(bench: _Bench, sizes: _Sizes) -> int:
    export, remittance = bench.folder / "export.csv", bench.folder / "remittance.835"
    write_export(export, sizes.rows)
    claims = write_remittance(remittance, sizes.claims)
    slow = []
    print(f"{'work':34}{'per CPU s':>12}{'of limit':>10}{'client':>9}{'server':>9}{'MB':>7}")
    for vendor, name, limit in (
        ("sqlite", "CSV → SQLite", "bare_executemany"),
        ("postgres", "CSV → PostgreSQL", "bare_copy"),
    ):
        ratios = []
        for _ in range(sizes.rounds):
            bare = _line(
                f"{name}, bare", bench.run(limit, bench.database(vendor), export), sizes.rows
            )
            url = bench.database(vendor)
            told = bench.run("import", url, export)
            ratios.append(_line(name, told, sizes.rows, bare) / bare)
            _line(f"{name}, again", bench.run("import", url, export), sizes.rows, bare)
        if statistics.median(ratios) < _FLOORS[name]:
            slow.append(f"{name}: {statistics.median(ratios):.3f} of the limit")
    told = bench.run("import", bench.database("postgres"), remittance)
    _line("835 claims → PostgreSQL", told, claims)
    if sizes.more_rows:
        slow += _more(bench, sizes)
    for one in slow:
        print(f"too much: {one}")
    return 1 if slow else 0


def _more(bench: _Bench, sizes: _Sizes) -> list[str]:
    """Memory over two sizes, and what the cube costs behind few and many rows."""
    large, fresh = bench.folder / "large.csv", bench.folder / "fresh.csv"
    write_export(large, sizes.more_rows)
    write_export(fresh, 10_000, seed=2)
    too_much = []
    for vendor in ("sqlite", "postgres"):
        url = bench.database(vendor)
        told = bench.run("import", url, large)
        _line(f"CSV of {sizes.more_rows:,} rows → {vendor}", told, sizes.more_rows)
        if told["peak_mb"] > _MAX_MEGABYTES:
            too_much.append(f"{told['peak_mb']} MB for {sizes.more_rows:,} rows into {vendor}")
        _line("  10,000 rows behind these", bench.run("import", url, fresh), 10_000)
        _line("  cube rebuilt", bench.run("rebuild", url, large), sizes.more_rows)
    return too_much


def _line(name: str, told: dict[str, Any], count: int, limit: float | None = None) -> float:
    rate = count / told["cpu"]
    share = f"{rate / limit:.3f}" if limit else ""
    print(
        f"{name:34}{rate:>12,.0f}{share:>10}{told['client']:>9.2f}{told['server']:>9.2f}"
        f"{told['peak_mb']:>7.0f}",
        flush=True,
    )
    return rate


if __name__ == "__main__":
    sys.exit(main())
