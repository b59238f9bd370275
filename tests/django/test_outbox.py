"""The outbox in tables does what the reference does, on both databases."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection

from claimkit.testing.conformance import OutboxConformance
from claimkit.types import TenantKey
from claimkit_django.outbox import DatabaseClock, as_delivery, wait_for_notice
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.models import Delivery, Endpoint, Message
from claimkit_django.webhooks.store import WebhookOutbox


class _Named:
    """The outbox with the names that the suite gives to rows."""

    def __init__(self, northside, lakeview):
        self.tenants = {"northside": northside, "lakeview": lakeview}
        self.outbox = WebhookOutbox(USING)
        self.lanes, self.rows = {}, {}
        for name in ("lane-a", "lane-b", "lane-c", "lane-d"):
            tenant = lakeview if name == "lane-d" else northside
            with enter(tenant):
                self.lanes[name] = Endpoint.objects.create(url=f"https://{name}/")
                self.message = Message.objects.create(
                    uid=f"msg_{name}",
                    event_type="claims.imported",
                    version=1,
                    detail="thin",
                    occurred_at=dt.datetime(2026, 4, 12, tzinfo=dt.UTC),
                    body=b"{}",
                )
                self.lanes[name].message = self.message

    def put(self, deliveries):
        for one in deliveries:
            lane = self.lanes[one.lane]
            with enter(self.tenants[one.tenant]):
                self.rows[one.id] = Delivery.objects.create(
                    message=lane.message,
                    lane=lane,
                    due_at=one.due_at,
                    replay=len(self.rows),
                    queue=one.queue,
                )

    def find(self, name):
        row = Delivery.unscoped.get(pk=self.rows[name].pk)
        return as_delivery(row, TenantKey("northside"))

    def lease(self, **asked):
        names = {str(row.pk): name for name, row in self.rows.items()}
        lanes = {str(lane.pk): name for name, lane in self.lanes.items()}
        return [
            _renamed(one, id=names[one.id], lane=lanes[one.lane])
            for one in self.outbox.lease(**asked)
        ]

    def settle(self, settlements):
        given = [
            _renamed(one, lease=_renamed(one.lease, id=str(self.rows[one.lease.id].pk)))
            for one in settlements
        ]
        names = {str(row.pk): name for name, row in self.rows.items()}
        return frozenset(names[one] for one in self.outbox.settle(given))

    def hold(self, lane):
        self.outbox.hold(_renamed(lane, key=str(self.lanes[lane.key].pk)))


def _renamed(value, **changes):
    from dataclasses import replace

    return replace(value, **changes)


@pytest.mark.django_db
class TestOrmOutbox(OutboxConformance):
    @pytest.fixture
    def outbox(self, northside, lakeview):
        return _Named(northside, lakeview)

    @pytest.fixture
    def put(self, outbox):
        return outbox.put

    @pytest.fixture
    def find(self, outbox):
        return outbox.find


@pytest.mark.django_db
def test_a_lease_is_one_statement_however_much_is_due(
    northside, lakeview, django_assert_max_num_queries
):
    named = _Named(northside, lakeview)
    named.put([OutboxConformance.due(f"d-{number}", "lane-a") for number in range(20)])

    # One of them looks for a message whose deliveries are still to be written.
    with django_assert_max_num_queries(7):
        assert len(OutboxConformance.lease(named, per_lane=20)) == 20


@pytest.mark.django_db
def test_the_clock_is_the_databases(monkeypatch):
    clock = DatabaseClock(USING)

    first = clock.now()

    assert first.tzinfo is dt.UTC
    assert first <= clock.now()
    assert abs(first - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_what_was_committed_before_anybody_listened_is_looked_for_once_more():
    if connection.vendor != "postgresql":
        pytest.skip("other databases have no NOTIFY")
    wait, began = wait_for_notice(USING, "marsupilami"), time.monotonic()

    # Nothing is due, something is committed, and only then the worker begins to listen.
    _notify("marsupilami")
    wait(30)
    # From here on a notice wakes it, one that came while it was busy too.
    _notify("marsupilami")
    wait(30)
    # On a connection that replaced the first, it begins anew.
    connection.close()
    wait(30)

    assert time.monotonic() - began < 20


def _notify(channel):
    """Commit a notice over another connection, as a producer does."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(f"NOTIFY {channel}")
    finally:
        other.close()
