"""Claims in SQLite: events, their service lines and positions, by tenant and claim key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from claimkit.claims.ledger import claim_key as key_of
from claimkit.claims.ledger import in_order, merge, sift, statements_in
from claimkit.claims.model import (
    ClaimEvent,
    ClaimKind,
    ClaimPosition,
    EventKind,
    Outcome,
    ServiceLine,
)
from claimkit.claims.store import ClaimTotals, Merged
from claimkit.stores.sqlite.rows import Column, Rows
from claimkit.types import date_of

if TYPE_CHECKING:
    import datetime as dt
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from claimkit.claims.ledger import Changeset, Statement
    from claimkit.claims.model import ClaimBatch
    from claimkit.stores.sqlite.database import Database, Names
    from claimkit.types import TenantKey

__all__ = ["SqliteClaimStore"]

_EVENTS = Rows(
    "claim_event",
    [
        Column("claim_key", "int"),
        Column("event_key", "int"),
        Column("content", "int"),
        Column("decision_key", "int"),
        Column("kind", "name", make=EventKind),
        Column("source", "name", make=ClaimKind),
        Column("patient_control_number", "text"),
        Column("payer_claim_control_number", "text"),
        Column("original_reference", "text"),
        Column("frequency", "name"),
        Column("status", "name"),
        Column("payer_name", "name"),
        Column("payer_id", "name"),
        Column("base_payer", "name"),
        Column("payer", "name"),
        Column("procedure_code", "name"),
        Column("base_group", "name"),
        Column("procedure_group", "name"),
        Column("facility", "name"),
        Column("line_of_business", "name"),
        Column("provider", "name"),
        Column("authorization_number", "text"),
        Column("patient_token", "text"),
        Column("outcome", "name", make=Outcome),
        Column("category", "name"),
        Column("reason", "name"),
        Column("remark", "name"),
        Column("service_from", "day"),
        Column("submitted_on", "day"),
        Column("received_on", "day"),
        Column("decided_on", "day"),
        Column("paid_on", "day"),
        Column("charge", "int"),
        Column("allowed", "int", optional=True),
        Column("paid", "int"),
        Column("patient_responsibility", "int"),
        Column("upload", "name"),
        Column("position", "int"),
        Column("known_on", "day"),
    ],
    leading=("id",),
    keys=("claim_key", "event_key"),
    make=ClaimEvent,
)
_POSITIONS = Rows(
    "claim",
    [
        Column("claim_key", "int"),
        Column("patient_control_number", "text"),
        Column("payer_claim_control_number", "text"),
        Column("payer", "name"),
        Column("procedure_code", "name"),
        Column("procedure_group", "name"),
        Column("facility", "name"),
        Column("line_of_business", "name"),
        Column("provider", "name"),
        Column("authorization_number", "text"),
        Column("patient_token", "text"),
        Column("frequency", "name"),
        Column("service_from", "day"),
        Column("submitted_on", "day"),
        Column("first_decided_on", "day"),
        Column("first_outcome", "name", make=Outcome),
        Column("first_category", "name"),
        Column("first_reason", "name"),
        Column("outcome", "name", make=Outcome),
        Column("category", "name"),
        Column("reason", "name"),
        Column("remark", "name"),
        Column("decided_on", "day"),
        Column("paid_on", "day"),
        Column("charge", "int"),
        Column("allowed", "int", optional=True),
        Column("paid", "int"),
        Column("patient_responsibility", "int"),
        Column("lag_days", "int", optional=True),
        Column("has_submission", "flag"),
        Column("has_decision", "flag"),
        Column("reversals", "int"),
        Column("first_pass", "flag"),
        Column("upload", "name"),
        Column("position", "int"),
    ],
    keys=("claim_key",),
    make=ClaimPosition,
)
_LINES = Rows(
    "service_line",
    [
        Column("number", "text"),
        Column("procedure_system", "name"),
        Column("procedure_code", "name"),
        Column("modifiers", "words", make=tuple),
        Column("revenue_code", "name"),
        Column("units", "decimal"),
        Column("service_from", "day"),
        Column("service_to", "day"),
        Column("charge", "int"),
        Column("allowed", "int", optional=True),
        Column("paid", "int"),
        Column("billed_procedure", "name"),
        Column("adjustments", "adjustments"),
        Column("remarks", "words"),
        Column("position", "int"),
    ],
    leading=("event", "ordinal"),
    keys=("event", "ordinal"),
    ascending=True,
    make=ServiceLine,
)

_REPLACED = (
    "FROM claim_event WHERE tenant = ?1 AND (claim_key, event_key) IN"
    " (SELECT value ->> 0, value ->> 1 FROM json_each(?2))"
)
_DELETE_LINES = f"DELETE FROM service_line WHERE tenant = ?1 AND event IN (SELECT id {_REPLACED})"
_DELETE_EVENTS = f"DELETE {_REPLACED}"
_TOTALS = """
SELECT count(*), total(outcome = :pending), total(outcome = :denied), sum(charge), sum(paid),
       total(has_submission AND has_decision), sum(reversals)
