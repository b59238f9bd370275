"""Webhooks kept in memory: the reference of :class:`~claimkit.webhooks.deliver.DeliveryBook`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from claimkit.outbox import Delivery
from claimkit.webhooks.deliver import Parcel, judge

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from claimkit.config import WebhooksConfig
    from claimkit.outbox import Lease, MemoryOutbox
    from claimkit.types import TenantKey
    from claimkit.webhooks.deliver import Attempt, Endpoint, LaneReport

__all__ = ["MemoryBook"]


class MemoryBook:
    """Endpoints, bodies and attempts in memory, for tests and the command line.

    Attributes:
        attempts: All that were made, in order.
        disabled: Lane → why its endpoint was disabled.
    """

    def __init__(self, outbox: MemoryOutbox, config: WebhooksConfig) -> None:
        self.attempts: list[Attempt] = []
        self.disabled: dict[str, str] = {}
        self._outbox = outbox
        self._config = config
        self._endpoints: dict[str, Endpoint] = {}
        self._messages: dict[str, tuple[str, bytes]] = {}
        self._lock = threading.Lock()

    def add(self, endpoint: Endpoint) -> None:
        """Add an endpoint, or replace the one of the same lane."""
        with self._lock:
            self._endpoints[endpoint.lane] = endpoint

    def find(self, lane: str) -> Endpoint:
        """Return the endpoint of a lane, with its health."""
        return self._endpoints[lane]

    def send(
        self,
        delivery: str,
        lane: str,
        body: bytes,
        *,
        message_id: str,
        tenant: TenantKey,
        at: dt.datetime,
    ) -> None:
        """Put a message in the outbox for the endpoint of a lane."""
        with self._lock:
            self._messages[delivery] = (message_id, body)
        self._outbox.put([Delivery(id=delivery, tenant=tenant, lane=lane, due_at=at)])

    def load(self, leases: Sequence[Lease]) -> tuple[Endpoint | None, Sequence[Parcel]]:
        """See :meth:`~claimkit.webhooks.deliver.DeliveryBook.load`."""
        with self._lock:
            lane = leases[0].lane
            endpoint = None if lane in self.disabled else self._endpoints.get(lane)
            if endpoint is None:
                return None, ()
            known = [(one, self._messages[one.id]) for one in leases if one.id in self._messages]
            return endpoint, [
                Parcel(lease=lease, message_id=message_id, body=body)
                for lease, (message_id, body) in known
            ]

    def record(self, report: LaneReport) -> frozenset[str]:
        """See :meth:`~claimkit.webhooks.deliver.DeliveryBook.record`."""
        with self._lock:
            self.attempts += report.attempts
            endpoint = self._endpoints.get(report.lane)
            if endpoint is not None and report.attempts:
                verdict = judge(endpoint.health, report.attempts, self._config)
                self._endpoints[report.lane] = replace(endpoint, health=verdict.health)
                self._outbox.hold(
                    verdict.health.lane(report.lane, limit=self._config.circuit_failures)
                )
                if verdict.disable:
                    self.disabled.setdefault(report.lane, verdict.disable)
            return self._outbox.settle(report.settlements)
