"""The cube and the findings in the database.

The cube is posted by one ``INSERT … ON CONFLICT … += `` per table and read by one ``GROUP BY``
over a window of days. The life of findings is decided by
:func:`claimkit.drift.findings.reconcile`, under the tenant's turn.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from django.db import connections, transaction

from claimkit.drift.cube import (
    DECISIONS,
    INFLOW,
    MEASURES,
    MONEY,
    PAYMENTS,
    SLICES,
    Cells,
    canonical,
)
from claimkit.drift.findings import FindingState, latest_accepted, reconcile
from claimkit.errors import FindingUnknown
from claimkit.tenants import use_tenant
from claimkit_django.bulk import BulkTable, OnConflict, insert_columns
from claimkit_django.dictionaries import NameTable
from claimkit_django.drift import models
from claimkit_django.drift.rows import finding_of, write_finding
from claimkit_django.tenants.changes import note_change
from claimkit_django.tenants.turns import having_turn, reading

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from django.db.models import QuerySet
    from numpy.typing import NDArray

    from claimkit.drift.cube import CubeTable
    from claimkit.drift.findings import Finding, Recorded
    from claimkit.types import Day, TenantKey

__all__ = ["CUBE_MODELS", "OrmCubeStore", "OrmFindingLog"]

#: Cube table → its rows.
CUBE_MODELS: Final = {
    DECISIONS.name: models.CubeDecision,
    MONEY.name: models.CubeMoney,
    INFLOW.name: models.CubeInflow,
    SLICES.name: models.CubeSlice,
    PAYMENTS.name: models.CubePayment,
    MEASURES.name: models.CubeMeasure,
}
#: Rows fetched at a time while a table is read into arrays.
_FETCH = 20_000


class OrmCubeStore:
    """Cube tables of all tenants in one database."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._names = NameTable(models.DriftDimension, using)

    def post(self, tenant: TenantKey, cells: Cells) -> None:
        """Add deltas; see :meth:`claimkit.drift.cube.CubeStore.post`.

        Raises:
            TenantUnknown: there is no such tenant, or it is not active.
        """
        if not len(cells):
            return
        with (
            transaction.atomic(using=self._using, savepoint=False),
            having_turn(tenant, self._using) as tenant_id,
        ):
            insert_columns(
                self._using,
                _bulk_table(cells.table),
                self._columns(tenant_id, cells),
                OnConflict.ADD,
            )
            note_change([tenant_id], CUBE_MODELS[cells.table.name].shown_in, self._using)

    def read(
        self,
        tenant: TenantKey,
        table: CubeTable,
        *,
        since: Day | None = None,
        until: Day | None = None,
        known_by: Day | None = None,
        by_known_day: bool = False,
    ) -> Cells:
        """Return summed rows; see :meth:`claimkit.drift.cube.CubeStore.read`.

        One query over the table, and one for the names.
        """
        axes = (*table.numbers, "known_day") if by_known_day else table.numbers
        with reading(tenant, self._using) as tenant_id:
            found = self._summed(
                tenant_id, table, axes, {"since": since, "until": until, "known_by": known_by}
            )
            largest = found[:, : len(table.labels)].max(initial=0)
            names = self._names.load(tenant_id, up_to=int(largest))
        labels: dict[str, NDArray[np.int64]] = {}
        texts: dict[str, Sequence[str]] = {}
        for at, axis in enumerate(table.labels):
            used, codes = np.unique(found[:, at], return_inverse=True)
            texts[axis] = [names.name(code) for code in used.tolist()]
            labels[axis] = codes.astype(np.int64)
        start = len(table.labels)
        numbers = {axis: found[:, start + at].copy() for at, axis in enumerate(axes)}
        start += len(axes)
        return canonical(
            Cells(
                table=table,
                names=texts,
                labels=labels,
                numbers=numbers,
                measures={
                    measure: found[:, start + at].copy()
                    for at, measure in enumerate(table.measures)
                },
            )
        )

    def clear(self, tenant: TenantKey) -> None:
        """Forget a tenant's cube, before a rebuild."""
        with (
            transaction.atomic(using=self._using, savepoint=False),
            having_turn(tenant, self._using),
        ):
            for model in CUBE_MODELS.values():
                model.objects.using(self._using).all().delete()

    def _columns(self, tenant_id: int, cells: Cells) -> list[Sequence[Any]]:
        table = cells.table
        pairs = [(axis, name) for axis in table.labels for name in cells.names[axis]]
        names = self._names.grow(tenant_id, self._names.load(tenant_id), pairs)
        columns: list[Sequence[Any]] = [[tenant_id] * len(cells)]
        columns += [cells.numbers[axis].tolist() for axis in (*table.numbers, "known_day")]
        for axis in table.labels:
            codes = np.array([names.code(axis, name) for name in cells.names[axis]], np.int64)
            columns.append(codes[cells.labels[axis]].tolist())
        columns += [cells.measures[measure].tolist() for measure in table.measures]
        # In the order of the key: neighbors in the index are written one after the other.
        return list(zip(*sorted(zip(*columns, strict=True)), strict=True))

    def _summed(
        self,
        tenant_id: int,
        table: CubeTable,
        numbers: Sequence[str],
        bounds: Mapping[str, Day | None],
    ) -> NDArray[np.int64]:
        """Return labels, numbers and summed measures as columns of one array."""
        connection = connections[self._using]
        quote = connection.ops.quote_name
        keys = ", ".join(map(quote, (*table.labels, *numbers)))
        sums = ", ".join(f"CAST(sum({quote(one)}) AS bigint)" for one in table.measures)
        conditions = {
            "since": f"{quote(table.day)} >= %s",
            "until": f"{quote(table.day)} < %s",
            "known_by": "known_day <= %s",
        }
        asked = [(conditions[name], value) for name, value in bounds.items() if value is not None]
        where = "".join(f" AND {text}" for text, _ in asked)
        width = len(table.labels) + len(numbers) + len(table.measures)
        parts = [np.empty((0, width), np.int64)]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {keys}, {sums} FROM {quote(_bulk_table(table).name)}"
                f" WHERE tenant_id = %s{where} GROUP BY {keys}",
                [tenant_id, *(value for _, value in asked)],
            )
            while rows := cursor.fetchmany(_FETCH):
                flat = np.fromiter(chain.from_iterable(rows), np.int64, len(rows) * width)
                parts.append(flat.reshape(-1, width))
        return np.concatenate(parts)


