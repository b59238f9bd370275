"""The store in memory: the reference that every other store must agree with.

Plain on purpose: dictionaries, one lock, and a journal of what was there before, so that a
transaction that fails leaves nothing behind. For tests, for the oracle of the conformance suite, and
for one-off runs over files that fit.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from claimkit.claims.ledger import claim_key, in_order, merge, statements_in
from claimkit.claims.model import Outcome
from claimkit.claims.store import ClaimTotals, Merged
from claimkit.drift import cube
from claimkit.drift.findings import FindingState, latest_accepted, reconcile
from claimkit.errors import FindingUnknown, StoreError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from claimkit.claims.model import ClaimBatch, ClaimEvent, ClaimPosition, ServiceLine
    from claimkit.claims.store import ClaimStore
    from claimkit.drift.cube import CubeStore
    from claimkit.drift.findings import Finding, FindingLog, Recorded
    from claimkit.types import Day, TenantKey

__all__ = ["MemoryClaimStore", "MemoryCubeStore", "MemoryFindingLog", "MemoryStore"]

#: Posted deltas of a cube table that are kept apart before they are summed into one.
_PARTS = 64


class MemoryStore:
    """Claims, cube and findings of all tenants, gone when the process ends."""

    def __init__(self) -> None:
        self._transaction = _Transaction()
        self.claims: ClaimStore = MemoryClaimStore(self._transaction)
        self.cube: CubeStore = MemoryCubeStore(self._transaction)
        self.findings: FindingLog = MemoryFindingLog(self._transaction)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Open a transaction: all of the block or nothing; other threads wait. Nests."""
        with self._transaction.atomic():
            yield

    def close(self) -> None:
        """Refuse further use; what was kept is gone with the object."""
        self._transaction.close()


class _Transaction:
    """One lock, and the way back: how to undo each write since the transaction began."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._undo: list[Callable[[], None]] = []
        self._depth = 0
        self._closed = False

    @contextmanager
    def atomic(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            began = len(self._undo)
            self._depth += 1
            try:
                yield
            except BaseException:
                while len(self._undo) > began:
                    self._undo.pop()()
                raise
            finally:
                self._depth -= 1
                if not self._depth:
                    self._undo.clear()

    def put(self, mapping: dict[Any, Any], key: object, value: object) -> None:
        """Set ``mapping[key]`` such that it can be undone."""
        if key in mapping:
            before = mapping[key]
            self._undo.append(lambda: mapping.__setitem__(key, before))
        else:
            self._undo.append(lambda: mapping.__delitem__(key))
        mapping[key] = value

    def close(self) -> None:
        with self._lock:
            self._closed = True


class MemoryClaimStore:
    """A :class:`~claimkit.claims.store.ClaimStore` in dictionaries by claim key."""

    def __init__(self, transaction: _Transaction) -> None:
        self._transaction = transaction
        self._events: dict[TenantKey, dict[int, tuple[ClaimEvent, ...]]] = defaultdict(dict)
        self._positions: dict[TenantKey, dict[int, ClaimPosition]] = defaultdict(dict)
        self._lines: dict[TenantKey, dict[tuple[int, int], Sequence[ServiceLine]]] = defaultdict(
            dict
        )

    def add(
        self, tenant: TenantKey, batch: ClaimBatch, *, upload: str, known_on: dt.date
    ) -> Merged:
        """Add a batch of normalized claims; see :meth:`claimkit.claims.store.ClaimStore.add`."""
        statements = statements_in(batch.claims, upload=upload, known_on=known_on)
        with self._transaction.atomic():
            events, positions = self._events[tenant], self._positions[tenant]
            changeset = merge(statements, events, positions)
            for event in changeset.events:
                others = (
                    one
                    for one in events.get(event.claim_key, ())
                    if one.event_key != event.event_key
                )
                self._transaction.put(events, event.claim_key, (*others, event))
            for key, lines in changeset.lines.items():
                self._transaction.put(self._lines[tenant], key, tuple(lines))
            for position in changeset.positions:
                self._transaction.put(positions, position.claim_key, position)
        return Merged(added=changeset.added, changes=changeset.changes)

    def find(self, tenant: TenantKey, patient_control_number: str) -> ClaimPosition | None:
        """Return the position of one claim by its (folded) patient control number."""
        with self._transaction.atomic():
            return self._positions[tenant].get(claim_key(patient_control_number))

    def history(self, tenant: TenantKey, claim_key: int) -> Sequence[ClaimEvent]:
        """Return a claim's events, oldest decision first."""
        with self._transaction.atomic():
            return in_order(self._events[tenant].get(claim_key, ()))

    def lines(self, tenant: TenantKey, claim_key: int) -> Sequence[ServiceLine]:
        """Return the service lines of a claim's events, in the order of its history."""
        with self._transaction.atomic():
            return [
                line
                for event in self.history(tenant, claim_key)
                for line in self._lines[tenant].get((claim_key, event.event_key), ())
            ]

    def scan(self, tenant: TenantKey, *, batch_size: int = 5_000) -> Iterator[list[ClaimPosition]]:
        """Yield all positions of a tenant by claim key."""
        with self._transaction.atomic():
            ordered = iter(sorted(self._positions[tenant].items()))
        while found := [position for _, position in islice(ordered, batch_size)]:
            yield found

    def totals(self, tenant: TenantKey) -> ClaimTotals:
        """Return sums over the tenant's current positions."""
        with self._transaction.atomic():
            positions = self._positions[tenant].values()
            return ClaimTotals(
                claims=len(positions),
                pending=sum(one.outcome is Outcome.PENDING for one in positions),
                denied=sum(one.outcome is Outcome.DENIED for one in positions),
                charge=sum(one.charge for one in positions),
                paid=sum(one.paid for one in positions),
                joined=sum(one.has_submission and one.has_decision for one in positions),
                reversals=sum(one.reversals for one in positions),
            )


