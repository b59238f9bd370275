"""Reading X12 835: ours beside the alternatives, and the same memory for a file of any size.

Without options it takes less than a minute and is what CI runs: it fails where what was read is not
what was written, where memory grows with the file, or where a ratio falls below its floor. Absolute
targets are printed beside what was measured; they depend on the machine and on what else it does,
so they fail only with ``--strict``. ``--full`` reads 100 MB.

Every measurement is a process of its own (``contenders.py``); rounds are interleaved, there and back,
and the fastest counts, because whatever else the machine does only ever adds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from contenders import CONTENDERS
from remits import Written, write_remits

_OURS = "claimkit-x12"
_MEBI = 1 << 20
#: Targets for one core: megabytes and claims per CPU second.
_TARGETS = {"megabytes": 10.0, "claims": 25_000.0}
#: Peak of the whole process, interpreter and imports included, for a file of any size.
_MOST_MEMORY = 64 * _MEBI
#: How much more memory a file of many times the size may take.
_MOST_GROWTH = 4 * _MEBI
#: How many times slower than ours the others are at least, claims included or not. Half of what was
#: measured, so that it tells of what became slow and not of a busy machine.
_FLOORS = {"pyx12 segments": 1.1, "pyx12 loops": 22.0}
#: How many times slower than splitting into elements we may be, for claims with exact money and dates.
_CEILING = 20.0


class _Sizes(NamedTuple):
    small: int
    large: int
    rounds: int


_SHORT = _Sizes(small=5_000_000, large=15_000_000, rounds=3)
_FULL = _Sizes(small=5_000_000, large=104_000_000, rounds=3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="measure 100 MB, in some minutes")
    parser.add_argument("--strict", action="store_true", help="fail below the absolute targets too")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    sizes = _FULL if arguments.full else _SHORT
    with tempfile.TemporaryDirectory() as folder:
        results = _Bench(Path(folder), sizes).results()
    failures, missed = _failures(results), _missed(results)
    if arguments.format == "json":
        report = {"results": results, "failures": failures, "targets_missed": missed}
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_lines(results, failures, missed)))
    return 1 if failures or (missed and arguments.strict) else 0


class _Bench:
    """Runs each contender on the largest file that it can take, and ours on two."""

    def __init__(self, folder: Path, sizes: _Sizes) -> None:
        self._folder = folder
        self._sizes = sizes
        write_remits(folder / "warm.835", 1)
        self._written: dict[int, tuple[Path, Written]] = {}
        for size in (200_000, sizes.small, sizes.large):
            path = folder / f"{size}.835"
            self._written[size] = path, write_remits(path, size)

    def results(self) -> list[dict[str, Any]]:
        """Return one row per contender and size: the fastest of the rounds."""
        plan = [(name, self._size_for(name)) for name in CONTENDERS]
        plan.append((_OURS, self._sizes.large))
        best: dict[tuple[str, int], dict[str, Any]] = {}
        for round_ in range(self._sizes.rounds):
            for name, size in plan if round_ % 2 == 0 else reversed(plan):
                if "error" in best.get((name, size), {}):
                    continue
                row = self._measure(name, size)
                kept = best.get((name, size))
                if kept is None or row.get("seconds", 0) < kept["seconds"]:
                    best[name, size] = row
        return [best[one] for one in plan]

    def _size_for(self, name: str) -> int:
        most = CONTENDERS[name].most
        return self._sizes.small if most >= self._sizes.small else 200_000

    def _measure(self, name: str, size: int) -> dict[str, Any]:
        path, written = self._written[size]
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("contenders.py"), name, path],
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        if done.returncode:
            told = {"error": done.stderr.strip().rpartition("\n")[2] or "ended without a word"}
        else:
            told = json.loads(done.stdout)
        row = {"name": name, "gives": CONTENDERS[name].gives, "size": written.size, **told}
        if "seconds" in row:
            row["megabytes_per_second"] = written.size / 1e6 / row["seconds"]
            row["claims_per_second"] = written.claims / row["seconds"]
            row["is_exact"] = (row["claims"], row["lines"]) == (written.claims, written.lines) and (
                row["paid"] in (None, written.paid)
            )
        return row


def _ours(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was measured of the reader on the small and on the large file."""
    return [one for one in results if one["name"] == _OURS]