def _bulk_table(table: CubeTable) -> BulkTable:
    key = ("tenant_id", *table.numbers, "known_day", *table.labels)
    return BulkTable(
        name=CUBE_MODELS[table.name]._meta.db_table, columns=(*key, *table.measures), key=key
    )


class OrmFindingLog:
    """Findings of all tenants with their life cycle in one database."""

    def __init__(self, using: str) -> None:
        self._using = using

    def record(self, tenant: TenantKey, findings: Sequence[Finding], *, as_of: dt.date) -> Recorded:
        """Take a night's findings; see :meth:`claimkit.drift.findings.FindingLog.record`.

        Race-free twice over: writers of a tenant take turns, and the database holds one open row
        per tenant and fingerprint.
        """
        with transaction.atomic(using=self._using), having_turn(tenant, self._using):
            rows = {row.fingerprint: row for row in self._rows(FindingState.OPEN)}
            before = _by_money([finding_of(row) for row in rows.values()])
            recorded = reconcile(before, findings, as_of=as_of)
            news = [write_finding(models.Finding(), one, FindingState.OPEN) for one in recorded.new]
            kept = [
                write_finding(rows[one.fingerprint], one, state)
                for group, state in (
                    (recorded.worse, FindingState.OPEN),
                    (recorded.same, FindingState.OPEN),
                    (recorded.resolved, FindingState.RESOLVED),
                )
                for one in group
            ]
            for row in kept:
                row.save(using=self._using)
            models.Finding.objects.using(self._using).bulk_create(news)
        return recorded

    def accept(self, tenant: TenantKey, fingerprint: str, *, on: dt.date, by: str) -> Finding:
        """Close an open finding; see :meth:`claimkit.drift.findings.FindingLog.accept`.

        Raises:
            FindingUnknown: there is no open finding with this fingerprint.
        """
        with transaction.atomic(using=self._using), having_turn(tenant, self._using):
            row = self._rows(FindingState.OPEN).filter(fingerprint=fingerprint).first()
            if row is None:
                raise FindingUnknown("there is no such open finding")
            accepted = replace(finding_of(row), accepted_on=on, accepted_by=by)
            write_finding(row, accepted, FindingState.ACCEPTED).save(using=self._using)
        return accepted

    def accepted(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return findings whose level was accepted, the latest acceptance first."""
        with use_tenant(tenant):
            return latest_accepted(finding_of(row) for row in self._rows(FindingState.ACCEPTED))

    def open(self, tenant: TenantKey) -> Sequence[Finding]:
        """Return open findings, most dollars per month first."""
        with use_tenant(tenant):
            return _by_money([finding_of(row) for row in self._rows(FindingState.OPEN)])

    def all(self, tenant: TenantKey) -> Sequence[tuple[Finding, FindingState]]:
        """Return all findings ever, newest first; of equal nights, what was recorded later."""
        with use_tenant(tenant):
            rows = models.Finding.objects.using(self._using).order_by("-as_of", "-pk")
            return [(finding_of(row), FindingState(row.state)) for row in rows]

    def _rows(self, state: FindingState) -> QuerySet[models.Finding]:
        rows: QuerySet[models.Finding] = models.Finding.objects.using(self._using)
        return rows.filter(state=state.value).order_by("pk")


def _by_money(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: (-one.dollars_per_month, one.fingerprint))
