"""Draining webhooks to a receiver on this machine, against the bare limit, in one run.

``bench.py`` takes half a minute: four workers drain what waits, then, with workers that are warm, a
single event at a time is timed from its commit to the first byte at the receiver. ``--full`` takes some minutes. It fails
where something was lost or sent twice, or where a ratio falls below its floor. Absolute targets
are printed beside what was measured; they depend on the machine and fail only with ``--strict``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent.parent))

import psycopg  # noqa: E402

from tests.postgres import postgres_url, stop  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORKERS = 4
_ENDPOINTS = 16
#: Events that are sent before latency is measured.
_WARM = 20
#: Targets on two cores.
_DRAINED, _P99_MS = 1_000.0, 250.0
#: Shares of the bare limit below which something became slow: draining at half of what was
#: measured, signing at its target.
_FLOORS = {"drained": 0.15, "signed": 0.7}


class _Sizes(NamedTuple):
    deliveries: int
    on_sqlite: int
    events: int


_SHORT = _Sizes(deliveries=8_000, on_sqlite=2_000, events=150)
_FULL = _Sizes(deliveries=80_000, on_sqlite=20_000, events=2_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="some minutes")
    parser.add_argument("--strict", action="store_true", help="fail below absolute targets too")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    asked = parser.parse_args()
    sizes = _FULL if asked.full else _SHORT
    try:
        with tempfile.TemporaryDirectory() as folder:
            told = _measure(Path(folder), sizes)
    finally:
        stop()
    wrong, missed = _wrong(told), _missed(told)
    if asked.format == "json":
        print(json.dumps({"results": told, "failures": wrong, "targets_missed": missed}, indent=2))
    else:
        print("\n".join([*_lines(told), *wrong, *missed]))
    return 1 if wrong or (missed and asked.strict) else 0


def _measure(folder: Path, sizes: _Sizes) -> dict[str, Any]:
    told: dict[str, Any] = {"signed": _run("sign", "--count", "20000")}
    with _role("receive") as receiver:
        told["bare"] = _rate(_together(_Process("post", "--port", receiver.port, "--count", 5_000)))
    for vendor, count, workers in (
        ("PostgreSQL", sizes.deliveries, _WORKERS),
        ("SQLite", sizes.on_sqlite, 1),
    ):
        told[vendor] = _drain(_database(vendor, folder), count, workers)
    told["latency_ms"] = _latency(_database("PostgreSQL", folder), sizes.events)
    return told


def _drain(url: str, count: int, workers: int) -> dict[str, Any]:
    with _role("receive") as receiver:
        staged = _run(
            *("stage", "--url", url, "--port", receiver.port),
            *("--count", count, "--endpoints", _ENDPOINTS),
        )
        crew = [_Process("work", "--url", url, "--threads", 2) for _ in range(workers)]
        ended = _together(*crew)
    return {
        "rate": _rate(ended),
        "cpu_ms": 1_000 * sum(one["cpu"] for one in ended) / staged["deliveries"],
        "deliveries": staged["deliveries"],
        "done": sum(one["done"] for one in ended),
        "received": receiver.told["count"],
    }


def _latency(url: str, events: int) -> dict[str, float]:
    with _role("receive") as receiver:
        _run("stage", "--url", url, "--port", receiver.port, "--count", 0, "--endpoints", 4)
        crew = [_Process("serve", "--url", url, "--threads", 2) for _ in range(_WORKERS)]
        for one in crew:
            one.ready()
            one.go()
        # Workers that have just started still import and connect: told by itself, beside the others.
        (first,) = _together(_Process("publish", "--url", url, "--count", _WARM))
        (publisher,) = _together(_Process("publish", "--url", url, "--count", events))
        published = publisher["committed"]
        for one in crew:
            one.process.terminate()
            one.read()
    arrived = receiver.told["arrived"]
    cold, waits = (
        sorted(1_000 * (arrived[uid] - at) for uid, at in one.items() if uid in arrived)
        for one in (first["committed"], published)
    )
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    return {
        "lost": events + _WARM - len(waits) - len(cold),
        "p50": cuts[49],
        "p99": cuts[98],
        "max": waits[-1],
        "cold": cold[-1],
    }


def _rate(ended: list[dict[str, Any]]) -> float:
    seconds = max(one["ended"] for one in ended) - min(one["began"] for one in ended)
    return float(sum(one["done"] for one in ended) / seconds)


def _wrong(told: dict[str, Any]) -> list[str]:
    wrong = []
    for vendor in ("PostgreSQL", "SQLite"):
        one = told[vendor]
        if not one["deliveries"] == one["done"] == one["received"]:
            wrong.append(f"{vendor}: {one['deliveries']} due, {one['received']} received")
    if told["latency_ms"]["lost"]:
        wrong.append(f"{told['latency_ms']['lost']} events did not arrive")
    if told["PostgreSQL"]["rate"] < _FLOORS["drained"] * told["bare"]:
        wrong.append(f"drained at {told['PostgreSQL']['rate'] / told['bare']:.2f} of the limit")
    if _signed(told) < _FLOORS["signed"]:
        wrong.append(f"signed at {_signed(told):.2f} of the limit")
    return wrong


def _missed(told: dict[str, Any]) -> list[str]:
    missed = []
    if told["PostgreSQL"]["rate"] < _DRAINED:
        missed.append(f"target missed: {_DRAINED:,.0f} deliveries a second")
    if told["latency_ms"]["p99"] > _P99_MS:
        missed.append(f"target missed: p99 of {_P99_MS:.0f} ms")
    if told["latency_ms"]["cold"] > _P99_MS:
        missed.append(f"target missed: {_P99_MS:.0f} ms just after workers start")
    return missed


def _signed(told: dict[str, Any]) -> float:
    return float(told["signed"]["ours"] / told["signed"]["bare"])


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield f"{'work':44}{'a second':>12}{'of limit':>10}{'CPU ms':>9}"
    yield f"{'POST over a kept connection, nothing else':44}{told['bare']:>12,.0f}"
    for vendor, how in (("PostgreSQL", f"{_WORKERS} workers"), ("SQLite", "1 worker")):
        one = told[vendor]
        yield (
            f"{f'drained with bookkeeping, {vendor}, {how}':44}{one['rate']:>12,.0f}"
            f"{one['rate'] / told['bare']:>10.2f}{one['cpu_ms']:>9.2f}"
        )
    signed = told["signed"]
    yield f"{'HMAC of 1 KiB, nothing else':44}{signed['bare']:>12,.0f}"
    yield f"{'signed, 1 KiB':44}{signed['ours']:>12,.0f}{_signed(told):>10.2f}"
    late = told["latency_ms"]
    yield (
        f"commit to first byte: p50 {late['p50']:.1f} ms, p99 {late['p99']:.1f} ms,"
        f" longest {late['max']:.1f} ms; just after workers start, longest {late['cold']:.1f} ms"
    )


# -- processes --------------------------------------------------------------------------------


class _Process:
    """A role in a process of its own."""

    def __init__(self, role: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(_HERE / "roles.py"), role, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_HERE,
        )
        self.port = 0
        self.told: dict[str, Any] = {}

    def ready(self) -> dict[str, Any]:
        """Wait until it has everything loaded."""
        return self._line()

    def go(self) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        """Return what it says at its end."""
        assert self.process.stdin is not None
        if self.port:
            # A receiver ends with its input.
            self.process.stdin.close()
        self.told = self._line()
        self.process.stdin.close()
        if self.process.wait(60):
            raise SystemExit(self.process.returncode)
        return self.told

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process of the benchmark ended without a word")
        told: dict[str, Any] = json.loads(line)
        return told


def _together(*crew: _Process) -> list[dict[str, Any]]:
    """Let processes begin once all are ready; return what each says at its end."""
    for one in crew:
        one.ready()
    for one in crew:
        one.go()
    return [one.read() for one in crew]


def _run(role: str, *arguments: object) -> dict[str, Any]:
    return _Process(role, *arguments).read()


@contextmanager
def _role(role: str) -> Iterator[_Process]:
    one = _Process(role)
    one.port = one.ready()["port"]
    yield one
    one.read()


_made = 0


def _database(vendor: str, folder: Path) -> str:
    global _made  # noqa: PLW0603
    _made += 1
    name = f"webhooks{_made}"
    if vendor == "SQLite":
        return f"sqlite://{folder / name}.sqlite3"
    url = postgres_url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.replace("@/postgres", f"@/{name}")


if __name__ == "__main__":
    sys.exit(main())
