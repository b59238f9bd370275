"""Writing many rows at the speed of the database, the same call for PostgreSQL and SQLite.

PostgreSQL takes new rows by COPY. Where rows may be stored already, or where row-level security
forbids COPY, they go by COPY into a temporary table and from there by one ``INSERT … SELECT … ON
CONFLICT``, so that constraints, policies and upserts hold as for any INSERT.
SQLite takes the same ``INSERT … ON CONFLICT`` by ``executemany``: prepared once, run in C.
The number of statements does not depend on the number of rows.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from types import NoneType
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["BulkTable", "OnConflict", "among", "insert_columns"]

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


def insert_columns(
    using: str,
    table: BulkTable,
    columns: Sequence[Sequence[Any]],
    on_conflict: OnConflict = OnConflict.REFUSE,
) -> None:
    """Insert rows given as columns, in the caller's transaction; a fixed number of statements.

    Columns and not rows, because turning a column into what the database reads is one pass in C
    and a row is a loop in Python: a third of the cost.

    Args:
        using: Alias of the database.
        table: Where they go.
        columns: In the order of ``table.columns``, of equal length. Values are what the columns
            hold: int, str, bool, ``datetime.date``, ``Decimal``, None.
        on_conflict: What happens to a row whose key is stored already.
    """
    if not columns or not len(columns[0]):
        return
    connection = connections[using]
    if connection.vendor == "postgresql":
        _copy(connection, table, columns, on_conflict)
    else:
        _execute_many(connection, table, columns, on_conflict)


def _execute_many(
    connection: BaseDatabaseWrapper,
    table: BulkTable,
    columns: Sequence[Sequence[Any]],
    on_conflict: OnConflict,
) -> None:
    # Half of the columns of a batch hold one value only: as a literal it is bound once for all.
    literals = [_literal(column) for column in columns]
    marks = ", ".join(one or "%s" for one in literals)
    text = f"INSERT INTO {_quoted(connection, table.name)} ({_names(connection, table.columns)}) VALUES ({marks})"
    varied = [one for one, literal in zip(columns, literals, strict=True) if not literal]
    with connection.cursor() as cursor:
        cursor.executemany(
            text + _conflict(connection, table, on_conflict),
            list(zip(*map(_sqlite_column, varied), strict=True)) or [()] * len(columns[0]),
        )


def among(connection: BaseDatabaseWrapper, column: str, keys: Collection[int]) -> tuple[str, Any]:
    """Return SQL and parameter for "``column`` is one of ``keys``", with one parameter in all.

    A parameter per key would be another statement to plan for each number of keys, and SQLite
    takes only so many.
    """
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s)", list(keys)
    return f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(keys))


def _copy(
    connection: BaseDatabaseWrapper,
    table: BulkTable,
    columns: Sequence[Sequence[Any]],
    on_conflict: OnConflict,
) -> None:
    target = _quoted(connection, table.name)
    names = _names(connection, table.columns)
    with connection.cursor() as cursor:
        if on_conflict is OnConflict.REFUSE and _takes_copy(cursor, target):
            _send(connection, cursor, target, table, columns)
            return
        cursor.execute(
            f"CREATE TEMPORARY TABLE {_STAGE} ON COMMIT DROP AS"
            f" SELECT {names} FROM {target} WITH NO DATA"
        )
        _send(connection, cursor, f"pg_temp.{_STAGE}", table, columns)
        into, selected, grouped = names, names, ""
        if on_conflict is OnConflict.ADD:
            # One INSERT may not touch a row twice, so equal keys are summed on the way.
            key = _names(connection, table.key)
            sums = ", ".join(f"sum({_quoted(connection, one)})::bigint" for one in table.rest)
            into, selected = f"{key}, {_names(connection, table.rest)}", f"{key}, {sums}"
            grouped = f" GROUP BY {key}"
        cursor.execute(
            f"INSERT INTO {target} ({into}) SELECT {selected} FROM pg_temp.{_STAGE}{grouped}"
            + _conflict(connection, table, on_conflict)
        )
        cursor.execute(f"DROP TABLE pg_temp.{_STAGE}")


def _takes_copy(cursor: Any, target: str) -> bool:
    """Whether COPY may write the table itself: PostgreSQL refuses it under row-level security."""
    cursor.execute("SELECT NOT row_security_active(%s)", [target])
    return bool(cursor.fetchone()[0])


def _send(
    connection: BaseDatabaseWrapper,
    cursor: Any,
    target: str,
    table: BulkTable,
    columns: Sequence[Sequence[Any]],
) -> None:
    """Copy rows; columns that hold one value only go last, as one text for all rows."""
    fixed = [at for at, column in enumerate(columns) if at and _is_constant(column)]
    varied = [at for at in range(len(columns)) if at not in fixed]
    names = _names(connection, [table.columns[at] for at in (*varied, *fixed)])
    cells = [cell for at in fixed for cell in _copy_column(columns[at][:1])]
    end = "".join(f"\t{cell}" for cell in cells) + "\n"
    rows = zip(*(_copy_column(columns[at]) for at in varied), strict=True)
    text = end.join(map("\t".join, rows))
    with (
        connection.wrap_database_errors,
        cursor.copy(f"COPY {target} ({names}) FROM STDIN") as copy,
    ):
        copy.write(text + end)


# -- cells -------------------------------------------------------------------------------------

#: Characters that COPY's text format needs escaped.
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_NULL = r"\N"
_PLAIN = frozenset({int, str, float, NoneType})


class _IsoDates(dict["dt.date | None", Any]):
    """Days as text: there are few, and formatting costs six times the look-up."""

    def __missing__(self, day: dt.date | None) -> str:
        text = self[day] = str(day)
        return text


_COPY_DATES = _IsoDates({None: _NULL})
_SQLITE_DATES = _IsoDates({None: None})
_COPY_FLAGS = {True: "t", False: "f", None: _NULL}


def _is_constant(column: Sequence[Any]) -> bool:
    """Whether a column holds one value only; one look at most columns that do not."""
    first = column[0]
    return bool(first == column[-1] and column.count(first) == len(column))


#: Texts that need no thought inside of quotes.
_PLAIN_TEXT = re.compile(r"[\w .:-]{0,64}\Z", re.ASCII)


def _literal(column: Sequence[Any]) -> str:
    """Return the one value of a column as an SQL literal, empty where it is to be bound."""
    if not _is_constant(column):
        return ""
    value = next(iter(_sqlite_column(column[:1])))
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    return f"'{value}'" if isinstance(value, str) and _PLAIN_TEXT.match(value) else ""


def _copy_column(column: Sequence[Any]) -> Iterable[str]:
    """Return a column's cells in COPY's text format."""
    kinds = set(map(type, column))
    some = kinds - {NoneType}
    if kinds == {int}:
        return map(str, column)
    if kinds == {str}:
        return map(_escaped, column) if _SPECIAL.search("".join(column)) else column
    if some == {dt.date}:
        return map(_COPY_DATES.__getitem__, column)
    if some == {bool}:
        return map(_COPY_FLAGS.__getitem__, column)
    return [_NULL if one is None else _escaped(str(one)) for one in column]


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _sqlite_column(column: Sequence[Any]) -> Iterable[Any]:
    """Return a column's cells as SQLite takes them, without a call of an adapter per cell."""
    kinds = set(map(type, column))
    if kinds <= _PLAIN:
        return column
    if kinds <= {dt.date, NoneType}:
        return map(_SQLITE_DATES.__getitem__, column)
    return [str(one) if isinstance(one, Decimal) else one for one in column]


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
