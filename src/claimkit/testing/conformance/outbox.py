"""What every outbox must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from claimkit.outbox import Delivery, DeliveryState, Ending, Lane, Settlement
from claimkit.types import TenantKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from claimkit.outbox import Lease, Outbox

__all__ = ["OutboxConformance"]

NOON = dt.datetime(2026, 4, 12, 12, 0, tzinfo=dt.UTC)
TTL = dt.timedelta(seconds=50)
NORTHSIDE, LAKEVIEW = TenantKey("northside"), TenantKey("lakeview")


class OutboxConformance:
    """What an :class:`~claimkit.outbox.Outbox` must do.

    Override ``outbox``, ``put`` (takes deliveries) and ``find`` (returns one by id). Tenants are
    ``northside`` and ``lakeview``; lanes are ``lane-a`` to ``lane-d``, of which ``lane-d`` is
    Lakeview's.
    """

    @pytest.fixture
    def outbox(self) -> Outbox:
        """Return an empty outbox."""
        raise NotImplementedError

    @pytest.fixture
    def put(self) -> Callable[[Iterable[Delivery]], None]:
        """Return what adds deliveries to it."""
        raise NotImplementedError

    @pytest.fixture
    def find(self) -> Callable[[str], Delivery]:
        """Return what reads one delivery of it."""
        raise NotImplementedError

    @staticmethod
    def due(name: str, lane: str = "lane-a", *, seconds: int = 0, queue: str = "") -> Delivery:
        """Return a delivery that is due so many seconds after noon."""
        return Delivery(
            id=name,
            tenant=LAKEVIEW if lane == "lane-d" else NORTHSIDE,
            lane=lane,
            due_at=NOON + dt.timedelta(seconds=seconds),
            queue=queue,
        )

    @staticmethod
    def lease(
        outbox: Outbox, *, seconds: float = 0, lanes: int = 9, per_lane: int = 9
    ) -> Sequence[Lease]:
        """Lease so many seconds after noon."""
        now = NOON + dt.timedelta(seconds=seconds)
        return outbox.lease(now=now, ttl=TTL, lanes=lanes, per_lane=per_lane)

    def test_leases_what_is_due_the_earliest_first(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put([self.due("d-2", seconds=-1), self.due("d-1", seconds=-5), self.due("d-3", seconds=1)])

        leases = self.lease(outbox)

        assert [(one.id, one.attempt, one.until - NOON) for one in leases] == [
            ("d-1", 1, TTL),
            ("d-2", 1, TTL),
        ]
        assert {one.tenant for one in leases} == {NORTHSIDE}

    def test_nobody_leases_what_another_has(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put([self.due("d-1"), self.due("d-2")])
        first = self.lease(outbox, per_lane=1)

        second = self.lease(outbox, seconds=1)
        third = self.lease(outbox, seconds=2)

        assert [one.id for one in (*first, *second)] == ["d-1", "d-2"]
        assert list(third) == []

    def test_a_lease_that_ran_out_is_taken_over_and_fences_the_first_out(
        self,
        outbox: Outbox,
        put: Callable[[Iterable[Delivery]], None],
        find: Callable[[str], Delivery],
    ) -> None:
        put([self.due("d-1")])
        (paused,) = self.lease(outbox)
        (second,) = self.lease(outbox, seconds=51)
        done = outbox.settle([Settlement(lease=second, ending=Ending.DONE)])

        late = Settlement(
            lease=paused, ending=Ending.RETRY, reason="deadline", due_at=NOON + TTL * 2
        )
        settled = outbox.settle([late])

        assert (second.id, second.attempt) == ("d-1", 2)
        assert (done, settled) == (frozenset({"d-1"}), frozenset())
        assert find("d-1").state is DeliveryState.DONE

    def test_one_that_was_overtaken_does_not_settle_while_the_other_is_at_it(
        self,
        outbox: Outbox,
        put: Callable[[Iterable[Delivery]], None],
        find: Callable[[str], Delivery],
    ) -> None:
        put([self.due("d-1")])
        (paused,) = self.lease(outbox)
        self.lease(outbox, seconds=51)

        settled = outbox.settle([Settlement(lease=paused, ending=Ending.DEAD)])

        assert settled == frozenset()
        assert find("d-1").state is DeliveryState.LEASED

    def test_of_a_queue_only_the_first_that_is_not_over_is_leased(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put(
            [
                self.due("d-1", queue="alert:a"),
                # Due earlier, and put later: it waits all the same.
                self.due("d-2", queue="alert:a", seconds=-9),
                self.due("d-3", queue="alert:b"),
                self.due("d-4", "lane-b", queue="alert:a"),
                self.due("d-5"),
            ]
        )

        first = self.lease(outbox)
        while_leased = self.lease(outbox, seconds=1)
        (d_1,) = (one for one in first if one.id == "d-1")
        later = NOON + dt.timedelta(seconds=30)
        outbox.settle([Settlement(lease=d_1, ending=Ending.RETRY, due_at=later)])
        while_it_waits = self.lease(outbox, seconds=2)
        (again,) = self.lease(outbox, seconds=30)
        outbox.settle([Settlement(lease=again, ending=Ending.DEAD)])
        (next_one,) = self.lease(outbox, seconds=31)

        assert {one.id for one in first} == {"d-1", "d-3", "d-4", "d-5"}
        assert (list(while_leased), list(while_it_waits)) == ([], [])
        assert (again.id, next_one.id) == ("d-1", "d-2")

    def test_of_a_queue_a_lease_that_ran_out_is_taken_over_and_not_passed_by(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put([self.due(f"d-{number}", queue="alert:a") for number in (1, 2)])
        self.lease(outbox)

        (taken_over,) = self.lease(outbox, seconds=51)

        assert (taken_over.id, taken_over.attempt) == ("d-1", 2)

    def test_a_retry_is_due_again_at_its_instant(
        self,
        outbox: Outbox,
        put: Callable[[Iterable[Delivery]], None],
        find: Callable[[str], Delivery],
    ) -> None:
        put([self.due("d-1")])
        (lease,) = self.lease(outbox)
        later = NOON + dt.timedelta(seconds=300)
        outbox.settle(
            [Settlement(lease=lease, ending=Ending.RETRY, reason="tls_error", due_at=later)]
        )

        known = find("d-1")
        assert (known.state, known.due_at, known.reason) == (DeliveryState.DUE, later, "tls_error")
        assert list(self.lease(outbox, seconds=299)) == []
        assert [one.attempt for one in self.lease(outbox, seconds=300)] == [2]

    def test_a_release_gives_the_attempt_back(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put([self.due("d-1")])
        (lease,) = self.lease(outbox)
        outbox.settle([Settlement(lease=lease, ending=Ending.RELEASED, due_at=NOON)])

        assert [one.attempt for one in self.lease(outbox)] == [1]

    @pytest.mark.parametrize("outcome", [Ending.DONE, Ending.DEAD, Ending.CANCELLED])
    def test_what_is_over_is_over(
        self,
        outbox: Outbox,
        put: Callable[[Iterable[Delivery]], None],
        find: Callable[[str], Delivery],
        outcome: Ending,
    ) -> None:
        put([self.due("d-1")])
        (lease,) = self.lease(outbox)
        outbox.settle([Settlement(lease=lease, ending=outcome, reason="marsupilami")])

        again = outbox.settle([Settlement(lease=lease, ending=Ending.DEAD)])

        assert (again, list(self.lease(outbox, seconds=9_999))) == (frozenset(), [])
        assert (find("d-1").state, find("d-1").reason) == (outcome.value, "marsupilami")

    def test_a_lane_that_is_held_waits_and_the_others_do_not(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put([self.due("d-1", "lane-a"), self.due("d-2", "lane-b")])
        outbox.hold(Lane(key="lane-a", held_until=NOON + dt.timedelta(seconds=30), width=1))

        assert [one.id for one in self.lease(outbox, seconds=29)] == ["d-2"]
        assert [one.id for one in self.lease(outbox, seconds=30)] == ["d-1"]

    def test_no_more_of_a_lane_than_it_is_wide(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put([self.due(f"d-{number}", seconds=number - 9) for number in range(4)])
        outbox.hold(Lane(key="lane-a", width=1))
        (probe,) = self.lease(outbox)

        assert list(self.lease(outbox)) == []
        outbox.settle([Settlement(lease=probe, ending=Ending.DONE)])
        outbox.hold(Lane(key="lane-a", width=3))
        assert [one.id for one in self.lease(outbox)] == ["d-1", "d-2", "d-3"]

    def test_a_long_lane_does_not_keep_others_from_their_turn(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put([self.due(f"a-{number:02}", "lane-a", seconds=-99) for number in range(20)])
        put([self.due("b-1", "lane-b"), self.due("c-1", "lane-c")])

        taken = [self.lease(outbox, lanes=1, per_lane=2, seconds=turn) for turn in range(3)]

        assert {one.lane for leases in taken for one in leases} == {"lane-a", "lane-b", "lane-c"}

    def test_tenants_take_turns_however_many_lanes_they_have(
        self, outbox: Outbox, put: Callable[[Iterable[Delivery]], None]
    ) -> None:
        put([self.due(f"{lane}-1", lane, seconds=-50) for lane in ("lane-a", "lane-b", "lane-c")])
        put([self.due("d-1", "lane-d")])

        leases = self.lease(outbox, lanes=2, per_lane=1)

        assert {one.tenant for one in leases} == {NORTHSIDE, LAKEVIEW}

    def test_settling_nothing_is_fine(self, outbox: Outbox) -> None:
        assert outbox.settle([]) == frozenset()
