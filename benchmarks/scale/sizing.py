"""What a number of claims needs, and costs, from what ``bench.py --out FILE`` measured.

``sizing.py FILE --claims-a-year 1000000000 --tenants 1000`` prints the arithmetic line by line, so that any
price or size of yours can be put in its place.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMPORT = "import of 10,000 rows"
_DAYS, _HOURS = 365, 730
_GB = 1e9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--claims-a-year", type=int, default=1_000_000_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--statements", type=float, default=2.0, help="a claim: sent and decided")
    parser.add_argument("--years-kept", type=float, default=3.0)
    parser.add_argument("--import-hours", type=float, default=4.0, help="of a day, for all files")
    parser.add_argument("--night-hours", type=float, default=2.0, help="for all watches")
    parser.add_argument("--use", type=float, default=0.6, help="of a core that is planned with")
    parser.add_argument("--dollars-a-core-hour", type=float, default=0.05)
    parser.add_argument("--dollars-a-gb-month", type=float, default=0.12)
    asked = parser.parse_args()
    measured = json.loads(asked.measured.read_text(encoding="utf-8"))["claims"]
    largest = measured[max(measured, key=int)]
    print("\n".join(_lines(asked, largest, int(max(measured, key=int)))))
    return 0


def _lines(
    asked: argparse.Namespace, costs: dict[str, dict[str, float]], size: int
) -> Iterator[str]:
    cpu_us, kept = costs[_IMPORT]["cpu_us_per_row"], costs[_IMPORT]["bytes_per_row"]
    night = costs["a night"]["cpu"]
    statements_a_day = asked.claims_a_year * asked.statements / _DAYS
    import_seconds = statements_a_day * cpu_us / 1e6
    import_cores = import_seconds / (asked.import_hours * 3_600) / asked.use
    night_seconds = asked.tenants * night
    night_cores = night_seconds / (asked.night_hours * 3_600) / asked.use
    held = asked.claims_a_year * asked.statements * asked.years_kept * kept / _GB
    logged = statements_a_day * costs[_IMPORT]["wal_per_row"] / _GB
    hours = (import_seconds + night_seconds) / 3_600 / asked.use * _HOURS / 24
    cores = hours * asked.dollars_a_core_hour
    disk = held * asked.dollars_a_gb_month
    millions = asked.claims_a_year / 12 / 1e6
    yield f"measured behind {size:,} claims: {cpu_us:.0f} µs of CPU and {kept:,.0f} B a row, {night:.2f} s a night"
    yield (
        f"{asked.claims_a_year:,} claims a year x {asked.statements:g} statements / {_DAYS} days"
        f" = {statements_a_day:,.0f} rows a day"
    )
    yield f"x {cpu_us:.0f} µs = {import_seconds:,.0f} CPU s a day"
    yield (
        f"in {asked.import_hours:g} h at {asked.use:.0%} = {import_cores:.2f} cores"
        " (workers and database together)"
    )
    yield (
        f"{asked.tenants:,} tenants x {night:.2f} s = {night_seconds:,.0f} CPU s a night,"
        f" in {asked.night_hours:g} h at {asked.use:.0%} = {night_cores:.2f} cores"
    )
    yield f"disk for {asked.years_kept:g} years: {held:,.0f} GB; log: {logged:,.1f} GB a day"
    yield (
        f"{hours:,.0f} core hours a month x ${asked.dollars_a_core_hour:g} = ${cores:,.0f};"
        f" {held:,.0f} GB x ${asked.dollars_a_gb_month:g} = ${disk:,.0f}"
    )
    yield f"= ${(cores + disk) / millions:,.2f} a month for each million claims a month"


if __name__ == "__main__":
    sys.exit(main())
