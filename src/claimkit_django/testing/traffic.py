"""Reads and writes of others while a migration runs, and how long the slowest of them waited.

Each statement runs again and again in a thread and a connection of its own, in autocommit, until
the block ends. What a statement takes then includes what it waits for locks.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

__all__ = ["Lane", "LiveTraffic"]


@dataclass(slots=True)
class Lane:
    """One statement that runs again and again."""

    statement: str
    #: Milliseconds of each run that ended.
    took_ms: list[float] = field(default_factory=list)
    #: What went wrong, as text; empty when all is well.
    errors: list[str] = field(default_factory=list)


class LiveTraffic:
    """Run statements over and over while the block runs.

    ::

        with LiveTraffic(["SELECT …", "INSERT …"]) as traffic:
            call_command("migrate", …)
        assert traffic.errors == []
        assert traffic.longest_ms <= 100

    On a machine that does other work too, a run may be slower than its locks make it: measure
    again before you believe that a migration stalls. It is never faster.

    Args:
        statements: SQL without parameters; reads and writes that the application does.
        using: Alias of the database.
        pause_seconds: Between two runs of a statement.
    """

    def __init__(
        self,
        statements: Sequence[str],
        *,
        using: str = DEFAULT_DB_ALIAS,
        pause_seconds: float = 0.002,
    ) -> None:
        self.lanes = [Lane(statement) for statement in statements]
        self._using = using
        self._pause_seconds = pause_seconds
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def longest_ms(self) -> float:
        """The longest that any statement took, in milliseconds."""
        return max((max(lane.took_ms, default=0.0) for lane in self.lanes), default=0.0)

    @property
    def errors(self) -> list[str]:
        """What went wrong in any lane."""
        return [error for lane in self.lanes for error in lane.errors]

    def __enter__(self) -> Self:
        """Start, and wait until every statement ran once."""
        for lane in self.lanes:
            ready = threading.Event()
            thread = threading.Thread(target=self._drive, args=(lane, ready), daemon=True)
            thread.start()
            self._threads.append(thread)
            ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let every statement end that runs, and stop."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _drive(self, lane: Lane, ready: threading.Event) -> None:
        connection: Any = connections[self._using]
        try:
            with connection.cursor() as cursor:
                cursor.execute(lane.statement)
                ready.set()
                while not self._ended.wait(self._pause_seconds):
                    started = time.perf_counter()
                    cursor.execute(lane.statement)
                    lane.took_ms.append((time.perf_counter() - started) * 1000)
        except DatabaseError as error:
            lane.errors.append(f"{type(error).__name__}: {error}")
        finally:
            ready.set()
            connection.close()
