from __future__ import annotations

import datetime as dt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from claimkit.errors import ConfigError
from claimkit.outbox import (
    Backoff,
    Delivery,
    DeliveryState,
    Ending,
    Lease,
    MemoryOutbox,
    Settlement,
    parse_wait,
)
from claimkit.testing.conformance import OutboxConformance
from claimkit.types import TenantKey

NOON = dt.datetime(2026, 4, 12, 12, tzinfo=dt.UTC)
SPEC = tuple(map(parse_wait, ("5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h")))


class TestMemoryOutbox(OutboxConformance):
    @pytest.fixture
    def outbox(self):
        return MemoryOutbox()

    @pytest.fixture
    def put(self, outbox):
        return outbox.put

    @pytest.fixture
    def find(self, outbox):
        return outbox.find


def test_the_schedule_of_the_specification_takes_75_hours():
    assert sum(SPEC, dt.timedelta()) == dt.timedelta(hours=75, minutes=35, seconds=5)


@given(st.integers(1, 9), st.integers(0, 2**32))
def test_waits_are_scattered_by_a_fifth_and_no_more(attempts, seed):
    wait = Backoff(waits=SPEC).wait_after(attempts, random=Random(seed))

    assert SPEC[attempts - 1] * 0.8 <= wait <= SPEC[attempts - 1] * 1.2


def test_after_the_last_wait_it_is_given_up():
    assert Backoff(waits=SPEC).wait_after(10, random=Random(7)) is None


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (dt.timedelta(seconds=1), dt.timedelta(minutes=5)),
        (dt.timedelta(hours=3), dt.timedelta(hours=3)),
        (dt.timedelta(days=9), dt.timedelta(hours=24)),
    ],
)
def test_what_was_asked_for_counts_between_the_schedule_and_a_day(asked, waited):
    back_off = Backoff(waits=SPEC, jitter=0.0)

    assert back_off.wait_after(2, random=Random(7), asked=asked) == waited


@pytest.mark.parametrize("text", ["", "5", "5 m", "-5m", "1w", "m", "1.5h", "٣m"])
def test_a_wait_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="no wait"):
        parse_wait(text)


def test_a_retry_needs_an_instant():
    lease = Lease(
        id="d-1", tenant=TenantKey("northside"), lane="a", token="t", attempt=1, until=NOON
    )

    with pytest.raises(ConfigError, match="instant"):
        Settlement(lease=lease, ending=Ending.RETRY)


class OutboxMachine(RuleBasedStateMachine):
    """Workers that lease, settle, pause and die in any order: nothing is lost or done twice."""

    def __init__(self):
        super().__init__()
        self.outbox = MemoryOutbox()
        self.now = NOON
        self.put: list[str] = []
        self.held: list[Lease] = []
        self.settled: dict[str, str] = {}

    @rule(lane=st.sampled_from("abc"))
    def enqueue(self, lane):
        name = f"d-{len(self.put)}"
        self.put.append(name)
        self.outbox.put(
            [Delivery(id=name, tenant=TenantKey("northside"), lane=lane, due_at=self.now)]
        )

    @rule(seconds=st.integers(0, 90))
    def wait(self, seconds):
        self.now += dt.timedelta(seconds=seconds)

    @rule(lanes=st.integers(1, 3), per_lane=st.integers(1, 3))
    def lease(self, lanes, per_lane):
        leases = self.outbox.lease(
            now=self.now, ttl=dt.timedelta(seconds=50), lanes=lanes, per_lane=per_lane
        )
        assert not {one.id for one in leases} & self.settled.keys()
        self.held += leases

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(Ending))
    def settle(self, data, outcome):
        lease = data.draw(st.sampled_from(self.held))
        before = self.outbox.find(lease.id)
        settled = self.outbox.settle(
            [Settlement(lease=lease, ending=outcome, due_at=self.now + dt.timedelta(seconds=7))]
        )
        assert bool(settled) == (
            before.state is DeliveryState.LEASED and before.token == lease.token
        )
        if settled and outcome not in {Ending.RETRY, Ending.RELEASED}:
            assert lease.id not in self.settled
            self.settled[lease.id] = outcome.value

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def die(self, data):
        self.held.remove(data.draw(st.sampled_from(self.held)))

    @invariant()
    def nothing_is_lost_and_what_is_over_stays_over(self):
        for name in self.put:
            known = self.outbox.find(name)
            assert known.state == self.settled.get(name, known.state)
            assert known.state.is_live == (name not in self.settled)

    def teardown(self):
        """Whatever is live can be taken again, however the workers ended."""
        live = {name for name in self.put if name not in self.settled}
        later = self.now + dt.timedelta(days=1)
        leases = self.outbox.lease(now=later, ttl=dt.timedelta(1), lanes=9, per_lane=10_000)
        assert {one.id for one in leases} == live


TestOutboxMachine = OutboxMachine.TestCase
