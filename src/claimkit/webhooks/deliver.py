"""Deliver webhooks: lease, check the target, sign with every valid key, send, settle.

The story: :func:`deliver` leases lanes from the outbox as threads come free. Each lane is served
by :class:`Courier`: it loads bodies and endpoint (:meth:`DeliveryBook.load`), signs and sends one
request after the other, and writes down what happened (:meth:`DeliveryBook.record`) together with
what becomes of the deliveries, so that nothing is done without an attempt that says so. What the
attempts mean for the endpoint is :func:`judge`'s to say. After a failure that leaves the endpoint
in peace the rest of the lane goes back untouched: a dead receiver costs one attempt, not a batch.

A delivery may arrive more than once: those that were sent and not written down when a worker dies
(one batch at most), and those whose answer was lost. ``webhook-id`` is the same each time.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from claimkit import __version__
from claimkit.outbox import Backoff, Ending, Settlement, parse_wait
from claimkit.webhooks.health import Health, parse_retry_after
from claimkit.webhooks.signing import HOP, LEGACY, PublicKey, TimedKey, sign, sign_legacy
from claimkit.webhooks.transport import Reason, SendFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from random import Random

    from claimkit.config import WebhooksConfig
    from claimkit.outbox import Lease, Outbox
    from claimkit.types import Clock
    from claimkit.webhooks.signing import SecretKey, SigningPair
    from claimkit.webhooks.transport import Transport
    from claimkit.webhooks.trust import Certificates

__all__ = [
    "Attempt",
    "Courier",
    "DeliveryBook",
    "Endpoint",
    "LaneReport",
    "Parcel",
    "Tally",
    "Verdict",
    "deliver",
    "judge",
]

logger = logging.getLogger(__name__)

_MARGIN = dt.timedelta(seconds=5)
_USER_AGENT = f"claimkit/{__version__} (webhooks)"
#: So often what happened is written down, so that a crash repeats little, and the endpoint looked at
#: again; after a failure at once.
_FLUSH = dt.timedelta(seconds=1)
_GONE = 410
_FAILURE_OF_OURS = "internal"
_NO_KEY = "no_key"
_HTTP_STATUS = "http_status"
_DISABLED = "endpoint_disabled"
_WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A receiver, as one attempt needs it."""

    #: Key of its lane.
    lane: str
    url: str = field(repr=False)
    keys: tuple[TimedKey, ...] = field(default=(), repr=False)
    #: Headers that it asked to be sent.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Secret for ``X-Signature``; empty for receivers that verify Standard Webhooks.
    legacy_secret: str = field(default="", repr=False)
    #: Those of its own, where the system's do not do.
    certificates: Certificates | None = None
    health: Health = field(default_factory=Health)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A leased delivery with what is to be sent."""

    lease: Lease
    message_id: str
    body: bytes = field(repr=False)
    #: What the answer must hold to confirm the endpoint; empty for all but its first pings.
    challenge: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What happened once; never changed afterwards."""

    lease: Lease
    started_at: dt.datetime
    seconds: float
    #: What the receiver answered; 0 for nothing.
    status: int = 0
    #: Empty for a success; else a :class:`~claimkit.webhooks.transport.Reason`, ``http_status``,
    #: ``no_key`` or ``internal``.
    reason: str = ""
    #: What ``Retry-After`` asked for.
    asked: dt.timedelta | None = None
    #: The beginning of the answer to a failed attempt; it may hold anything.
    response: bytes = field(default=b"", repr=False)
    #: Fingerprints of the keys that signed.
    keys: tuple[str, ...] = ()
    #: The challenge of the parcel, where the receiver repeated it; else empty.
    confirmed: str = field(default="", repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether the receiver took it."""
        return not self.reason

    @property
    def is_telling(self) -> bool:
        """Whether it says something about the endpoint; faults of ours do not."""
        return self.reason not in {_FAILURE_OF_OURS, _NO_KEY}


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneReport:
    """What happened to some deliveries of one lane, in order."""

    lane: str
    at: dt.datetime
    attempts: tuple[Attempt, ...]
    settlements: tuple[Settlement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What attempts mean for their endpoint."""

    health: Health
    #: ``gone`` or ``failing`` where it must be disabled, else empty.
    disable: str = ""


class DeliveryBook(Protocol):
    """What is kept of webhooks beside the outbox; every method is atomic."""

    def load(self, leases: Sequence[Lease]) -> tuple[Endpoint | None, Sequence[Parcel]]:
        """Return the endpoint of one lane and what is to be sent.

        What is left out is cancelled: it is there no more, or no longer for this endpoint.
        None, and nothing to send, where the endpoint is gone or disabled.
        """
        ...

    def record(self, report: LaneReport) -> frozenset[str]:
        """Write attempts, settle deliveries, judge the endpoint: all or nothing.

        Attempts are kept even where the lease was no longer in force.

        Returns:
            The ids of the deliveries that were settled.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many deliveries ended how."""

    done: int = 0
    retried: int = 0
    dead: int = 0
    cancelled: int = 0
    released: int = 0
    #: Settled too late: another worker had taken over.
    overtaken: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            **{name: getattr(self, name) + getattr(other, name) for name in Tally.__slots__}
        )

    @classmethod
    def of(cls, settlements: Iterable[Settlement], settled: frozenset[str]) -> Tally:
        """Count settlements."""
        names = {
            Ending.DONE: "done",
            Ending.RETRY: "retried",
            Ending.DEAD: "dead",
            Ending.CANCELLED: "cancelled",
            Ending.RELEASED: "released",
        }
        counts: dict[str, int] = {}
        for one in settlements:
            name = names[one.ending] if one.lease.id in settled else "overtaken"
            counts[name] = counts.get(name, 0) + 1
        return cls(**counts)


