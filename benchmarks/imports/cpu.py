"""CPU seconds of this process and of a database server with all that it started."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """The processes of one PostgreSQL server; without a postmaster it uses no CPU."""

    def __init__(self, postmaster: int | None) -> None:
        self._postmaster = postmaster

    def seconds(self) -> float:
        """Return CPU seconds so far: the postmaster's, its children's, and the ended ones'."""
        if self._postmaster is None:
            return 0.0
        ticks = _ticks(self._postmaster, reaped=True)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent(entry) == self._postmaster:
                ticks += _ticks(int(entry.name), reaped=False)
        return ticks / _TICKS


def _fields(entry: Path) -> list[str]:
    try:
        # The name of the program is in parentheses and may hold anything.
        return entry.joinpath("stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _parent(entry: Path) -> int:
    fields = _fields(entry)
    return int(fields[1]) if fields else 0


def _ticks(process: int, *, reaped: bool) -> int:
    fields = _fields(Path("/proc") / str(process))
    return sum(map(int, fields[11 : 15 if reaped else 13])) if fields else 0


class Stopwatch:
    """CPU seconds of client and server, and wall seconds, since it was made."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client, self._wall = time.process_time(), time.perf_counter()
        self._database = server.seconds()

    def read(self) -> dict[str, float]:
        """Return what has passed."""
        client = time.process_time() - self._client
        server = self._server.seconds() - self._database
        return {
            "client": round(client, 3),
            "server": round(server, 3),
            "cpu": round(client + server, 3),
            "wall": round(time.perf_counter() - self._wall, 3),
        }


def peak_megabytes() -> float:
    """Return the largest resident size that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
