"""What must be told, until it is told: the life of a delivery, back-off, and the outbox port.

A delivery is *due* at an instant; a worker *leases* it for a while; then it is *done*, due again
later, *dead*, or *cancelled*. Whoever settles must hold the lease: its token fences out a worker
that was paused until somebody else took over. So a crash costs a repetition and never a loss.

Deliveries run in *lanes*, one per receiver. A lane that is held is skipped, and no lane gets more
at a time than its width: a slow or dead receiver delays nobody but itself. Within a lane the
earliest due come first, in no promised order, except where they share a *queue*: of a queue only
the first that is not over can be leased.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from claimkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from claimkit.types import TenantKey

__all__ = [
    "Backoff",
    "Delivery",
    "DeliveryState",
    "Ending",
    "Lane",
    "Lease",
    "MemoryOutbox",
    "Outbox",
    "Settlement",
    "endings_of",
    "is_leasable",
    "lease_delivery",
    "parse_wait",
    "settle_delivery",
]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    #: Waits for its instant, or for a worker.
    DUE = "due"
    #: A worker is at it, until its lease runs out.
    LEASED = "leased"
    DONE = "done"
    #: Given up; somebody may replay it.
    DEAD = "dead"
    #: Nobody wants it any more: its receiver was disabled or deleted.
    CANCELLED = "cancelled"

    @property
    def is_live(self) -> bool:
        """Whether there is still something to do."""
        return self in {DeliveryState.DUE, DeliveryState.LEASED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One thing to tell one receiver, and how far it has come."""

    id: str
    tenant: TenantKey
    #: The receiver; deliveries of one lane share its fate.
    lane: str
    due_at: dt.datetime
    state: DeliveryState = DeliveryState.DUE
    #: Leases taken so far. An attempt that a crash cut short counts.
    attempts: int = 0
    #: Why it is not done, in a word of the room that owns it; empty if nothing went wrong.
    reason: str = ""
    #: Token of the lease in force; empty without one.
    token: str = ""
    #: Deliveries of one lane and one queue go one after the other, in the order in which they were
    #: put; one that is dead or cancelled lets the next one pass. Empty: in no queue.
    queue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to attempt and settle one delivery until ``until``."""

    id: str
    tenant: TenantKey
    lane: str
    token: str
    #: Number of the attempt that this lease is for; the first is 1.
    attempt: int
    until: dt.datetime


class Ending(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    #: Try again at an instant.
    RETRY = "retry"
    DEAD = "dead"
    CANCELLED = "cancelled"
    #: Not attempted after all; does not count as an attempt.
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What becomes of a leased delivery.

    Raises:
        ConfigError: a retry or a release names no instant.
    """

    lease: Lease
    ending: Ending
    reason: str = ""
    #: When it is due again; for ``RETRY`` and ``RELEASED``.
    due_at: dt.datetime | None = None

    def __post_init__(self) -> None:
        if self.ending in {Ending.RETRY, Ending.RELEASED} and self.due_at is None:
            raise ConfigError("a delivery that is tried again needs an instant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """How a receiver may be served."""

    key: str
    #: Nothing is leased before this instant.
    held_until: dt.datetime | None = None
    #: Deliveries that may be in flight at the same time; at least 1.
    width: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits between attempts, each scattered by ``jitter``, so that receivers recover in peace.

    >>> from random import Random
    >>> back_off = Backoff(waits=(dt.timedelta(seconds=5), dt.timedelta(minutes=5)), jitter=0.0)
    >>> back_off.wait_after(1, random=Random(7)), back_off.wait_after(3, random=Random(7))
    (datetime.timedelta(seconds=5), None)
    """

    waits: tuple[dt.timedelta, ...]
    #: Share of the wait by which it may be shorter or longer, 0 to 1.
    jitter: float = 0.2

    def wait_after(
        self, attempts: int, *, random: Random, asked: dt.timedelta | None = None
    ) -> dt.timedelta | None:
        """Return the wait after so many attempts, or None when it is time to give up.

        Args:
            attempts: Attempts made, at least 1.
            random: Where the scatter comes from.
            asked: What the receiver asked for; kept between the schedule and 24 hours.
        """
        if attempts > len(self.waits):
            return None
        wait = self.waits[attempts - 1] * random.uniform(1 - self.jitter, 1 + self.jitter)
        if asked is None:
            return wait
        return max(wait, min(asked, dt.timedelta(hours=24)))


def parse_wait(text: str) -> dt.timedelta:
    """Return a wait such as ``5s``, ``30m``, ``2h`` or ``1d``.

    Raises:
        ConfigError: it is none.

    >>> parse_wait("30m")
    datetime.timedelta(seconds=1800)
    """
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise ConfigError(
            f"{text!r} is no wait", remedy="Write a number and s, m, h or d, such as '30m'"
        )
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})


def endings_of(settlements: Iterable[Settlement], settled: frozenset[str]) -> dict[str, int]:
    """Count the endings of what was really settled, as the event ``outbox.settled`` tells.

    Args:
        settlements: What was to be settled.
        settled: Ids of those whose lease still held.
    """
    return dict(Counter(one.ending.value for one in settlements if one.lease.id in settled))


def is_leasable(delivery: Delivery, now: dt.datetime) -> bool:
    """Whether a worker may take it: it is due, or the lease of another worker ran out.

    While leased, ``due_at`` is where the lease ends.
    """
    return delivery.state.is_live and delivery.due_at <= now


def lease_delivery(delivery: Delivery, *, token: str, until: dt.datetime) -> Delivery:
    """Return the delivery as it is once a worker has taken it."""
    return replace(
        delivery,
        state=DeliveryState.LEASED,
        token=token,
        due_at=until,
        attempts=delivery.attempts + 1,
    )


