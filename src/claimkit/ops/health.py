"""Whether the site is well: checks that are asked at once, in a box of time.

The story: :meth:`Examiner.examine` starts a thread per check, waits no longer than it may, and tells
what each found. A check that hangs fails, and is not asked again before it has come back: hanging
threads never pile up. Answers are kept for a moment, and who asks meanwhile gets the same ones, so
that an open address costs nobody the database.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from claimkit.types import Json

__all__ = ["Answer", "Check", "Checkup", "Examiner", "Status", "Vital"]

logger = logging.getLogger(__name__)


class Status(StrEnum):
    """How something fares, from best to worst."""

    OK = "ok"
    #: It works, and somebody should look.
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """What a check found."""

    status: Status = Status.OK
    #: In plain words what is wrong and what to do; empty where all is well. No personal details.
    note: str = ""
    #: Numbers to look at, such as ``{"due": 3}``.
    figures: Mapping[str, int | float] = field(default_factory=dict)


class Check(Protocol):
    """Looks at one thing. May be slow or raise; both are failures."""

    @property
    def name(self) -> str:
        """Stable, snake_case, told to operators."""
        ...

    def look(self) -> Vital:
        """Look now, in a thread of its own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a check found, and how long it took."""

    check: str
    vital: Vital
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What was found of all that was asked."""

    answers: Sequence[Answer]

    @property
    def status(self) -> Status:
        """The worst of all."""
        return max(
            (one.vital.status for one in self.answers), default=Status.OK, key=list(Status).index
        )

    def as_json(self) -> dict[str, Json]:
        """Return it as JSON, with all details."""
        return {
            "status": self.status.value,
            "checks": {
                one.check: {
                    "status": one.vital.status.value,
                    "milliseconds": round(one.milliseconds, 1),
                    **({"note": one.vital.note} if one.vital.note else {}),
                    **({"figures": dict(one.vital.figures)} if one.vital.figures else {}),
                }
                for one in self.answers
            },
        }


class _Looking:
    """One look of one check, in a thread."""

    def __init__(
        self,
        check: Check,
        scope: Callable[[], AbstractContextManager[object]],
        clock: Callable[[], float],
    ) -> None:
        self.check = check
        self.vital: Vital | None = None
        self._scope, self._clock = scope, clock
        self.began = self.ended = clock()
        self._thread = threading.Thread(
            target=self._look, name=f"claimkit-check-{check.name}", daemon=True
        )
        self._thread.start()

    def _look(self) -> None:
        try:
            with self._scope():
                found = self.check.look()
        except Exception as error:
            # Isolation point: whatever a check raises is what it found.
            logger.warning("a check failed", exc_info=True, extra={"check": self.check.name})
            found = Vital(
                status=Status.FAILING, note=f"raised {type(error).__name__}; the log tells more"
            )
        self.ended = self._clock()
        self.vital = found

    @property
    def is_under_way(self) -> bool:
        return self._thread.is_alive()

    def answer(self, *, wait: float) -> Answer:
        self._thread.join(max(wait, 0.0))
        found = self.vital
        if found is None:
            took = self._clock() - self.began
            late = Vital(status=Status.FAILING, note="has not answered in time")
            return Answer(check=self.check.name, vital=late, milliseconds=took * 1_000)
        return Answer(
            check=self.check.name, vital=found, milliseconds=(self.ended - self.began) * 1_000
        )


class Examiner:
    """Asks checks, all at once; safe to be shared by threads.

    Args:
        checks: What is asked; names are unique.
        seconds: How long one examination may take.
        keep_seconds: How long an answer is kept.
        scope: Entered in the thread of each check, such as one that closes its connections.
        clock: Seconds that never go back.

    Raises:
        ValueError: two checks have one name.
    """

    def __init__(
        self,
        checks: Iterable[Check],
        *,
        seconds: float,
        keep_seconds: float = 0.0,
        scope: Callable[[], AbstractContextManager[object]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        listed = list(checks)
        self._checks = {one.name: one for one in listed}
        if len(self._checks) < len(listed):
            raise ValueError("two checks have one name")
        self._seconds, self._keep_seconds = seconds, keep_seconds
        self._scope, self._clock = scope, clock
        self._lock = threading.Lock()
        self._looking: dict[str, _Looking] = {}
        self._kept: dict[str, tuple[float, Answer]] = {}

    @property
    def names(self) -> frozenset[str]:
        """Names of the checks."""
        return frozenset(self._checks)

    def examine(self, only: Collection[str] | None = None) -> Checkup:
        """Ask the checks named in ``only``, or all; returns after ``seconds`` at the latest.

        Names of checks that are not there are left out.
        """
        names = [one for one in self._checks if only is None or one in only]
        with self._lock:
            begun = self._clock()
            asked = [one for one in names if not self._is_kept(one, begun)]
            for name in asked:
                looking = self._looking.get(name)
                if looking is None or not looking.is_under_way:
                    self._looking[name] = _Looking(self._checks[name], self._scope, self._clock)
            for name in asked:
                left = self._seconds - (self._clock() - begun)
                answer = self._looking[name].answer(wait=left)
                self._kept[name] = (self._clock(), answer)
            return Checkup(answers=[self._kept[one][1] for one in names])

    def _is_kept(self, name: str, now: float) -> bool:
        kept = self._kept.get(name)
        return kept is not None and now - kept[0] < self._keep_seconds
