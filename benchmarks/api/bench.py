"""What a request to the API costs, in one process and without a network: ratios, and limits.

``python benchmarks/api/bench.py`` fills a tenant with 100,000 claims and takes some minutes;
``--full`` fills 1,000,000. It fails where a deep page costs more than the first, a 304 more than a
part of a 200, or a read more queries than it may. Milliseconds are wall time of a request through
all middleware on this machine, and of CPU of this process, which others take less from; the ratios
are of the same run, measured in turns. What gunicorn serves of it is in ``serve.py``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

_BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_BENCHMARKS.parent), str(_BENCHMARKS / "imports")]

from site_of_requests import DEEP, set_up  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

#: Ratio, and what it must not exceed.
_CEILINGS = {"deep page / first page": 1.5, "304 / 200": 0.6}
#: Milliseconds that are the aim at any number of claims; told, not enforced: the machine is shared.
_AIMS = {"first page": 40.0, "deep page": 40.0, "304": 1.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="1,000,000 claims instead of 100,000")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    with set_up(1_000_000 if arguments.full else 100_000) as site:
        return _report(site, arguments.rounds)


def _report(site: Any, rounds: int) -> int:
    asked: dict[str, Callable[[], Any]] = {
        "first page": lambda: site.get("/api/v1/claims/"),
        "deep page": lambda: site.get(site.deep),
        "one payer": lambda: site.get("/api/v1/claims/?payer=PAYER%203"),
        "detail": lambda: site.get(site.detail),
        "payer summary": lambda: site.get("/api/v1/claims/payer-summary/"),
        "dashboard": lambda: site.get("/api/v1/dashboard/"),
        "304": lambda: site.get("/api/v1/claims/", etag=site.etag),
    }
    times: dict[str, list[float]] = {name: [] for name in asked}
    cpu: dict[str, list[float]] = {name: [] for name in asked}
    for name, ask in asked.items():
        assert ask().status_code == (304 if name == "304" else 200), name
    for _ in range(rounds):
        for name, ask in asked.items():
            began, spent = time.perf_counter(), time.process_time()
            ask()
            cpu[name].append(1_000 * (time.process_time() - spent))
            times[name].append(1_000 * (time.perf_counter() - began))
    load = os.getloadavg()[0]
    print(
        f"{site.claims:,} claims, {site.vendor}; deep is page {DEEP}; {rounds} rounds; load {load}\n"
    )
    print(f"{'':<16}{'p50 ms':>9}{'p99 ms':>9}{'CPU p50':>9}{'CPU p99':>9}{'queries':>9}")
    for name, found in times.items():
        queries = site.queries(asked[name])
        shown = (*_figures(found), *_figures(cpu[name]))
        print(f"{name:<16}" + "".join(f"{one:>9.2f}" for one in shown) + f"{queries:>9}")
    median = {name: statistics.median(found) for name, found in times.items()}
    ratios = {
        "deep page / first page": median["deep page"] / median["first page"],
        "304 / 200": median["304"] / median["first page"],
    }
    print()
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} (at most {_CEILINGS[name]})")
    for name, aim in _AIMS.items():
        print(f"{name}: p99 {_p99(times[name]):.2f} ms (aim {aim:g} ms)")
    return int(any(ratio > _CEILINGS[name] for name, ratio in ratios.items()))


def _figures(found: list[float]) -> tuple[float, float]:
    return statistics.median(found), _p99(found)


def _p99(found: list[float]) -> float:
    return sorted(found)[int(0.99 * (len(found) - 1))]


if __name__ == "__main__":
    sys.exit(main())
