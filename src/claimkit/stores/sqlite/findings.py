"""Findings in SQLite: one row each, at most one open per tenant and fingerprint."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from claimkit.drift.findings import (
    Evidence,
    Finding,
    FindingState,
    Recorded,
    Segment,
    Signal,
    Tier,
    latest_accepted,
    reconcile,
)
from claimkit.errors import FindingUnknown
from claimkit.types import Severity, day_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.stores.sqlite.database import Database
    from claimkit.types import TenantKey

__all__ = ["SqliteFindingLog"]

_OBJECTS = {
    "finding": "CREATE TABLE finding (id INTEGER PRIMARY KEY,"
    " tenant INTEGER NOT NULL REFERENCES tenant (id), fingerprint TEXT NOT NULL,"
    " state TEXT NOT NULL, as_of INTEGER NOT NULL, dollars_per_month INTEGER NOT NULL,"
    " finding TEXT NOT NULL) STRICT",
    # Not only the code says that an incident is open once.
    "finding_open": "CREATE UNIQUE INDEX finding_open ON finding (tenant, fingerprint)"
    " WHERE state = 'open'",
    "finding_night": "CREATE INDEX finding_night ON finding (tenant, as_of)",
}


class SqliteFindingLog:
    """A :class:`~claimkit.drift.findings.FindingLog` with the findings as JSON."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create(_OBJECTS)

    def record(self, tenant: TenantKey, findings: Sequence[Finding], *, as_of: dt.date) -> Recorded:
        """Take a night's findings; see :meth:`claimkit.drift.findings.FindingLog.record`."""
        with self._database.atomic() as connection:
            number = self._database.make_tenant(tenant)
            recorded = reconcile(self.open(tenant), findings, as_of=as_of)
            told = [
                *((one, FindingState.OPEN) for one in (*recorded.worse, *recorded.same)),
                *((one, FindingState.RESOLVED) for one in recorded.resolved),
            ]
            connection.executemany(
                "UPDATE finding SET state = ?, as_of = ?, dollars_per_month = ?, finding = ?"
                " WHERE tenant = ? AND fingerprint = ? AND state = 'open'",
                [(*_row(one, state), number, one.fingerprint) for one, state in told],
            )
            connection.executemany(
                "INSERT INTO finding (state, as_of, dollars_per_month, finding, tenant, fingerprint)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [(*_row(one, FindingState.OPEN), number, one.fingerprint) for one in recorded.new],
            )
        return recorded

    def accept(self, tenant: TenantKey, fingerprint: str, *, on: dt.date, by: str) -> Finding:
        """Close an open finding; see :meth:`claimkit.drift.findings.FindingLog.accept`."""
        with self._database.atomic() as connection:
            number = self._database.find_tenant(tenant)
            before = next(
                (one for one in self.open(tenant) if one.fingerprint == fingerprint), None
            )
            if before is None:
                raise FindingUnknown("there is no such open finding")
            accepted = dataclasses.replace(before, accepted_on=on, accepted_by=by)
            connection.execute(
                "UPDATE finding SET state = ?, as_of = ?, dollars_per_month = ?, finding = ?"
                " WHERE tenant = ? AND fingerprint = ? AND state = 'open'",
                (*_row(accepted, FindingState.ACCEPTED), number, fingerprint),
            )
        return accepted

    def accepted(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return findings whose level was accepted, the latest acceptance first."""
        with self._database.snapshot() as connection:
            found = connection.execute(
                "SELECT finding FROM finding WHERE tenant = ? AND state = 'accepted'",
                (self._database.find_tenant(tenant),),
            ).fetchall()
        return latest_accepted(_unpack(text) for (text,) in found)

    def open(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return open findings, most dollars per month first."""
        with self._database.snapshot() as connection:
            found = connection.execute(
                "SELECT finding FROM finding WHERE tenant = ? AND state = 'open'"
                " ORDER BY dollars_per_month DESC, fingerprint",
                (self._database.find_tenant(tenant),),
            ).fetchall()
        return [_unpack(text) for (text,) in found]

    def all(self, tenant: TenantKey) -> Sequence[tuple[Finding, FindingState]]:
        """Return all findings ever, newest first."""
        with self._database.snapshot() as connection:
            found = connection.execute(
                "SELECT finding, state FROM finding WHERE tenant = ? ORDER BY as_of DESC, id DESC",
                (self._database.find_tenant(tenant),),
            ).fetchall()
        return [(_unpack(text), FindingState(state)) for text, state in found]


def _row(finding: Finding, state: FindingState) -> tuple[str, int, int, str]:
    return state.value, day_of(finding.as_of), finding.dollars_per_month, _pack(finding)


def _pack(finding: Finding) -> str:
    return json.dumps(dataclasses.asdict(finding), default=dt.date.isoformat)


def _unpack(text: str) -> Finding:
    kept: dict[str, Any] = json.loads(text)
    told = kept["told_severity"]
    kept |= {
        "signal": Signal(kept["signal"]),
        "tier": Tier(kept["tier"]),
        "severity": Severity(kept["severity"]),
        "told_severity": None if told is None else Severity(told),
        "segment": Segment(**_tuples(kept["segment"])),
        "interval": tuple(kept["interval"]),
        "why": tuple(kept["why"]),
        "places": _tuples(kept.get("places", {})),
        "evidence": _evidence(kept["evidence"]),
    }
    for name in ("onset", "as_of", "detected_on", "ended", "accepted_on"):
        if kept.get(name) is not None:
            kept[name] = dt.date.fromisoformat(kept[name])
    return Finding(**kept)


def _evidence(kept: dict[str, Any]) -> Evidence:
    fields = _tuples(kept)
    fields["days"] = tuple(map(dt.date.fromisoformat, kept["days"]))
    fields["groups"] = _tuples(kept["groups"])
    fields["places"] = {name: _tuples(rows) for name, rows in kept.get("places", {}).items()}
    return Evidence(**fields)


def _tuples(kept: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with tuples for lists, which are all that JSON has."""
    return {name: tuple(one) if isinstance(one, list) else one for name, one in kept.items()}
