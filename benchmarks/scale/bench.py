"""How costs grow with the claims that are there: lists, an import, a night, a rebuild of the cube.

``bench.py`` measures a tenant of 10,000 and then of 100,000 claims on PostgreSQL, in a minute, and
fails where a cost that nobody waits for in proportion grows with the claims. ``--claims 1000000
3000000 10000000`` takes half an hour. What is enforced is counted and not timed: statements, pages of
8 KB that the database touches, bytes of its log. Milliseconds and CPU seconds are told beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parent.parent), str(_HERE.parent / "api"), str(_HERE.parent / "imports")]

from costs import Costs  # noqa: E402
from site_of_requests import start  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZES = (10_000, 100_000)
#: Cost grows as claims to the power of this, at most: indexes grow by a level now and then.
_FLAT = 0.15
#: What sums cells: the cube grows until it has a cell for everything that occurs.
_BY_CELLS = {"payer summary", "dashboard"}
#: The counted costs; all else is told only.
_COUNTED = ("statements", "pages", "wal_per_row")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, nargs="+", default=list(_SIZES))
    parser.add_argument("--rounds", type=int, default=30, help="of each request")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--out", type=Path, help="JSON file for what was measured")
    parser.add_argument("--picture", type=Path, help="SVG of how costs grow; needs pygal")
    asked = parser.parse_args()
    measured: dict[int, dict[str, dict[str, float]]] = {}
    with start() as site:
        costs = Costs(site, asked.rounds)
        for claims in sorted(asked.claims):
            print(f"{claims:,} claims ...", file=sys.stderr, flush=True)
            site.grow(claims)
            measured[claims] = costs.measure()
        vendor = site.vendor
    steep = list(_steep(measured))
    told = {"vendor": vendor, "claims": measured, "too_steep": steep}
    if asked.out:
        asked.out.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if asked.picture:
        from picture import draw

        asked.picture.write_bytes(draw(measured))
    if asked.format == "json":
        print(json.dumps(told))
    else:
        print("\n".join([f"{vendor}\n", *_lines(measured), *steep]))
    return int(bool(steep))


def _steep(measured: dict[int, dict[str, dict[str, float]]]) -> Iterator[str]:
    """Yield each counted cost that grows faster than it may."""
    first, last = min(measured), max(measured)
    if first == last:
        return
    cells = _power(measured, "cube from all claims", "cells")
    for name, costs in measured[last].items():
        most = _FLAT + (cells if name in _BY_CELLS else 0.0)
        for unit in _COUNTED:
            if unit in costs and (power := _power(measured, name, unit)) > most:
                yield f"too steep: {unit} of {name!r} grow as claims to the power of {power:.2f}"


def _power(measured: dict[int, dict[str, dict[str, float]]], name: str, unit: str) -> float:
    first, last = min(measured), max(measured)
    few, many = (max(1.0, measured[size][name][unit]) for size in (first, last))
    return math.log(many / few) / math.log(last / first)


def _lines(measured: dict[int, dict[str, dict[str, float]]]) -> Iterator[str]:
    sizes = sorted(measured)
    units = {unit: None for costs in measured[sizes[0]].values() for unit in costs}
    yield f"{'':30}{'':14}" + "".join(f"{size:>14,}" for size in sizes) + f"{'power':>8}"
    for name, costs in measured[sizes[0]].items():
        for unit in units:
            if unit not in costs:
                continue
            cells = "".join(f"{_told(measured[size][name][unit]):>14}" for size in sizes)
            power = f"{_power(measured, name, unit):>8.2f}" if len(sizes) > 1 else ""
            yield f"{name:30}{_UNITS[unit]:14}{cells}{power}"


_UNITS: dict[str, Any] = {
    "statements": "statements",
    "pages": "pages",
    "ms": "ms, median",
    "p99_ms": "ms, p99",
    "cpu": "CPU s",
    "cells": "cells",
    "cpu_us_per_row": "CPU µs a row",
    "wal_per_row": "WAL B a row",
    "bytes_per_row": "B kept a row",
    "megabytes": "MB at most",
}


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}"


if __name__ == "__main__":
    sys.exit(main())
