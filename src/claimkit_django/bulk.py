"""Writing many rows at the speed of the database, the same call for PostgreSQL and SQLite.

PostgreSQL takes rows by COPY into a temporary table and from there by one ``INSERT … SELECT …
ON CONFLICT``, so that constraints, row-level security and upserts hold as for any INSERT.
SQLite takes the same ``INSERT … ON CONFLICT`` by ``executemany``: prepared once, run in C.
The number of statements does not depend on the number of rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["BulkTable", "OnConflict", "among", "insert_rows"]

_STAGE = "claimkit_stage"


class OnConflict(Enum):
    """What happens to a row whose key is stored already."""

    #: The database refuses it.
    REFUSE = auto()
    #: The stored row takes the new values.
    REPLACE = auto()
    #: The new values are added to the stored ones; rows may repeat a key among themselves.
    ADD = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkTable:
    """A table to write in bulk: its columns in the order of the rows, and its unique key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def rest(self) -> tuple[str, ...]:
        """The columns that are not part of the key."""
        return tuple(column for column in self.columns if column not in self.key)


def insert_rows(
    using: str,
    table: BulkTable,
    rows: Sequence[tuple[Any, ...]],
    on_conflict: OnConflict = OnConflict.REFUSE,
) -> None:
    """Insert ``rows``, in the caller's transaction; a fixed number of statements.

    Values are what the columns hold: int, str, bool, ``datetime.date``, ``Decimal``, None.
    """
    if not rows:
        return
    connection = connections[using]
    if connection.vendor == "postgresql":
        _copy_rows(connection, table, rows, on_conflict)
        return
    marks = ", ".join(["%s"] * len(table.columns))
    text = f"INSERT INTO {_quoted(connection, table.name)} ({_names(connection, table.columns)}) VALUES ({marks})"
    with connection.cursor() as cursor:
        cursor.executemany(text + _conflict(connection, table, on_conflict), rows)


def among(connection: BaseDatabaseWrapper, column: str, keys: Collection[int]) -> tuple[str, Any]:
    """Return SQL and parameter for "``column`` is one of ``keys``", with one parameter in all.

    A parameter per key would be another statement to plan for each number of keys, and SQLite
    takes only so many.
    """
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s)", list(keys)
    return f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(keys))


def _copy_rows(
    connection: BaseDatabaseWrapper,
    table: BulkTable,
    rows: Sequence[tuple[Any, ...]],
    on_conflict: OnConflict,
) -> None:
    target = _quoted(connection, table.name)
    columns = _names(connection, table.columns)
    selected = columns
    grouped = ""
    if on_conflict is OnConflict.ADD:
        # One INSERT may not touch a row twice, so equal keys are summed on the way.
        key = _names(connection, table.key)
        sums = ", ".join(f"sum({_quoted(connection, one)})::bigint" for one in table.rest)
        columns, selected = f"{key}, {_names(connection, table.rest)}", f"{key}, {sums}"
        grouped = f" GROUP BY {key}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE {_STAGE} ON COMMIT DROP AS"
            f" SELECT {_names(connection, table.columns)} FROM {target} WITH NO DATA"
        )
        with (
            connection.wrap_database_errors,
            cursor.copy(
                f"COPY pg_temp.{_STAGE} ({_names(connection, table.columns)}) FROM STDIN"
            ) as copy,
        ):
            write = copy.write_row
            for row in rows:
                write(row)
        cursor.execute(
            f"INSERT INTO {target} ({columns}) SELECT {selected} FROM pg_temp.{_STAGE}{grouped}"
            + _conflict(connection, table, on_conflict)
        )
        cursor.execute(f"DROP TABLE pg_temp.{_STAGE}")


def _conflict(connection: BaseDatabaseWrapper, table: BulkTable, on_conflict: OnConflict) -> str:
    if on_conflict is OnConflict.REFUSE:
        return ""
    target = _quoted(connection, table.name)
    changes = []
    for column in table.rest:
        name = _quoted(connection, column)
        new = f"excluded.{name}"
        if on_conflict is OnConflict.ADD:
            new = f"{target}.{name} + {new}"
        changes.append(f"{name} = {new}")
    return f" ON CONFLICT ({_names(connection, table.key)}) DO UPDATE SET {', '.join(changes)}"


def _names(connection: BaseDatabaseWrapper, columns: Sequence[str]) -> str:
    return ", ".join(_quoted(connection, column) for column in columns)


def _quoted(connection: BaseDatabaseWrapper, name: str) -> str:
    return connection.ops.quote_name(name)