FROM claim WHERE tenant = :tenant
"""


class SqliteClaimStore:
    """A :class:`~claimkit.claims.store.ClaimStore` in the tables of one SQLite file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create({rows.table: rows.create for rows in (_EVENTS, _POSITIONS, _LINES)})

    def add(
        self, tenant: TenantKey, batch: ClaimBatch, *, upload: str, known_on: dt.date
    ) -> Merged:
        """Add a batch of normalized claims; see :meth:`claimkit.claims.store.ClaimStore.add`.

        At most ten statements, whatever the batch holds.
        """
        # Before the transaction, so that other writers wait for the database only.
        statements = statements_in(batch.claims, upload=upload, known_on=known_on)
        with self._database.atomic() as connection:
            number = self._database.make_tenant(tenant)
            names = self._database.names(number)
            news, same = sift(statements, self._identities(connection, number, statements))
            keys = {one.event.claim_key for one in news}
            positions = {
                one.claim_key: one
                for one in self._load(connection, _POSITIONS, number, keys, names)
            }
            events: dict[int, list[ClaimEvent]] = {key: [] for key in positions}
            for event in self._load(connection, _EVENTS, number, positions.keys(), names):
                events[event.claim_key].append(event)
            changeset = merge(news, events, positions)
            self._write(connection, number, changeset, names)
        return Merged(added=changeset.added + same, changes=changeset.changes)

    @staticmethod
    def _identities(
        connection: sqlite3.Connection, number: int, statements: Sequence[Statement]
    ) -> dict[tuple[int, int], tuple[int, dt.date]]:
        """Return what is stored of the batch's claims, no more than it takes to know it again."""
        keys = {one.event.claim_key for one in statements}
        found = connection.execute(
            "SELECT claim_key, event_key, content, known_on FROM claim_event WHERE tenant = ?"
            " AND claim_key IN (SELECT value FROM json_each(?))",
            (number, json.dumps(list(keys))),
        )
        return {(claim, event): (content, date_of(day)) for claim, event, content, day in found}

    @staticmethod
    def _load(
        connection: sqlite3.Connection,
        rows: Rows[Any],
        number: int,
        keys: Collection[int],
        names: Names,
    ) -> list[Any]:
        if not keys:
            return []
        found = connection.execute(
            f"SELECT {rows.columns} FROM {rows.table} WHERE tenant = ?"
            " AND claim_key IN (SELECT value FROM json_each(?))",
            (number, json.dumps(list(keys))),
        )
        return rows.unpack(found.fetchall(), names)

    def _write(
        self, connection: sqlite3.Connection, number: int, changeset: Changeset, names: Names
    ) -> None:
        replaced = [(one.claim_key, one.event_key) for one in changeset.replaced]
        if replaced:
            # Corrections are rare: they are written anew, with a new number for their new lines.
            for statement in (_DELETE_LINES, _DELETE_EVENTS):
                connection.execute(statement, (number, json.dumps(replaced)))
        # In the order of the keys, so that neighbors share pages of the index.
        events = sorted(changeset.events, key=lambda one: (one.claim_key, one.event_key))
        positions = sorted(changeset.positions, key=lambda one: one.claim_key)
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM claim_event").fetchone()
        numbers = range(last + 1, last + 1 + len(events))
        lines = [
            (event_number, ordinal, line)
            for event_number, event in zip(numbers, events, strict=True)
            for ordinal, line in enumerate(changeset.lines[event.claim_key, event.event_key])
        ]
        connection.executemany(_EVENTS.upsert, _EVENTS.pack(number, events, names, numbers))
        connection.executemany(_POSITIONS.upsert, _POSITIONS.pack(number, positions, names))
        if lines:
            *leading, values = zip(*lines, strict=True)
            connection.executemany(_LINES.upsert, _LINES.pack(number, values, names, *leading))
        self._database.keep_names(number, names)

    def find(self, tenant: TenantKey, patient_control_number: str) -> ClaimPosition | None:
        """Return the position of one claim by its (folded) patient control number."""
        with self._database.snapshot() as connection:
            number = self._database.find_tenant(tenant)
            keys = [key_of(patient_control_number)]
            names = self._database.names(number)
            found = self._load(connection, _POSITIONS, number, keys, names)
        return found[0] if found else None

    def history(self, tenant: TenantKey, claim_key: int) -> Sequence[ClaimEvent]:
        """Return a claim's events, oldest decision first."""
        with self._database.snapshot() as connection:
            number = self._database.find_tenant(tenant)
            names = self._database.names(number)
            return in_order(self._load(connection, _EVENTS, number, [claim_key], names))

    def lines(self, tenant: TenantKey, claim_key: int) -> Sequence[ServiceLine]:
        """Return the service lines of a claim's events, in the order of its history."""
        with self._database.snapshot() as connection:
            number = self._database.find_tenant(tenant)
            names = self._database.names(number)
            numbers = connection.execute(
                "SELECT event_key, id FROM claim_event WHERE tenant = ? AND claim_key = ?",
                (number, claim_key),
            )
            number_of: dict[int, int] = dict(numbers.fetchall())
            rows = connection.execute(
                f"SELECT event, {_LINES.columns} FROM service_line WHERE tenant = ?"
                " AND event IN (SELECT value FROM json_each(?)) ORDER BY event, ordinal",
                (number, json.dumps(list(number_of.values()))),
            ).fetchall()
            its: dict[int, list[ServiceLine]] = {}
            unpacked = _LINES.unpack([row[1:] for row in rows], names)
            for row, line in zip(rows, unpacked, strict=True):
                its.setdefault(row[0], []).append(line)
            history = in_order(self._load(connection, _EVENTS, number, [claim_key], names))
        return [line for event in history for line in its.get(number_of[event.event_key], ())]

    def scan(self, tenant: TenantKey, *, batch_size: int = 5_000) -> Iterator[list[ClaimPosition]]:
        """Yield all positions of a tenant by claim key, a page at a time."""
        last = float("-inf")
        while True:
            with self._database.snapshot() as connection:
                number = self._database.find_tenant(tenant)
                page = connection.execute(
                    f"SELECT {_POSITIONS.columns} FROM claim WHERE tenant = ? AND claim_key > ?"
                    " ORDER BY claim_key LIMIT ?",
                    (number, last, batch_size),
                ).fetchall()
                found = _POSITIONS.unpack(page, self._database.names(number))
            if not found:
                return
            yield found
            last = found[-1].claim_key

    def totals(self, tenant: TenantKey) -> ClaimTotals:
        """Return sums over the tenant's current positions."""
        with self._database.snapshot() as connection:
            number = self._database.find_tenant(tenant)
            names = self._database.names(number)
            codes = {
                "tenant": number,
                "pending": names.get(Outcome.PENDING, -1),
                "denied": names.get(Outcome.DENIED, -1),
            }
            sums = connection.execute(_TOTALS, codes).fetchone()
        claims, pending, denied, charge, paid, joined, reversals = (int(one or 0) for one in sums)
        return ClaimTotals(
            claims=claims,
            pending=pending,
            denied=denied,
            charge=charge,
            paid=paid,
            joined=joined,
            reversals=reversals,
        )