class MemoryCubeStore:
    """A :class:`~claimkit.drift.cube.CubeStore` that keeps what was posted and sums it on demand."""

    def __init__(self, transaction: _Transaction) -> None:
        self._transaction = transaction
        self._posted: dict[TenantKey, dict[str, tuple[cube.Cells, ...]]] = defaultdict(dict)

    def post(self, tenant: TenantKey, cells: cube.Cells) -> None:
        """Add deltas; see :meth:`claimkit.drift.cube.CubeStore.post`."""
        if not len(cells):
            return
        with self._transaction.atomic():
            posted = self._posted[tenant]
            parts = (*posted.get(cells.table.name, ()), cells)
            if len(parts) > _PARTS:
                parts = (cube.merge(parts),)
            self._transaction.put(posted, cells.table.name, parts)

    def read(
        self,
        tenant: TenantKey,
        table: cube.CubeTable,
        *,
        since: Day | None = None,
        until: Day | None = None,
        known_by: Day | None = None,
        by_known_day: bool = False,
    ) -> cube.Cells:
        """Return summed rows; see :meth:`claimkit.drift.cube.CubeStore.read`."""
        with self._transaction.atomic():
            parts = self._posted[tenant].get(table.name, ())
        if not parts:
            return cube.Cells.empty(table, by_known_day=by_known_day)
        cells = cube.merge(parts)
        day, known_day = cells.numbers[table.day], cells.numbers["known_day"]
        wanted = np.ones(len(cells), np.bool_)
        if since is not None:
            wanted &= day >= since
        if until is not None:
            wanted &= day < until
        if known_by is not None:
            wanted &= known_day <= known_by
        chosen = cells.take(wanted)
        axes = (*table.numbers, "known_day") if by_known_day else table.numbers
        return cube.canonical(
            cube.Cells(
                table=table,
                names=chosen.names,
                labels=chosen.labels,
                numbers={axis: chosen.numbers[axis] for axis in axes},
                measures=chosen.measures,
            )
        )

    def clear(self, tenant: TenantKey) -> None:
        """Forget a tenant's cube, before a rebuild."""
        with self._transaction.atomic():
            self._transaction.put(self._posted, tenant, {})


class MemoryFindingLog:
    """A :class:`~claimkit.drift.findings.FindingLog` in a list per tenant."""

    def __init__(self, transaction: _Transaction) -> None:
        self._transaction = transaction
        self._kept: dict[TenantKey, tuple[tuple[Finding, FindingState], ...]] = defaultdict(tuple)

    def record(self, tenant: TenantKey, findings: Sequence[Finding], *, as_of: dt.date) -> Recorded:
        """Take a night's findings; see :meth:`claimkit.drift.findings.FindingLog.record`."""
        with self._transaction.atomic():
            recorded = reconcile(self.open(tenant), findings, as_of=as_of)
            now = {
                one.fingerprint: (one, FindingState.OPEN)
                for one in (*recorded.worse, *recorded.same)
            } | {one.fingerprint: (one, FindingState.RESOLVED) for one in recorded.resolved}
            kept = tuple(
                now.get(one.fingerprint, (one, state))
                if state is FindingState.OPEN
                else (one, state)
                for one, state in self._kept[tenant]
            )
            new = tuple((one, FindingState.OPEN) for one in recorded.new)
            self._transaction.put(self._kept, tenant, (*kept, *new))
        return recorded

    def accept(self, tenant: TenantKey, fingerprint: str, *, on: dt.date, by: str) -> Finding:
        """Close an open finding; see :meth:`claimkit.drift.findings.FindingLog.accept`."""
        with self._transaction.atomic():
            before = next(
                (one for one in self.open(tenant) if one.fingerprint == fingerprint), None
            )
            if before is None:
                raise FindingUnknown("there is no such open finding")
            accepted = replace(before, accepted_on=on, accepted_by=by)
            kept = tuple(
                (accepted, FindingState.ACCEPTED)
                if state is FindingState.OPEN and one.fingerprint == fingerprint
                else (one, state)
                for one, state in self._kept[tenant]
            )
            self._transaction.put(self._kept, tenant, kept)
        return accepted

    def accepted(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return findings whose level was accepted, the latest acceptance first."""
        with self._transaction.atomic():
            kept = self._kept[tenant]
        return latest_accepted(one for one, state in kept if state is FindingState.ACCEPTED)

    def open(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return open findings, most dollars per month first."""
        with self._transaction.atomic():
            found = [one for one, state in self._kept[tenant] if state is FindingState.OPEN]
        return sorted(found, key=lambda one: (-one.dollars_per_month, one.fingerprint))

    def all(self, tenant: TenantKey) -> Sequence[tuple[Finding, FindingState]]:
        """Return all findings ever, newest first."""
        with self._transaction.atomic():
            kept = self._kept[tenant]
        # Stable: of equal nights, what was recorded later comes first.
        return sorted(kept, key=lambda pair: pair[0].as_of, reverse=True)