def _times_slower(results: list[dict[str, Any]], name: str) -> float | None:
    """Return how many times longer than ours a megabyte takes; None where it was not measured."""
    # How fast it reads does not depend on the size: whatever slowed one down was the machine.
    ours = [one["megabytes_per_second"] for one in _ours(results) if "seconds" in one]
    other = next(one for one in results if one["name"] == name)
    if "seconds" not in other or not ours:
        return None
    return float(max(ours) / other["megabytes_per_second"])


def _failures(results: list[dict[str, Any]]) -> list[str]:
    told = [f"{_OURS}: {one['error']}" for one in _ours(results) if "error" in one]
    if told:
        return told
    small, large = _ours(results)
    told += [
        f"{one['size']:,} bytes were not read as they were written"
        for one in (small, large)
        if not one["is_exact"] or one["odd"]
    ]
    if large["peak"] > _MOST_MEMORY:
        told.append(f"peak of {large['peak'] / _MEBI:.0f} MiB, more than {_MOST_MEMORY // _MEBI}")
    if large["peak"] - small["peak"] > _MOST_GROWTH:
        growth = (large["peak"] - small["peak"]) / _MEBI
        told.append(f"memory grew by {growth:.1f} MiB, more than {_MOST_GROWTH // _MEBI}")
    for name, floor in _FLOORS.items():
        slower = _times_slower(results, name)
        if slower is not None and slower < floor:
            told.append(f"{name} takes {slower:.1f} times as long as ours, less than {floor}")
    split = _times_slower(results, "split elements")
    if split is not None and 1 / split > _CEILING:
        told.append(
            f"{1 / split:.0f} times as long as splitting elements, more than {_CEILING:.0f}"
        )
    return told


def _missed(results: list[dict[str, Any]]) -> list[str]:
    large = _ours(results)[-1]
    return [
        f"{large[f'{unit}_per_second']:,.0f} {unit} per CPU second, target {target:,.0f}"
        for unit, target in _TARGETS.items()
        if f"{unit}_per_second" in large and large[f"{unit}_per_second"] < target
    ]


def _lines(results: list[dict[str, Any]], failures: list[str], missed: list[str]) -> list[str]:
    lines = [
        f"{'reader':<26} {'gives':<8} {'file':>8} {'MB/s':>7} {'claims/s':>9} {'peak':>8}  ours"
    ]
    for one in results:
        told = f"{one['name'] + ' ' + one.get('version', ''):<26} {one['gives']:<8} "
        told += f"{one['size'] / 1e6:>5.1f} MB"
        if "error" in one:
            lines.append(f"{told} {one['error']}")
            continue
        slower = _times_slower(results, one["name"])
        factor = "" if slower is None or one["name"] == _OURS else f"  {_factor(slower)}"
        lines.append(
            f"{told} {one['megabytes_per_second']:>7.2f} {one['claims_per_second']:>9,.0f} "
            f"{one['peak'] / _MEBI:>4.0f} MiB{factor}{'' if one['is_exact'] else '  WRONG COUNTS'}"
        )
    lines.append("")
    small, large = (one.get("peak", 0) / _MEBI for one in _ours(results))
    lines.append(f"memory: {small:.1f} MiB for the small file, {large:.1f} MiB for the large one")
    lines += [f"below target: {one}" for one in missed]
    lines += [f"FAILED: {one}" for one in failures] or ["every ratio holds"]
    return lines


def _factor(slower: float) -> str:
    return f"{slower:.1f} times as fast" if slower >= 1 else f"1/{1 / slower:.1f} as fast"


if __name__ == "__main__":
    sys.exit(main())