def judge(health: Health, attempts: Iterable[Attempt], config: WebhooksConfig) -> Verdict:
    """Return what attempts, in order, mean for an endpoint with this past."""
    for one in attempts:
        if not one.is_telling:
            continue
        if one.succeeded:
            health = health.after_success()
            continue
        ended_at = one.started_at + dt.timedelta(seconds=one.seconds)
        health = health.after_failure(
            ended_at, limit=config.circuit_failures, status=one.status, asked=one.asked
        )
        if one.status == _GONE:
            return Verdict(health=health, disable="gone")
        if health.has_failed_too_long(ended_at, config):
            return Verdict(health=health, disable="failing")
    return Verdict(health=health)


def deliver(
    courier: Courier,
    *,
    threads: int = 1,
    wait: Callable[[float], object] | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Tally:
    """Deliver what is due until nothing is, or for ever where ``wait`` is given.

    Args:
        courier: Who serves the lanes.
        threads: Lanes served at the same time; 1 serves them here.
        wait: Called with the seconds until the next look whenever nothing is due; returns
            earlier where something wakes it. None: return instead.
        is_stopping: Asked between lanes; what is in flight is finished.
    """
    tally = Tally()
    running: set[Future[Tally]] = set()
    with ThreadPoolExecutor(threads, thread_name_prefix="claimkit-deliver") as pool:
        _meet(pool, courier.arrive, threads)
        serve = partial(_here if threads == 1 else _in_pool, courier, pool)
        while not is_stopping():
            lanes = courier.lease(threads - len(running))
            running |= {serve(leases) for leases in lanes}
            if not running:
                if wait is None:
                    break
                wait(courier.config.poll_seconds)
                continue
            # A short patience, so that other lanes are looked for while a slow one is served.
            idle = None if len(running) == threads else courier.config.poll_seconds
            done, running = wait_for(running, timeout=idle, return_when=FIRST_COMPLETED)
            tally = sum((one.result() for one in done), tally)
        done, _ = wait_for(running)
        _meet(pool, courier.leave, threads)
    return sum((one.result() for one in done), tally)


def _in_pool(courier: Courier, pool: ThreadPoolExecutor, leases: Sequence[Lease]) -> Future[Tally]:
    return pool.submit(courier.serve, leases)


def _here(courier: Courier, pool: ThreadPoolExecutor, leases: Sequence[Lease]) -> Future[Tally]:
    del pool
    served: Future[Tally] = Future()
    served.set_result(courier.serve(leases))
    return served


def _meet(pool: ThreadPoolExecutor, act: Callable[[], object], threads: int) -> None:
    """Let each thread that serves lanes act once; errors come out."""
    if threads == 1:
        act()
        return
    # Each thread must run it once, so none may take a second before all have a first.
    meeting = threading.Barrier(threads)

    def together() -> None:
        meeting.wait()
        act()

    done, _ = wait_for([pool.submit(together) for _ in range(threads)])
    for one in done:
        one.result()


class Courier:
    """Serves lanes, any number of threads at the same time.

    Args:
        outbox: Where deliveries wait.
        book: What is to be sent, and where it is written down.
        make_transport: Makes one per thread.
        clock: The outbox's clock.
        random: Scatters retries.
        config: Settings of the room.
        site: Who sends, for the header ``webhook-hop``: letters and digits that tell nothing else.
            Empty: no such header.
        on_arrive: Called by each thread before it serves its first lane, so that no delivery waits
            for what is loaded or opened once.
        on_leave: Called by each thread when it has served its last lane.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        book: DeliveryBook,
        make_transport: Callable[[], Transport],
        clock: Clock,
        random: Random,
        config: WebhooksConfig,
        site: str = "",
        on_arrive: Callable[[], object] = lambda: None,
        on_leave: Callable[[], object] = lambda: None,
    ) -> None:
        self.config = config
        self._on_arrive = on_arrive
        self._site = site
        self._on_leave = on_leave
        self._outbox = outbox
        self._book = book
        self._make_transport = make_transport
        self._clock = clock
        self._random = random
        self._back_off = Backoff(waits=tuple(map(parse_wait, config.retry_waits)))
        self._longest = dt.timedelta(seconds=config.attempt_seconds)
        self._of_thread = threading.local()

    def lease(self, lanes: int) -> list[list[Lease]]:
        """Take deliveries of up to so many lanes, grouped by lane."""
        if lanes <= 0:
            return []
        grouped: dict[str, list[Lease]] = {}
        leases = self._outbox.lease(
            now=self._clock.now(),
            # Long enough for two attempts that take all they may: a slow worker is not overtaken.
            ttl=3 * self._longest + _MARGIN,
            lanes=lanes,
            per_lane=self.config.batch_size,
        )
        for one in leases:
            grouped.setdefault(one.lane, []).append(one)
        return list(grouped.values())

    def serve(self, leases: Sequence[Lease]) -> Tally:
        """Attempt the deliveries of one lane, and write down what happened."""
        endpoint, parcels = self._book.load(leases)
        if endpoint is None:
            return self._write(leases[0].lane, [], [_cancelled(one, _DISABLED) for one in leases])
        there = {one.lease.id for one in parcels}
        settlements = [_cancelled(one, _WITHDRAWN) for one in leases if one.id not in there]
        attempts: list[Attempt] = []
        health, began_at = endpoint.health, self._clock.now()
        for place, parcel in enumerate(parcels):
            now = self._clock.now()
            if parcel.lease.until - now < self._longest + _MARGIN:
                settlements += [_released(one.lease, now) for one in parcels[place:]]
                break
            if attempts and (not attempts[-1].succeeded or now - began_at > _FLUSH):
                written = self._write(endpoint.lane, attempts, settlements)
                # Anew: who is disabled meanwhile is sent no more, and new keys sign.
                return written + self.serve([one.lease for one in parcels[place:]])
            attempt = self._attempt(endpoint, parcel, now)
            attempts.append(attempt)
            settlements.append(self._settle(attempt))
            verdict = judge(health, [attempt], self.config)
            health = verdict.health
            if verdict.disable:
                settlements += [_cancelled(one.lease, _DISABLED) for one in parcels[place + 1 :]]
                break
            if health.held_until is not None or _was_slow(attempt):
                settlements += [_released(one.lease, now) for one in parcels[place + 1 :]]
                break
        return self._write(endpoint.lane, attempts, settlements)

    def arrive(self) -> None:
        """Open what the calling thread will need, before anything waits for it."""
        self._transport()
        self._on_arrive()

    def leave(self) -> None:
        """Close what the calling thread has opened."""
        transport = self._of_thread.__dict__.pop("transport", None)
        if transport is not None:
            transport.close()
        self._on_leave()

    def _attempt(self, endpoint: Endpoint, parcel: Parcel, now: dt.datetime) -> Attempt:
        keys = [
            one.key
            for one in endpoint.keys
            if one.is_valid(now) and not isinstance(one.key, PublicKey)
        ]
        status, reason, asked, response, confirmed = 0, "", None, b"", ""
        try:
            if not keys:
                reason = _NO_KEY
            else:
                headers = _headers(endpoint, parcel, now, keys)
                if self._site:
                    headers[HOP] = self._site
                reply = self._transport().post(
                    endpoint.url, headers, parcel.body, certificates=endpoint.certificates
                )
                status = reply.status
                if not 200 <= status < 300:
                    reason, response = _HTTP_STATUS, reply.body
                    asked = parse_retry_after(reply.retry_after, now)
                elif parcel.challenge.encode() in reply.body:
                    confirmed = parcel.challenge
        except SendFailed as error:
            reason = error.reason.value
        except Exception:
            # Isolation point: one delivery that cannot be made must not stop the others.
            logger.exception("webhook could not be sent", extra={"delivery": parcel.lease.id})
            reason = _FAILURE_OF_OURS
        return Attempt(
            lease=parcel.lease,
            started_at=now,
            seconds=(self._clock.now() - now).total_seconds(),
            status=status,
            reason=reason,
            asked=asked,
            response=response,
            keys=tuple(one.fingerprint for one in keys),
            confirmed=confirmed,
        )

    def _settle(self, attempt: Attempt) -> Settlement:
        lease, reason = attempt.lease, attempt.reason
        if attempt.succeeded:
            return Settlement(lease=lease, ending=Ending.DONE)
        if attempt.status == _GONE or reason == _FAILURE_OF_OURS:
            return Settlement(lease=lease, ending=Ending.DEAD, reason=reason)
        wait = self._back_off.wait_after(lease.attempt, random=self._random, asked=attempt.asked)
        if wait is None:
            return Settlement(lease=lease, ending=Ending.DEAD, reason=reason)
        due_at = attempt.started_at + dt.timedelta(seconds=attempt.seconds) + wait
        return Settlement(lease=lease, ending=Ending.RETRY, reason=reason, due_at=due_at)

    def _write(
        self, lane: str, attempts: Sequence[Attempt], settlements: Sequence[Settlement]
    ) -> Tally:
        if not settlements:
            return Tally()
        report = LaneReport(
            lane=lane,
            at=self._clock.now(),
            attempts=tuple(attempts),
            settlements=tuple(settlements),
        )
        return Tally.of(settlements, self._book.record(report))

    def _transport(self) -> Transport:
        transport: Transport | None = getattr(self._of_thread, "transport", None)
        if transport is None:
            transport = self._of_thread.transport = self._make_transport()
        return transport


def _headers(
    endpoint: Endpoint, parcel: Parcel, now: dt.datetime, keys: Sequence[SecretKey | SigningPair]
) -> dict[str, str]:
    headers = {
        **endpoint.headers,
        "content-type": "application/json",
        "user-agent": _USER_AGENT,
        **sign(parcel.message_id, now, parcel.body, keys),
    }
    if endpoint.legacy_secret:
        headers[LEGACY] = sign_legacy(parcel.body, endpoint.legacy_secret)
    return headers


def _was_slow(attempt: Attempt) -> bool:
    """Whether the receiver used its time up: others should not wait for it to do so again."""
    return attempt.reason in {Reason.DEADLINE, Reason.CONNECT_TIMEOUT}


def _cancelled(lease: Lease, reason: str) -> Settlement:
    return Settlement(lease=lease, ending=Ending.CANCELLED, reason=reason)


def _released(lease: Lease, now: dt.datetime) -> Settlement:
    return Settlement(lease=lease, ending=Ending.RELEASED, due_at=now)