def settle_delivery(delivery: Delivery, settlement: Settlement) -> Delivery | None:
    """Return the delivery as it is afterwards, or None if the lease is no longer in force."""
    if delivery.state is not DeliveryState.LEASED or delivery.token != settlement.lease.token:
        return None
    if settlement.due_at is not None and settlement.ending in {Ending.RETRY, Ending.RELEASED}:
        return replace(
            delivery,
            state=DeliveryState.DUE,
            token="",
            due_at=settlement.due_at,
            reason=settlement.reason,
            attempts=delivery.attempts - (settlement.ending is Ending.RELEASED),
        )
    state = DeliveryState(settlement.ending.value)
    return replace(delivery, state=state, token="", reason=settlement.reason)


class Outbox(Protocol):
    """Where deliveries wait; every method is atomic.

    ``now`` comes from one clock for all workers of an outbox: the database's, where there is one.
    """

    def lease(
        self, *, now: dt.datetime, ttl: dt.timedelta, lanes: int, per_lane: int
    ) -> Sequence[Lease]:
        """Take deliveries that nobody else has, of up to ``lanes`` lanes, the most neglected first.

        Tenants take turns, then lanes. Within a lane the earliest due come first; of a queue only
        the one that was put first, and none while that one is leased or waits to be tried again.

        Args:
            now: The present.
            ttl: For how long; longer than one attempt can take.
            lanes: How many receivers to serve.
            per_lane: How many deliveries of each, and never more than its width leaves.
        """
        ...

    def settle(self, settlements: Iterable[Settlement]) -> frozenset[str]:
        """Write how attempts ended; return the ids of those whose lease was still in force."""
        ...

    def hold(self, lane: Lane) -> None:
        """Set how a lane may be served from now on."""
        ...


class MemoryOutbox:
    """The reference: an outbox in memory, for tests and the command line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deliveries: dict[str, Delivery] = {}
        self._lanes: dict[str, Lane] = {}
        self._served: dict[str, int] = {}
        self._leases = 0

    def put(self, deliveries: Iterable[Delivery]) -> None:
        """Add deliveries; one that is here already stays as it is."""
        with self._lock:
            for one in deliveries:
                self._deliveries.setdefault(one.id, one)

    def find(self, delivery: str) -> Delivery:
        """Return one delivery."""
        return self._deliveries[delivery]

    def lease(
        self, *, now: dt.datetime, ttl: dt.timedelta, lanes: int, per_lane: int
    ) -> Sequence[Lease]:
        """See :meth:`Outbox.lease`."""
        with self._lock:
            taken: list[Lease] = []
            for lane in self._neglected(now)[:lanes]:
                taken += self._take(lane, now=now, until=now + ttl, limit=per_lane)
            return taken

    def settle(self, settlements: Iterable[Settlement]) -> frozenset[str]:
        """See :meth:`Outbox.settle`."""
        settled = set()
        with self._lock:
            for one in settlements:
                known = self._deliveries.get(one.lease.id)
                after = settle_delivery(known, one) if known else None
                if after is not None:
                    self._deliveries[after.id] = after
                    settled.add(after.id)
        return frozenset(settled)

    def hold(self, lane: Lane) -> None:
        """See :meth:`Outbox.hold`."""
        with self._lock:
            self._lanes[lane.key] = lane

    def _lane(self, key: str) -> Lane:
        return self._lanes.get(key, Lane(key=key))

    def _room(self, key: str, now: dt.datetime) -> int:
        in_flight = sum(
            one.lane == key and one.state is DeliveryState.LEASED and one.due_at > now
            for one in self._deliveries.values()
        )
        return self._lane(key).width - in_flight

    def _is_first(self, delivery: Delivery) -> bool:
        """Whether nothing that was put earlier is still to be done in its queue."""
        if not delivery.queue:
            return True
        queue = (delivery.lane, delivery.queue)
        # Deliveries keep the order in which they were put.
        live = (
            one.id
            for one in self._deliveries.values()
            if (one.lane, one.queue) == queue and one.state.is_live
        )
        return next(live, delivery.id) == delivery.id

    def _neglected(self, now: dt.datetime) -> list[str]:
        """Return lanes with something to do: each tenant's most neglected, then its second."""
        waiting: dict[TenantKey, dict[str, int]] = {}
        for one in self._deliveries.values():
            held = self._lane(one.lane).held_until
            if (
                self._is_first(one)
                and is_leasable(one, now)
                and (held is None or held <= now)
                and self._room(one.lane, now) > 0
            ):
                waiting.setdefault(one.tenant, {})[one.lane] = self._served.get(one.lane, 0)
        turns = [
            (turn, served, lane)
            for lanes in waiting.values()
            for turn, (lane, served) in enumerate(sorted(lanes.items(), key=lambda item: item[1]))
        ]
        return [lane for _, _, lane in sorted(turns)]

    def _take(self, lane: str, *, now: dt.datetime, until: dt.datetime, limit: int) -> list[Lease]:
        due = sorted(
            (
                one
                for one in self._deliveries.values()
                if one.lane == lane and is_leasable(one, now) and self._is_first(one)
            ),
            key=lambda one: (one.due_at, one.id),
        )
        taken = []
        for one in due[: min(limit, self._room(lane, now))]:
            self._leases += 1
            self._served[lane] = self._leases
            leased = lease_delivery(one, token=f"lease-{self._leases}", until=until)
            self._deliveries[one.id] = leased
            taken.append(
                Lease(
                    id=one.id,
                    tenant=one.tenant,
                    lane=lane,
                    token=leased.token,
                    attempt=leased.attempts,
                    until=until,
                )
            )
        return taken
