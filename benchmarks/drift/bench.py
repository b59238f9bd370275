"""Benchmark of payer-drift detection: ``python benchmarks/drift/bench.py --quick``.

Simulates tenants with and without labeled changes, runs each method over the nights, and prints
what it costs in false alerts and what it finds when. Results are read with ``report.py``; how to
read them is in ``docs/explanation/drift-benchmark.md``.

``--quick`` is for every change of the code: a few runs, and exit code 1 where they say that a
target is missed. ``--full`` is for releases: all scenarios, tenants and methods, hours of one core;
with ``--time-limit`` it stops early, balanced over scenarios because seeds are the outer loop.
Seeds from 9000 on are kept for acceptance: do not develop against them.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cost
import report
import targets
from cells import cells_of
from library import claimkit, claimkit_volume, claimkit_watch
from peers import METHODS as PEERS
from peers import Method, missing
from scenario import DRIFTS, NULLS, SCENARIOS, load_scenarios
from score import score
from simulation import TENANTS, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scenario import Scenario

METHODS: Mapping[str, Method] = {
    "claimkit": Method(claimkit),
    "claimkit-watch": Method(claimkit_watch),
    "claimkit-volume": Method(claimkit_volume),
    **PEERS,
}
#: What ``--quick`` runs: tenant, scenario, seeds.
_QUICK = (
    ("mid", "clean", 3),
    ("mid", "casemix", 2),
    ("mid", "tenant_wide", 1),
    ("small", "season", 2),
    ("mid", "denial+5pp", 3),
    ("mid", "denial+10pp", 2),
    ("mid", "auth_cpt+8pp", 2),
    ("mid", "lag+10d", 1),
    ("small", "outage10d", 2),
    ("mid", "allowed-3%", 2),
)
#: Tenants whose cells are too many for methods that loop over claims.
_SLOW = {"adwin", "page-hinkley", "pelt"}


@dataclass(frozen=True, slots=True)
class Job:
    """One simulated tenant."""

    tenant: str
    scenario: Scenario
    seed: int


def main() -> int:
    """Run the benchmark; 1 where a target is missed."""
    options = _options()
    started = time.perf_counter()
    scenarios = dict(SCENARIOS)
    added: list[str] = []
    for path in options.scenario_file:
        loaded = load_scenarios(path)
        scenarios.update(loaded)
        added.extend(loaded)
    methods = _methods(options)
    jobs = list(_jobs(options, scenarios, added))
    rows: list[dict[str, Any]] = []
    for at, job in enumerate(jobs):
        spent = time.perf_counter() - started
        if spent > options.time_limit:
            print(f"time limit: {at} of {len(jobs)} runs done", file=sys.stderr)
            break
        _tell(job, at, len(jobs), spent)
        rows.extend(_run(job, methods))
        if options.out:
            _write(options.out, rows)
    costs = cost.measure() if options.quick or options.full else {}
    if options.out:
        _write(options.out, rows, costs)
    report.show(rows)
    cost.show(costs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{time.perf_counter() - started:.0f} s, {peak:.0f} MB at most")
    missed = targets.check(rows, costs)
    return int(missed and options.quick)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few runs; fails on missed targets")
    parser.add_argument("--full", action="store_true", help="everything; hours")
    parser.add_argument("--methods", default="", help=f"comma list of {', '.join(METHODS)}")
    parser.add_argument("--tenants", default="", help=f"comma list of {', '.join(TENANTS)}")
    parser.add_argument("--scenarios", default="", help="comma list; nulls and drifts are all")
    parser.add_argument("--seeds", type=int, default=0, help="runs of each tenant and scenario")
    parser.add_argument("--seed0", type=int, default=1000, help="first seed")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    parser.add_argument("--time-limit", type=float, default=float("inf"), help="seconds")
    parser.add_argument(
        "--scenario-file", type=Path, action="append", default=[], help="JSON or TOML"
    )
    return parser.parse_args()


def _methods(options: argparse.Namespace) -> dict[str, Method]:
    names = options.methods.split(",") if options.methods else list(METHODS)
    if not options.methods and not options.full:
        names = ["claimkit"]
    chosen = {}
    for name in names:
        if name not in METHODS:
            raise SystemExit(f"unknown method {name!r}; there are {', '.join(METHODS)}")
        if missing(METHODS[name]):
            print(f"{name}: left out, {METHODS[name].needs} is not installed", file=sys.stderr)
        else:
            chosen[name] = METHODS[name]
    return chosen


def _jobs(
    options: argparse.Namespace, scenarios: Mapping[str, Scenario], added: Sequence[str]
) -> Iterator[Job]:
    chosen = options.tenants or options.scenarios or options.seeds or added
    if options.quick and not chosen:
        for tenant, name, seeds in _QUICK:
            for seed in range(seeds):
                yield Job(tenant, scenarios[name], options.seed0 + seed)
        return
    tenants = options.tenants.split(",") if options.tenants else list(TENANTS)
    names = options.scenarios.split(",") if options.scenarios else list(added or scenarios)
    names = [
        name
        for one in names
        for name in (NULLS if one == "nulls" else DRIFTS if one == "drifts" else (one,))
    ]
    for name in names:
        if name not in scenarios:
            raise SystemExit(f"unknown scenario {name!r}; there are {', '.join(scenarios)}")
    for seed in range(options.seeds or (40 if options.full else 4)):
        for tenant in tenants:
            if tenant == "hospital" and not options.seeds and seed >= 8:
                continue
            for name in names:
                yield Job(tenant, scenarios[name], options.seed0 + seed)


def _run(job: Job, methods: Mapping[str, Method]) -> Iterator[dict[str, Any]]:
    claims = simulate(job.tenant, job.scenario, job.seed)
    started = time.process_time()
    cube = cells_of(claims)
    cube_seconds = time.process_time() - started
    for name, method in methods.items():
        if (method.is_oracle and job.scenario.is_null) or (
            name in _SLOW and job.tenant == "hospital"
        ):
            continue
        started = time.process_time()
        alerts = method.run(claims, cube)
        yield {
            "tenant": job.tenant,
            "method": name,
            "seed": job.seed,
            "claims": len(claims.payer),
            "cube_seconds": cube_seconds,
            "seconds": time.process_time() - started,
            **score(alerts, claims, job.scenario),
        }


def _tell(job: Job, done: int, total: int, spent: float) -> None:
    left = f", about {spent / done * (total - done):.0f} s left" if done else ""
    line = f"{done + 1}/{total} {job.tenant} {job.scenario.name} seed {job.seed}{left}"
    end = "\r" if sys.stderr.isatty() else "\n"
    if sys.stderr.isatty() or done % max(1, total // 20) == 0:
        print(f"{line:78s}", end=end, file=sys.stderr, flush=True)


def _write(
    path: Path, rows: Sequence[dict[str, Any]], costs: Mapping[str, Any] | None = None
) -> None:
    path.write_text(json.dumps({"rows": rows, "costs": costs or {}}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
