"""Tables of benchmark results: ``python benchmarks/drift/report.py RESULTS.json ...``."""

from __future__ import annotations

import json
import math
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bounds import binomial_range, poisson_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["changes_of", "coverage", "median_delay", "show"]

Row = dict[str, Any]
#: Edges of the evidence ratio, strongest first.
RATIOS = ((1.5, math.inf), (0.7, 1.5), (0.3, 0.7), (0.0, 0.3))


def show(rows: Sequence[Row]) -> None:
    """Print what the results say, tenant by tenant."""
    for tenant in dict.fromkeys(row["tenant"] for row in rows):
        mine = [row for row in rows if row["tenant"] == tenant]
        print(f"\n{tenant}: false alerts a month (95 % interval; runs)")
        for method, scenario, some in _groups(mine, is_null=True):
            count, months = sum(row["false"] for row in some), sum(row["months"] for row in some)
            notices = sum(row["notices"] for row in some)
            print(f"  {method:20s}{scenario:18s}{_rate(count, months)}  n {len(some):3d}", end="")
            print(f"  notices {notices}" if notices else "")
        for method in _methods(mine):
            some = [row for row in mine if row["method"] == method and "changes" in row]
            if some:
                count = sum(row["false"] for row in some)
                print(f"  {method:20s}{'before onset':18s}", end="")
                print(_rate(count, sum(row["months"] for row in some)))
                print(
                    f"  {method:20s}{'after onset':18s}others "
                    f"{_mean(row['collateral'] for row in some):.2f} and other metrics "
                    f"{_mean(row['other_metric'] for row in some):.2f} a drift"
                )
        print(f"{tenant}: found within 14 / 28 / 56 days of onset, median delay in days")
        for method, scenario, some in _groups(mine, is_null=False):
            for at in range(max(len(row["changes"]) for row in some)):
                name = scenario if at == 0 else f"{scenario} ({at + 1})"
                print(f"  {method:20s}{name:22s}{_power([row['changes'][at] for row in some])}")
        for method in _methods(mine):
            found = [one for one in changes_of(mine, method) if _within(one, 56)]
            if found:
                print(f"  {method:20s}{_place(found)}")
    for method in _methods(rows):
        _show_ratios(rows, method)
    _show_cost(rows)


def _methods(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["method"] for row in rows))


def _groups(rows: Sequence[Row], *, is_null: bool) -> Iterator[tuple[str, str, list[Row]]]:
    for method in _methods(rows):
        for scenario in dict.fromkeys(row["scenario"] for row in rows):
            some = [
                row
                for row in rows
                if row["method"] == method
                and row["scenario"] == scenario
                and ("changes" not in row) == is_null
            ]
            if some:
                yield method, scenario, some


def changes_of(rows: Sequence[Row], method: str) -> list[Row]:
    """Return every change of every run of a method."""
    return [one for row in rows if row["method"] == method for one in row.get("changes", ())]


def _within(change: Row, days: int) -> bool:
    return change["delay"] is not None and change["delay"] <= days


def _mean(values: Any) -> float:
    values = list(values)
    return statistics.fmean(values) if values else math.nan


def _rate(count: int, months: float) -> str:
    low, high = poisson_range(count, months)
    return f"{count / months:6.3f} ({low:.3f} to {high:.3f}; {count} in {months:.0f} months)"


def median_delay(changes: Sequence[Row]) -> float:
    """Return the median delay, infinite where not half of the changes were found."""
    delays = sorted(math.inf if one["delay"] is None else one["delay"] for one in changes)
    return delays[len(delays) // 2] if delays else math.nan


def _power(changes: Sequence[Row]) -> str:
    parts = [round(100 * _mean(_within(one, days) for one in changes)) for days in (14, 28, 56)]
    found = sum(_within(one, 28) for one in changes)
    low, high = binomial_range(found, len(changes))
    return (
        f"{parts[0]:4d} /{parts[1]:4d} /{parts[2]:4d} %  {_days(median_delay(changes))}  "
        f"n {len(changes):3d}  (28 d: {100 * low:.0f} to {100 * high:.0f} %)"
    )


def _days(value: float) -> str:
    return "   -" if math.isinf(value) else f"{value:3.0f}d"


def _place(found: Sequence[Row]) -> str:
    parts = [
        f"F1 {_mean(one['f1'] for one in found):.3f}",
        f"exact {100 * _mean(one['exact'] for one in found):.0f} %",
        f"statements {_mean(one['statements'] for one in found):.2f}",
        f"reason {100 * _mean(one['reason_right'] for one in found):.0f} %",
    ]
    late = [one for one in found if "exact28" in one]
    if late:
        parts.append(
            f"after 28 d: F1 {_mean(one['f1_28'] for one in late):.3f} exact "
            f"{100 * _mean(one['exact28'] for one in late):.0f} % reason "
            f"{100 * _mean(one['reason_right28'] for one in late):.0f} %"
        )
    parts.extend(coverage(found, days) for days in ("0", "14", "28"))
    return "  ".join(part for part in parts if part)


def coverage(changes: Sequence[Row], days: str) -> str:
    """Return coverage of the 95 % interval and median relative bias, as text."""
    made = estimates(changes, days)
    if not made:
        return ""
    hit = _mean(abs(effect - true) <= 1.96 * error for effect, error, true in made)
    bias = statistics.median((effect - true) / true for effect, _, true in made)
    return f"+{days} d: covers {100 * hit:.0f} % bias {100 * bias:+.0f} % (n {len(made)})"


def estimates(changes: Sequence[Row], days: str) -> list[tuple[float, float, float]]:
    """Return effect, error and truth of the changes that have an estimate."""
    made = (one["estimates"][days] for one in changes if days in one.get("estimates", {}))
    return [(e, s, t) for e, s, t in made if math.isfinite(s) and s > 0 and t]


def _show_ratios(rows: Sequence[Row], method: str) -> None:
    steps = [
        one
        for row in rows
        if row["method"] == method
        for one in row.get("changes", ())
        if one["metric"] == "denial" and math.isfinite(one["rho"])
    ]
    if not steps:
        return
    print(f"\n{method}: denial changes by evidence ratio (all tenants)")
    for low, high in RATIOS:
        some = [one for one in steps if low <= one["rho"] < high]
        if some:
            print(f"  {low:.1f} to {high:.1f}  {_power(some)}")


def _show_cost(rows: Sequence[Row]) -> None:
    print("\nCPU seconds: making cube cells of the claims, and all nights of a run")
    for method in _methods(rows):
        for tenant in dict.fromkeys(row["tenant"] for row in rows):
            some = [row for row in rows if (row["method"], row["tenant"]) == (method, tenant)]
            if some:
                print(
                    f"  {method:20s}{tenant:10s}{_mean(r['claims'] for r in some):10,.0f} claims"
                    f"  cube {_mean(r['cube_seconds'] for r in some):.2f}"
                    f"  nights {_mean(r['seconds'] for r in some):.2f}"
                )


def main() -> None:
    rows = [
        row
        for name in sys.argv[1:]
        for row in json.loads(Path(name).read_text(encoding="utf-8"))["rows"]
    ]
    show(rows)


if __name__ == "__main__":
    main()
