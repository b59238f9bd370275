"""The targets of the drift room, and what a set of runs can honestly say of each.

Few runs cannot show that a target is met; they can show that it is missed: a rate or a share is
missed where the runs would be that bad with a chance below 1 % if it were met.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from bounds import is_above, is_below
from report import changes_of, estimates, median_delay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["check"]

Row = dict[str, Any]
METHOD = "claimkit"
NUISANCES = ("casemix", "season", "backlog", "growth_trend")
#: Runs from which medians and means are held to their target.
_ENOUGH = 15


def check(rows: Sequence[Row], costs: Mapping[str, Any]) -> bool:
    """Print each target that the runs speak of and return whether one is missed."""
    mine = [row for row in rows if row["method"] == METHOD]
    verdicts = [*_false_alerts(mine), *_power(mine), *_words(mine, rows), *_costs(costs)]
    if not verdicts:
        return False
    print("\ntargets (a miss is told where chance explains the runs in less than 1 of 100 cases)")
    for name, wanted, got, is_missed in verdicts:
        print(f"  {'MISSED' if is_missed else 'ok    '}  {name:44s}wanted {wanted:12s}got {got}")
    return any(verdict[3] for verdict in verdicts)


Verdict = tuple[str, str, str, bool]


def _false_alerts(rows: Sequence[Row]) -> Iterator[Verdict]:
    for tenant in dict.fromkeys(row["tenant"] for row in rows):
        for scenario in ("clean", *NUISANCES, "tenant_wide"):
            some = [r for r in rows if (r["tenant"], r["scenario"]) == (tenant, scenario)]
            if not some:
                continue
            most = 0.10 if scenario == "clean" else 0.3 if scenario == "tenant_wide" else 0.15
            if tenant == "hospital":
                most = max(most, 0.20)
            count, months = sum(r["false"] for r in some), sum(r["months"] for r in some)
            yield (
                f"{'T2' if scenario == 'tenant_wide' else 'T1'} false alerts, {tenant} {scenario}",
                f"<= {most:.2f}",
                f"{count / months:.3f} ({count} in {months:.0f} months)",
                is_above(count, months, most),
            )
            if scenario == "tenant_wide":
                told = sum(r["notices"] > 0 for r in some)
                name = f"T2 tenant-wide notice, {tenant}"
                yield _share(name, told, len(some), 0.9)


def _share(name: str, count: int, size: int, least: float) -> Verdict:
    return (
        name,
        f">= {least:.0%}",
        f"{count / size:.0%} (n {size})",
        is_below(count, size, least),
    )


def _steps(rows: Sequence[Row], *names: str, tenant: str = "") -> list[Row]:
    return [
        one
        for row in rows
        if (not names or row["scenario"] in names) and tenant in ("", row["tenant"])
        for one in row.get("changes", ())
    ]


def _found(changes: Sequence[Row], days: int) -> int:
    return sum(one["delay"] is not None and one["delay"] <= days for one in changes)


_STEPS = ("denial+2pp", "denial+5pp", "denial+10pp", "cpt+10pp", "cpt+20pp", "auth_cpt+8pp")


def _power(rows: Sequence[Row]) -> Iterator[Verdict]:
    steps = _steps(rows, *_STEPS)
    for low, high, days, least in (
        (1.5, math.inf, 28, 0.97),
        (0.7, 1.5, 28, 0.75),
        (0.7, 1.5, 56, 0.97),
        (0.3, 0.7, 28, 0.50),
        (0.3, 0.7, 56, 0.75),
    ):
        some = [one for one in steps if low <= one["rho"] < high]
        if some:
            name = f"T3 evidence ratio {low} to {high}, {days} days"
            yield _share(name, _found(some, days), len(some), least)
    strong = [
        one
        for one in _steps(rows, "denial+5pp", tenant="mid")
        if one["n28"] >= 1000 and one["axis"] == "decision"
    ]
    if strong:
        yield _share("T4 mid +5 points, large payers", _found(strong, 28), len(strong), 0.95)
        yield from _median("T4 mid +5 points, large payers", strong, 7)
    large = _steps(rows, "denial+5pp", "auth_cpt+8pp", tenant="hospital")
    if large:
        yield _share("T5 hospital +5 points, one reason", _found(large, 14), len(large), 0.98)
        yield from _median("T5 hospital +5 points, one reason", large, 4)
    yield from _median("T5 hospital allowed", _steps(rows, "allowed-3%", tenant="hospital"), 10)
    for names, tenant, days, least in (
        (("lag+10d", "outage10d"), "", 7, 0.98),
        (("lag+3d",), "mid", 14, 0.75),
        (("allowed-3%",), "mid", 28, 0.85),
        (("allowed-8%cpt",), "mid", 28, 0.80),
    ):
        some = _steps(rows, *names, tenant=tenant)
        if some:
            kind = "T6" if names[0].startswith("lag") else "T7"
            name = f"{kind} {', '.join(names)} in {days} days"
            yield _share(name, _found(some, days), len(some), least)


def _median(name: str, changes: Sequence[Row], most: float) -> Iterator[Verdict]:
    if not changes:
        return
    late = len(changes) - _found(changes, int(most))
    got = f"{median_delay(changes):.0f} d (n {len(changes)})"
    # The median is above where more than half are late, beyond chance.
    missed = is_below(len(changes) - late, len(changes), 0.5)
    yield f"{name}, median", f"<= {most:.0f} d", got, missed


def _words(rows: Sequence[Row], everything: Sequence[Row]) -> Iterator[Verdict]:
    found = [one for one in _steps(rows) if one["delay"] is not None and one["delay"] <= 56]
    single = [one for one in found if one["metric"] in ("denial", "allowed")]
    if single:
        mean = statistics.fmean(one["statements"] for one in single)
        yield (
            "T8 statements a drift",
            "<= 1.05",
            f"{mean:.2f} (n {len(single)})",
            mean > 1.05 and len(single) >= _ENOUGH,
        )
        exact = sum(one.get("exact28", one["exact"]) for one in single)
        yield _share("T8 exact segment", exact, len(single), 0.92)
        f1 = statistics.fmean(one.get("f1_28", one["f1"]) for one in single)
        yield "T8 F1", ">= 0.96", f"{f1:.3f}", f1 < 0.96 and len(single) >= 4 * _ENOUGH
        reasons = [one for one in single if one["metric"] == "denial"]
        if reasons:
            right = sum(one.get("reason_right28", one["reason_right"]) for one in reasons)
            yield _share("T8 reason right", right, len(reasons), 0.95)
    for days in ("14", "28"):
        made = estimates([one for one in found if one["metric"] != "lag"], days)
        if made:
            hit = sum(abs(effect - true) <= 1.96 * error for effect, error, true in made)
            yield _share(f"T9 interval after {days} days", hit, len(made), 0.93)
            bias = statistics.median((effect - true) / true for effect, _, true in made)
            yield (
                f"T9 median bias after {days} days",
                "<= 5 %",
                f"{bias:+.1%} (n {len(made)})",
                abs(bias) > 0.05 and len(made) >= 4 * _ENOUGH,
            )
    drifts = [row for row in rows if "collateral" in row and len(row["changes"]) == 1]
    if drifts:
        count = sum(row["collateral"] for row in drifts)
        yield (
            "T10 alerts about other payers, a drift",
            "<= 0.20",
            f"{count / len(drifts):.2f} (n {len(drifts)})",
            is_above(count, len(drifts), 0.20),
        )
    yield from _against_oracle(rows, everything)


def _against_oracle(rows: Sequence[Row], everything: Sequence[Row]) -> Iterator[Verdict]:
    ideal = [
        one
        for one in changes_of(everything, "oracle")
        if one["metric"] == "denial" and one["rho"] >= 0.3
    ]
    ours = [one for one in _steps(rows, *_STEPS) if one["rho"] >= 0.3]
    if ideal and ours:
        ratio = median_delay(ours) / max(median_delay(ideal), 1.0)
        yield (
            "T13 median delay against the oracle's",
            "<= 2.2",
            f"{ratio:.1f} (n {len(ours)})",
            ratio > 2.2 and len(ours) >= 2 * _ENOUGH,
        )


def _costs(costs: Mapping[str, Any]) -> Iterator[Verdict]:
    for name, (got, most, unit) in costs.items():
        yield f"T11 {name}", f"<= {most:g} {unit}", f"{got:.3g} {unit}", got > most
