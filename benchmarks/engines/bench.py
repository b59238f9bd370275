"""The cube by each engine that is installed, beside a bare GROUP BY of the same files.

``bench.py`` makes a million claims in Parquet, ``--claims 10000000`` ten. The limit is one ``GROUP
BY`` by DuckDB with the axes of the largest table. CPU seconds are those of this process: Spark works
in another. It fails where two engines disagree on a cell.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

_ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(_ROOT / "benchmarks" / "imports")]

import duckdb  # noqa: E402
import numpy as np  # noqa: E402
from cpu import peak_megabytes  # noqa: E402

from claimkit.drift.engines import ENGINES, build_cube, scan_claims  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

_DAYS = 365
_CLAIMS = """
COPY (
  WITH drawn AS (
    SELECT hash(i * 4 + {seed}) AS a, hash(i * 4 + 1 + {seed}) AS b, hash(i * 4 + 2 + {seed}) AS c,
      hash(i * 4 + 3 + {seed}) AS d FROM range({first}, {last}) AS t (i)
  ), claims AS (
    SELECT 'PAYER ' || (a % 40)::text AS payer, 'group ' || (b % 30)::text AS procedure_group,
      DATE '2025-01-01' + (c % {days})::int AS submitted_on, (d % 45)::int + 3 AS lag,
      (a >> 20) % 100 AS roll, 50 + (b >> 20) % 5000 AS dollars, (c >> 20) % 8 AS why FROM drawn
  )
  SELECT payer, procedure_group,
    CASE WHEN roll < 4 THEN 'pending' WHEN roll < 14 THEN 'denied' ELSE 'paid' END AS first_outcome,
    CASE WHEN roll BETWEEN 4 AND 13 THEN 'category ' || why::text ELSE '' END AS first_category,
    CASE WHEN roll BETWEEN 4 AND 13 THEN 'CO-' || (10 + why)::text ELSE '' END AS first_reason,
    submitted_on, CASE WHEN roll >= 4 THEN submitted_on + lag END AS first_decided_on,
    dollars::decimal(18, 2) AS charge,
    CASE WHEN roll >= 14 THEN (dollars * (40 + why) / 100)::decimal(18, 2) END AS allowed,
    CASE WHEN roll >= 14 THEN (dollars * 0.4)::decimal(18, 2) ELSE 0 END AS paid,
    submitted_on + lag AS paid_on, submitted_on + lag AS decided_on, roll % 50 > 0 AS first_pass,
    CASE WHEN roll < 4 THEN 'pending' WHEN roll < 14 THEN 'denied' ELSE 'paid' END AS outcome
  FROM claims
) TO '{path}' (FORMAT parquet)
"""
_LIMIT = """
SELECT payer, procedure_group, first_outcome, first_reason, first_decided_on,
  first_decided_on - submitted_on AS age, count(*), sum(charge), sum(allowed), sum(paid)
FROM read_parquet('{path}/*.parquet') WHERE first_decided_on IS NOT NULL GROUP BY ALL
"""


def main() -> int:
    """Measure, print and compare; 1 where two engines disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=1_000_000)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=tuple(ENGINES))
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = _write(Path(folder), arguments.claims)
        rows = [_limit(folder)]
        cubes = []
        for engine in arguments.engines:
            if importlib.util.find_spec(ENGINES[engine]) is None:
                continue
            told, cube = _measure(engine, lambda e=engine: _cube(folder, e))
            rows.append({**told, "cells": sum(map(len, cube.values()))})
            cubes.append(cube)
    same = all(_same(cubes[0], one) for one in cubes[1:])
    for row in rows:
        row["claims_per_second"] = round(arguments.claims / row["seconds"])
        row["of_limit"] = round(rows[0]["seconds"] / row["seconds"], 2)
    if arguments.format == "json":
        print(json.dumps({"claims": arguments.claims, "bytes": size, "rows": rows, "same": same}))
    else:
        print(f"{arguments.claims:,} claims, {size / 1e6:,.0f} MB of Parquet")
        for row in rows:
            cells = f"{row['cells']:>10,} cells" if "cells" in row else " " * 16
            print(
                f"{row['what']:<20}{row['seconds']:>8.2f} s{row['cpu']:>8.2f} CPU s"
                f"{row['claims_per_second']:>14,}/s{row['of_limit']:>7.2f} of the limit{cells}"
                f"{row['peak_megabytes']:>8,.0f} MB at most"
            )
        print("the same cells" if same else "the engines DISAGREE")
    return int(not same)


def _write(folder: Path, claims: int) -> int:
    parts = max(1, claims // 1_000_000)
    for part in range(parts):
        duckdb.sql(
            _CLAIMS.format(
                seed=20_260_412,
                first=part * claims // parts,
                last=(part + 1) * claims // parts,
                days=_DAYS,
                path=folder / f"claims-{part}.parquet",
            )
        )
    return sum(one.stat().st_size for one in folder.iterdir())


def _limit(folder: str) -> dict[str, Any]:
    told, _ = _measure("GROUP BY (limit)", duckdb.sql(_LIMIT.format(path=folder)).fetchall)
    return told


def _cube(folder: str, engine: str) -> Any:
    return build_cube(scan_claims(sorted(map(str, Path(folder).iterdir())), engine=engine))


def _measure(what: str, work: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    told = {
        "what": what,
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_megabytes": peak_megabytes(),
    }
    return told, done


def _same(one: Any, other: Any) -> bool:
    return all(
        one[name].names == other[name].names
        and all(
            np.array_equal(getattr(one[name], part)[axis], getattr(other[name], part)[axis])
            for part in ("labels", "numbers", "measures")
            for axis in getattr(one[name], part)
        )
        for name in one
    )


if __name__ == "__main__":
    sys.exit(main())
