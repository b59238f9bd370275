"""The outbox in tables: rows that a room's transaction writes, and workers lease.

Abstract rows for a room's own tables, and :class:`OrmOutbox` over them, the same for PostgreSQL
and SQLite. A lease is one statement and no lock outlives it: what is held while a request is under
way is a token in the row. PostgreSQL skips rows that another worker is just taking; SQLite has one
writer at a time, who sees what the last one did.

The clock is the database's, so that workers on several machines agree on what is due.
"""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from django.db import connections, models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from claimkit.outbox import Delivery, DeliveryState, Ending, Lane, Lease
from claimkit.types import TenantKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from claimkit.outbox import Settlement

__all__ = ["DatabaseClock", "LaneRow", "OrmOutbox", "OutboxRow", "as_delivery", "wait_for_notice"]

_LIVE = (DeliveryState.DUE.value, DeliveryState.LEASED.value)
#: Seconds after which the database is asked for the time again.
_CLOCK_SECONDS = 30.0


class LaneRow(models.Model):
    """How a receiver may be served: :class:`claimkit.outbox.Lane` in a row of its room."""

    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    width = models.IntegerField(default=Lane.__dataclass_fields__["width"].default, editable=False)
    #: When something was last leased for it; the most neglected is next.
    served_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True


class OutboxRow(models.Model):
    """:class:`claimkit.outbox.Delivery` in a row; add ``lane``, a foreign key to a LaneRow."""

    class State(models.TextChoices):
        """Mirrors :class:`claimkit.outbox.DeliveryState`."""

        DUE = DeliveryState.DUE.value, _("Due")
        LEASED = DeliveryState.LEASED.value, _("Being sent")
        DONE = DeliveryState.DONE.value, _("Delivered")
        DEAD = DeliveryState.DEAD.value, _("Given up")
        CANCELLED = DeliveryState.CANCELLED.value, _("Cancelled")

    state = models.CharField(max_length=16, choices=State.choices, default=State.DUE)
    #: When it may be leased; while it is leased, when the lease ends.
    due_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    reason = models.CharField(max_length=32, blank=True)
    token = models.CharField(max_length=32, blank=True, editable=False)

    class Meta:
        abstract = True

    @staticmethod
    def live() -> Q:
        """Return the condition of rows with which something is left to do."""
        return Q(state__in=_LIVE)


