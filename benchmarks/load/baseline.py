"""Measure the example under load on a full database, and keep what was measured.

The story: a PostgreSQL of its own gets the demo's hospitals; :func:`grow` writes claims beside
northside's own until there are ``--claims`` of them; five people of :mod:`locustfile` work for
``--seconds``; and :func:`report` says what they waited for. Exit status: 0 within the aims; 1 p95 is
500 ms or more, or a request failed; 2 nothing was measured.

``baseline.json`` is what ``--save`` wrote on the machine that it names. It is made by this
command and never by hand: milliseconds of another machine say nothing about yours, so builds are
compared by ``paired.py``, and this file only says what was once reached, and where.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

from paired import Build  # noqa: E402

from tests.postgres import postgres_url, stop  # noqa: E402

if TYPE_CHECKING:
    from gate import Figures

#: Milliseconds that 95 of 100 requests must stay below.
P95_MS = 500.0
_GROW = """
INSERT INTO claimkit_claims_claim ({columns})
SELECT {values}
  FROM (SELECT *, row_number() OVER () AS n FROM claimkit_claims_claim WHERE tenant_id = %(tenant)s) AS c
 CROSS JOIN generate_series(1, %(copies)s) AS copy
 LIMIT %(missing)s
"""


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="claimkit-load-") as work:
        try:
            os.environ["DATABASE_URL"] = postgres_url()
            build = Build("baseline", ROOT, Path(work))
            build.run("demo.py", "--scale", str(options.scale))
            claims = grow(options.claims)
            # What else the machine does: milliseconds without it mean little.
            options.load_before = os.getloadavg()[0]
            figures, slowest = build.measure(options), _slowest(Path(work))
        finally:
            stop()
    return report(figures, claims=claims, options=options, slowest=slowest)


def grow(wanted: int) -> int:
    """Copy northside's claims under new numbers until there are ``wanted``; return how many there are.

    One statement: imports have a benchmark of their own. Payers, days, outcomes and amounts stay as
    mixed as the demo's are; days are spread by up to a year, so that pages are not all of one day.
    """
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        one = connection.execute(
            "SELECT id FROM claimkit_tenants_tenant WHERE key = 'northside'"
        ).fetchone()
        (tenant,) = one or sys.exit("the demo made no tenant")
        count = "SELECT count(*) FROM claimkit_claims_claim WHERE tenant_id = %s"
        (had,) = connection.execute(count, [tenant]).fetchone() or (0,)
        names = [
            row[0]
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = 'claimkit_claims_claim' AND column_name <> 'id'"
            )
        ]
        other = {
            "claim_key": "-9000000000000000000 + c.n * 100000 + copy",
            "patient_control_number": "c.patient_control_number || '-' || copy",
            "listed_on": "c.listed_on - mod(c.n * 31 + copy * 7, 365)::int",
        }
        statement = _GROW.format(
            columns=", ".join(names),
            values=", ".join(other.get(name, f"c.{name}") for name in names),
        )
        missing = max(0, wanted - had)
        connection.execute(
            statement,
            {"tenant": tenant, "copies": missing // max(1, had) + 1, "missing": missing},
        )
        connection.execute("ANALYZE")
        (there,) = connection.execute(count, [tenant]).fetchone() or (0,)
        return int(there)


def report(
    figures: Figures, *, claims: int, options: argparse.Namespace, slowest: list[dict[str, Any]]
) -> int:
    """Print and keep what was measured, and return the exit status."""
    if not figures.requests:
        print("NOT MEASURED: not one request was answered", file=sys.stderr)
        return 2
    told = {
        "measured_on": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "claims": claims,
        "users": options.users,
        "seconds": options.seconds,
        "load_before": round(options.load_before, 1),
        **asdict(figures),
        "tasks": slowest,
    }
    if options.save:
        options.save.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told, indent=1))
    return 1 if figures.p95 >= P95_MS or figures.errors else 0


def _slowest(folder: Path) -> list[dict[str, Any]]:
    """Return each task with its own figures, the slowest first."""
    import csv

    with (folder / "run_stats.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] != "Aggregated"]
    tasks = [
        {
            "task": row["Name"],
            "requests": int(row["Request Count"]),
            "p50": float(row["50%"]),
            "p95": float(row["95%"]),
        }
        for row in rows
    ]
    return sorted(tasks, key=lambda one: -one["p95"])


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--claims", type=int, default=1_000_000, help="of one tenant (1,000,000)")
    made.add_argument("--users", type=int, default=5, help="at the same time (5)")
    made.add_argument("--seconds", type=int, default=120, help="of load (120)")
    made.add_argument("--scale", type=float, default=0.1, help="of the demo's claims (0.1)")
    made.add_argument("--save", type=Path, metavar="FILE", help="keep the figures as JSON")
    return made


if __name__ == "__main__":
    sys.exit(main())
