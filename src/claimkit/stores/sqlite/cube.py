"""The cube in SQLite: one table per cube table, made from its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.cube import TABLES, Cells, canonical
from claimkit.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claimkit.drift.cube import CubeTable
    from claimkit.stores.sqlite.database import Database
    from claimkit.types import Day, TenantKey

__all__ = ["SqliteCubeStore"]


class SqliteCubeStore:
    """A :class:`~claimkit.drift.cube.CubeStore` with one row per key and day of becoming known."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.create({_name(table): _create(table) for table in TABLES.values()})

    def post(self, tenant: TenantKey, cells: Cells) -> None:
        """Add deltas in one statement; see :meth:`claimkit.drift.cube.CubeStore.post`."""
        if not len(cells):
            return
        table = cells.table
        with self._database.atomic() as connection:
            if not self._database.has_table(_name(table)):
                self._database.create({_name(table): _create(table)})
            number = self._database.make_tenant(tenant)
            names = self._database.names(number)
            labels = [
                np.array([names[name] for name in cells.names[axis]], np.int64)[cells.labels[axis]]
                for axis in table.labels
            ]
            columns = [
                *labels,
                *(cells.numbers[axis] for axis in (*table.numbers, "known_day")),
                *(cells.measures[measure] for measure in table.measures),
            ]
            rows = zip([number] * len(cells), *(one.tolist() for one in columns), strict=True)
            connection.executemany(_upsert(table), rows)
            self._database.keep_names(number, names)

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
        """Return summed rows by one query; see :meth:`claimkit.drift.cube.CubeStore.read`."""
        numbers = (*table.numbers, "known_day") if by_known_day else table.numbers
        keys = ", ".join((*table.labels, *numbers))
        sums = ", ".join(f"sum({measure})" for measure in table.measures)
        bounds = [
            (f"{table.day} >= ?", since),
            (f"{table.day} < ?", until),
            ("known_day <= ?", known_by),
        ]
        given = [(condition, bound) for condition, bound in bounds if bound is not None]
        where = "".join(f" AND {condition}" for condition, _ in given)
        with self._database.snapshot() as connection:
            number = self._database.find_tenant(tenant)
            if number < 0 or not self._database.has_table(_name(table)):
                return Cells.empty(table, by_known_day=by_known_day)
            names = self._database.names(number)
            rows = connection.execute(
                f"SELECT {keys}, {sums} FROM {_name(table)} WHERE tenant = ?{where} GROUP BY {keys}",
                (number, *(bound for _, bound in given)),
            ).fetchall()
        columns = iter(np.array(rows, np.int64).reshape(len(rows), -1).T) if rows else iter(())
        if not rows:
            return Cells.empty(table, by_known_day=by_known_day)
        return canonical(
            Cells(
                table=table,
                names=dict.fromkeys(table.labels, tuple(names.texts)),
                labels={axis: next(columns) for axis in table.labels},
                numbers={axis: next(columns) for axis in numbers},
                measures={measure: next(columns) for measure in table.measures},
            )
        )

    def clear(self, tenant: TenantKey) -> None:
        """Forget a tenant's cube, before a rebuild: every cube table there is."""
        with self._database.atomic() as connection:
            number = self._database.find_tenant(tenant)
            tables = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'cube_*'"
            ).fetchall()
            for (table,) in tables:
                connection.execute(f"DELETE FROM {table} WHERE tenant = ?", (number,))


def _name(table: CubeTable) -> str:
    return f"cube_{table.name}"


def _key(table: CubeTable) -> Sequence[str]:
    """The key, by day first: windows of days are what is read."""
    others = (axis for axis in table.numbers if axis != table.day)
    return ("tenant", table.day, *table.labels, *others, "known_day")


def _create(table: CubeTable) -> str:
    columns = (*_key(table), *table.measures)
    strange = [name for name in (table.name, *columns) if not name.isidentifier()]
    if strange:
        raise StoreError(f"a cube table cannot have a column called {strange[0]!r}")
    declared = ", ".join(f"{column} INTEGER NOT NULL" for column in columns)
    return (
        f"CREATE TABLE {_name(table)} ({declared}, PRIMARY KEY ({', '.join(_key(table))}))"
        " STRICT, WITHOUT ROWID"
    )


def _upsert(table: CubeTable) -> str:
    columns = ("tenant", *table.labels, *table.numbers, "known_day", *table.measures)
    marks = ", ".join("?" * len(columns))
    sums = ", ".join(f"{measure} = {measure} + excluded.{measure}" for measure in table.measures)
    return (
        f"INSERT INTO {_name(table)} ({', '.join(columns)}) VALUES ({marks})"
        f" ON CONFLICT ({', '.join(_key(table))}) DO UPDATE SET {sums}"
    )