class DatabaseClock:
    """:class:`claimkit.types.Clock` of the database; asks it twice a minute."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._asked = -_CLOCK_SECONDS
        self._then = dt.datetime.min.replace(tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        """Return the current instant; never goes back between two answers of the database."""
        passed = time.monotonic() - self._asked
        if passed >= _CLOCK_SECONDS:
            self._then, self._asked, passed = self._ask(), time.monotonic(), 0.0
        return self._then + dt.timedelta(seconds=passed)

    def _ask(self) -> dt.datetime:
        connection = connections[self._using]
        if connection.vendor != "postgresql":
            return dt.datetime.now(dt.UTC)
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            now: dt.datetime = cursor.fetchone()[0]
            return now.astimezone(dt.UTC)


class OrmOutbox:
    """:class:`claimkit.outbox.Outbox` over two tables of a room.

    Args:
        deliveries: The room's :class:`OutboxRow`, with a foreign key ``lane``; and with a text field
            ``queue`` where deliveries may have to wait for each other, in the order of their ids.
        lanes: Its :class:`LaneRow`.
        using: Alias of the database.
        tenants: Table of tenants.
    """

    def __init__(
        self, deliveries: type[OutboxRow], lanes: type[LaneRow], *, using: str, tenants: str
    ) -> None:
        self._using = using
        quote = connections[using].ops.quote_name
        options: Any = deliveries._meta
        self._names = {
            "deliveries": quote(deliveries._meta.db_table),
            "lanes": quote(lanes._meta.db_table),
            "lane": quote(options.get_field("lane").column),
            "tenants": quote(tenants),
        }
        has_queues = any(one.name == "queue" for one in options.get_fields())
        self._names["is_first"] = _IS_FIRST.format(**self._names) if has_queues else ""

    def lease(
        self, *, now: dt.datetime, ttl: dt.timedelta, lanes: int, per_lane: int
    ) -> Sequence[Lease]:
        """See :meth:`claimkit.outbox.Outbox.lease`; one statement (four on SQLite)."""
        until = now + ttl
        connection = connections[self._using]
        adapt = connection.ops.adapt_datetimefield_value
        given: dict[str, Any] = {
            "now": adapt(now),
            "until": adapt(until),
            "lanes": lanes,
            "per_lane": per_lane,
            "token": uuid.uuid4().hex,
        }
        if connection.vendor == "postgresql":
            rows = self._run(_LEASE_POSTGRESQL, given)
        else:
            with transaction.atomic(using=self._using):
                # A write first: it waits for its turn, where a read would fail later.
                self._run(_TURN_SQLITE, {})
                rows = self._run(_LOOK_SQLITE, given)
                if rows:
                    given["taken"] = json.dumps([row[1] for row in rows])
                    given["served"] = json.dumps(sorted({row[4] for row in rows}))
                    self._run(_LEASE_SQLITE, given)
                    self._run(_SERVED_SQLITE, given)
        return [
            Lease(
                id=str(pk),
                tenant=TenantKey(tenant),
                lane=str(lane),
                token=given["token"],
                attempt=attempt,
                until=until,
            )
            for _due, pk, attempt, tenant, lane in sorted(rows)
        ]

    def settle(self, settlements: Iterable[Settlement]) -> frozenset[str]:
        """See :meth:`claimkit.outbox.Outbox.settle`; one statement."""
        adapt = connections[self._using].ops.adapt_datetimefield_value
        rows = [
            {
                "id": int(one.lease.id),
                "token": one.lease.token,
                "state": _STATES[one.ending],
                "reason": one.reason,
                "due_at": str(adapt(one.due_at)) if one.due_at is not None else None,
                "returned": int(one.ending is Ending.RELEASED),
            }
            for one in settlements
        ]
        if not rows:
            return frozenset()
        vendor = connections[self._using].vendor
        text = _SETTLE_POSTGRESQL if vendor == "postgresql" else _SETTLE_SQLITE
        return frozenset(str(row[0]) for row in self._run(text, {"settled": json.dumps(rows)}))

    def hold(self, lane: Lane) -> None:
        """See :meth:`claimkit.outbox.Outbox.hold`."""
        held = lane.held_until
        adapt = connections[self._using].ops.adapt_datetimefield_value
        given = {"held": adapt(held) if held else None, "width": lane.width, "id": int(lane.key)}
        with connections[self._using].cursor() as cursor:
            cursor.execute(
                "UPDATE {lanes} SET held_until = %(held)s, width = %(width)s"
                " WHERE id = %(id)s".format(**self._names),
                given,
            )

    def _run(self, text: str, given: dict[str, Any]) -> list[Any]:
        with connections[self._using].cursor() as cursor:
            cursor.execute(text.format(**self._names), given)
            return list(cursor.fetchall()) if cursor.description else []


def as_delivery(row: Any, tenant: TenantKey) -> Delivery:
    """Return a row as the core knows it."""
    return Delivery(
        id=str(row.pk),
        tenant=tenant,
        lane=str(row.lane_id),
        due_at=row.due_at,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        reason=row.reason,
        token=row.token,
        queue=getattr(row, "queue", ""),
    )


def wait_for_notice(using: str, channel: str) -> Callable[[float], None]:
    """Return what waits for a NOTIFY on ``channel``, or for so many seconds; a hint, no promise.

    Databases without NOTIFY just wait. The first wait on a connection, also on one that replaced
    another, only begins to listen and returns at once: what was committed before that woke nobody,
    so the caller looks once more.
    """
    listening: Any = None

    def wait(seconds: float) -> None:
        nonlocal listening
        connection = connections[using]
        if connection.vendor != "postgresql":
            time.sleep(seconds)
            return
        connection.ensure_connection()
        raw: Any = connection.connection
        with connection.wrap_database_errors:
            if raw is not listening:
                raw.execute(f"LISTEN {connection.ops.quote_name(channel)}")
                listening = raw
                return
            for _notice in raw.notifies(timeout=seconds, stop_after=1):
                return

    return wait


_STATES = {
    Ending.DONE: DeliveryState.DONE.value,
    Ending.RETRY: DeliveryState.DUE.value,
    Ending.RELEASED: DeliveryState.DUE.value,
    Ending.DEAD: DeliveryState.DEAD.value,
    Ending.CANCELLED: DeliveryState.CANCELLED.value,
}

#: Whether nothing earlier of its queue is left to do; what is over stays so, so that a snapshot is
#: enough to know it.
_IS_FIRST = """
      AND (d.queue = '' OR NOT EXISTS (SELECT 1 FROM {deliveries} e WHERE e.{lane} = d.{lane}
        AND e.queue = d.queue AND e.id < d.id AND e.queue <> '' AND e.state IN ('due', 'leased')))"""

#: Lanes with something to do, in turns; those that are narrow only if nobody served them meanwhile,
#: so that two workers do not both probe. Then a share of each, without waiting for other workers.
_LEASE_POSTGRESQL = """
WITH busy AS MATERIALIZED (
  SELECT {lane} AS lane, count(*) AS count FROM {deliveries}
  WHERE state = 'leased' AND due_at > %(now)s GROUP BY 1
), turns AS MATERIALIZED (
  SELECT l.id, l.served_at, l.width - coalesce(b.count, 0) AS room,
    row_number() OVER (PARTITION BY l.tenant_id ORDER BY l.served_at NULLS FIRST, l.id) AS turn
  FROM {lanes} l LEFT JOIN busy b ON b.lane = l.id
  WHERE (l.held_until IS NULL OR l.held_until <= %(now)s) AND l.width > coalesce(b.count, 0)
    AND EXISTS (SELECT 1 FROM {deliveries} d WHERE d.{lane} = l.id
      AND d.state IN ('due', 'leased') AND d.due_at <= %(now)s{is_first})
  ORDER BY turn, l.served_at NULLS FIRST, l.id LIMIT %(lanes)s
), locked AS MATERIALIZED (
  SELECT l.id, t.room FROM {lanes} l JOIN turns t ON t.id = l.id
  WHERE l.width > 1 OR l.served_at IS NOT DISTINCT FROM t.served_at
  ORDER BY l.id FOR NO KEY UPDATE OF l
), served AS (
  UPDATE {lanes} l SET served_at = clock_timestamp() FROM locked WHERE l.id = locked.id
), picked AS MATERIALIZED (
  SELECT d.id, d.due_at FROM locked CROSS JOIN LATERAL (
    SELECT d.id, d.due_at FROM {deliveries} d WHERE d.{lane} = locked.id
      AND d.state IN ('due', 'leased') AND d.due_at <= %(now)s{is_first}
    ORDER BY d.due_at, d.id LIMIT least(locked.room, %(per_lane)s) FOR UPDATE SKIP LOCKED
  ) d
)
UPDATE {deliveries} d
SET state = 'leased', due_at = %(until)s, attempts = d.attempts + 1, token = %(token)s
FROM picked, {tenants} t WHERE d.id = picked.id AND t.id = d.tenant_id
RETURNING picked.due_at, d.id, d.attempts, t.key, d.{lane}
"""

_TURN_SQLITE = "UPDATE {lanes} SET served_at = served_at WHERE id < 0"

_LOOK_SQLITE = """
WITH busy AS (
  SELECT {lane} AS lane, count(*) AS count FROM {deliveries}
  WHERE state = 'leased' AND due_at > %(now)s GROUP BY 1
), turns AS (
  SELECT l.id, l.width - coalesce(b.count, 0) AS room,
    row_number() OVER (PARTITION BY l.tenant_id ORDER BY l.served_at, l.id) AS turn, l.served_at
  FROM {lanes} l LEFT JOIN busy b ON b.lane = l.id
  WHERE (l.held_until IS NULL OR l.held_until <= %(now)s) AND l.width > coalesce(b.count, 0)
    AND EXISTS (SELECT 1 FROM {deliveries} d WHERE d.{lane} = l.id
      AND d.state IN ('due', 'leased') AND d.due_at <= %(now)s{is_first})
  ORDER BY turn, l.served_at, l.id LIMIT %(lanes)s
), ranked AS (
  SELECT d.due_at, d.id, d.attempts + 1 AS attempt, d.tenant_id, d.{lane} AS lane, t.room,
    row_number() OVER (PARTITION BY d.{lane} ORDER BY d.due_at, d.id) AS place
  FROM turns t JOIN {deliveries} d ON d.{lane} = t.id
  WHERE d.state IN ('due', 'leased') AND d.due_at <= %(now)s{is_first}
)
SELECT r.due_at, r.id, r.attempt, t.key, r.lane
FROM ranked r JOIN {tenants} t ON t.id = r.tenant_id WHERE r.place <= min(r.room, %(per_lane)s)
"""

_LEASE_SQLITE = """
UPDATE {deliveries}
SET state = 'leased', due_at = %(until)s, attempts = attempts + 1, token = %(token)s
WHERE id IN (SELECT value FROM json_each(%(taken)s))
"""

_SERVED_SQLITE = """
UPDATE {lanes} SET served_at = %(now)s
WHERE id IN (SELECT value FROM json_each(%(served)s))
"""

_SETTLE_POSTGRESQL = """
UPDATE {deliveries} d
SET state = s.state, reason = s.reason, token = '', due_at = coalesce(s.due_at, d.due_at),
  attempts = d.attempts - s.returned
FROM json_to_recordset(%(settled)s) AS
  s (id bigint, token text, state text, reason text, due_at timestamptz, returned int)
WHERE d.id = s.id AND d.token = s.token AND d.state = 'leased'
RETURNING d.id
"""

_SETTLE_SQLITE = """
UPDATE {deliveries}
SET state = s.state, reason = s.reason, token = '', due_at = coalesce(s.due_at, {deliveries}.due_at),
  attempts = attempts - s.returned
FROM (
  SELECT json_extract(value, '$.id') AS key, json_extract(value, '$.token') AS held,
    json_extract(value, '$.state') AS state, json_extract(value, '$.reason') AS reason,
    json_extract(value, '$.due_at') AS due_at, json_extract(value, '$.returned') AS returned
  FROM json_each(%(settled)s)
) AS s
WHERE {deliveries}.id = s.key AND {deliveries}.token = s.held AND {deliveries}.state = 'leased'
RETURNING id
"""
