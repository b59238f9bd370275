"""Tables cut by month, on PostgreSQL: a log of years goes month by month, and its newest part stays small.

:class:`PartitionByMonth` turns a table that is in use into one with a partition per month. What is
there stays where it is, as the first partition, and is neither copied nor read under a lock that
others wait for. :func:`add_months` makes the months ahead; :func:`drop_month` takes one away, which
costs the same for ten rows and for ten million. On other databases the table stays whole.

A partitioned table can promise uniqueness only together with the column that it is cut by, and
nothing can refer to its rows without that column. So it is for what is written once and found by
time, a log, and :class:`PartitionByMonth` refuses what it would break.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, NotSupportedError, connections
from django.db.migrations.operations.base import Operation
from django.utils import timezone

from claimkit_django.migrations_kit.indexes import build_index
from claimkit_django.migrations_kit.locks import (
    Patience,
    execute_patiently,
    is_online,
    refuse_transaction,
)
from claimkit_django.migrations_kit.table_shape import TableShape, partitions_of, read_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

__all__ = [
    "MONTHS_AHEAD",
    "Month",
    "PartitionByMonth",
    "add_months",
    "drop_month",
    "months_of",
]

#: Months that are made ahead: a site that does not look for a quarter loses no row's place.
MONTHS_AHEAD = 3
_BOUND = re.compile(r"FROM \((?P<lower>.*?)\) TO \((?P<upper>.*?)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One partition."""

    #: Name of its table.
    table: str
    #: First day of what it holds; None: from the beginning, or the default partition.
    first: dt.date | None
    #: First day of what it no longer holds; None: the default partition, for what no month holds.
    until: dt.date | None
    #: As the last ANALYZE or VACUUM estimated, 0 before.
    rows: int

    @property
    def is_default(self) -> bool:
        """Whether it holds what has no month of its own."""
        return self.until is None


class PartitionByMonth(Operation):
    """Cut the table of a model by month of a date or a time, while it is in use.

    Needs ``atomic = False`` on the migration. Run again after it was killed, it goes on or starts
    over; run on a table that is cut already, it makes the months ahead. It cannot be undone by
    ``migrate``: put the rows into a table of their own by hand.

    Args:
        model: ``Model`` of the migration's own app, or ``app_label.Model``; then the migration
            depends on one of that app.
        field: What the table is cut by: a ``DateField`` or ``DateTimeField`` without NULL. Months
            are those of UTC.
        widen: Unique constraints without the field that give way to the same with it. Only for
            those of random identifiers, which repeat nowhere.

    Raises:
        NotSupportedError: the table has what partitions could not keep, or rows of the month after
            next; the message names it.
        LockNotObtained: the table was never free for the moment that the change takes.
    """

    atomic = False
    reversible = False

    def __init__(self, model: str, field: str, *, widen: Sequence[str] = ()) -> None:
        self.model = model
        self.field = field
        self.widen = tuple(widen)

    def deconstruct(self) -> Any:
        """Return how to write the operation in a migration."""
        options: dict[str, Any] = {"widen": list(self.widen)} if self.widen else {}
        return (type(self).__qualname__, [self.model, self.field], options)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing: models do not know how their tables are kept."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Cut the table."""
        del from_state
        label, _, name = self.model.rpartition(".")
        model: Any = to_state.apps.get_model(label or app_label, name)
        connection = schema_editor.connection
        if not is_online(schema_editor) or not self.allow_migrate_model(connection.alias, model):
            return
        if schema_editor.collect_sql:
            raise NotSupportedError(
                f"{self.describe()}: what it runs depends on the table; sqlmigrate cannot show it"
            )
        refuse_transaction(schema_editor, self)
        table, column = model._meta.db_table, model._meta.get_field(self.field).column
        if not months_of(table, connection.alias):
            _Cut(schema_editor, table, column, self.widen).run()
        add_months(table, using=connection.alias)

    def describe(self) -> str:
        """Say what it does."""
        return f"Partition {self.model} by month of {self.field}"


def months_of(table: str, using: str) -> list[Month]:
    """Return the partitions of a table, oldest first, the default one last; none if it is whole."""
    if connections[using].vendor != "postgresql":
        return []
    found = [_month(*row) for row in partitions_of(table, using)]
    return sorted(found, key=lambda one: (one.until is None, one.until))


def add_months(
    table: str, *, ahead: int = MONTHS_AHEAD, using: str, today: dt.date | None = None
) -> list[Month]:
    """Make the months of a partitioned table that are missing; return those that were made.

    Each takes a moment's lock, for which it waits patiently. A month of which the default partition
    holds rows already is left out, for they would have to move: they go when they are too old.

    Args:
        table: Name of the table; one that is whole is left alone.
        ahead: Months after the running one.
        using: Alias of the database.
        today: In UTC.
    """
    there = months_of(table, using)
    if not there:
        return []
    today = today or timezone.now().astimezone(dt.UTC).date()
    edge = max(one.until for one in there if one.until is not None)
    last = _first_of_month(today, ahead + 1)
    made: list[str] = []
    shape = read_shape(table, using)
    while edge < last:
        after = _first_of_month(edge, 1)
        name = f"{table}_{edge:%Y_%m}"
        if not _in_default(shape, there, edge, after, using):
            Patience().run(using, _making(shape, name, edge, after, using))
            made.append(name)
        edge = after
    if made:
        # Autovacuum never looks at the table as a whole, and the planner wants to know it.
        with connections[using].cursor() as cursor:
            cursor.execute(f"ANALYZE {connections[using].ops.quote_name(table)}")
    return [one for one in months_of(table, using) if one.table in made]


def drop_month(
    table: str, month: Month, *, using: str, also: Callable[[], None] | None = None
) -> None:
    """Take a partition away with all its rows, waiting for the lock patiently.

    Args:
        table: The partitioned table.
        month: One of :func:`months_of`.
        using: Alias of the database.
        also: What is done in the same transaction, before.

    Raises:
        ValueError: the default partition, which stays.
        LockNotObtained: the table was never free.
    """
    if month.is_default:
        raise ValueError(f"{month.table} holds what has no month of its own, and stays")
    quote = connections[using].ops.quote_name

    def act() -> None:
        if also is not None:
            also()
        with connections[using].cursor() as cursor:
            cursor.execute(f"ALTER TABLE {quote(table)} DETACH PARTITION {quote(month.table)}")
            cursor.execute(f"DROP TABLE {quote(month.table)}")

    Patience().run(using, act)


class _Cut:
    """The change of one table from whole to partitioned."""

    def __init__(
        self, editor: BaseDatabaseSchemaEditor, table: str, column: str, widen: Sequence[str]
    ) -> None:
        self._editor, self._table, self._column = editor, table, column
        self._using = editor.connection.alias
        self._shape = read_shape(table, self._using)
        self._widen = frozenset(widen)
        #: What is there becomes the partition of all before the month after next: rows that come
        #: while this runs have their place, also when it runs over the end of a month.
        self._edge = _first_of_month(timezone.now().astimezone(dt.UTC).date(), 2)
        self._past = f"{table}_past"
        self._bound = f"{table}_past_bound"

    def run(self) -> None:
        """Prepare under locks that let reads and writes pass, then swap in a moment."""
        self._require_cuttable()
        keys = list(self._keys_ahead())
        for name, columns, _ in keys:
            build_index(
                self._editor,
                name,
                f"CREATE UNIQUE INDEX CONCURRENTLY {self._quote(name)}"
                f" ON {self._quote(self._table)} ({columns})",
            )
        statements = list(self._swapping(keys))
        # What an earlier attempt left behind may have another edge.
        self._alter(f"DROP CONSTRAINT IF EXISTS {self._quote(self._bound)}")
        self._alter(
            f"ADD CONSTRAINT {self._quote(self._bound)} CHECK"
            f" ({self._quote(self._column)} < {_literal(self._edge)}) NOT VALID"
        )
        try:
            # It spares the swap the look at every row.
            self._alter(f"VALIDATE CONSTRAINT {self._quote(self._bound)}")
            self._swap(statements)
        except Exception as error:
            # A table that stays whole takes rows of every month.
            self._alter(f"DROP CONSTRAINT IF EXISTS {self._quote(self._bound)}")
            if isinstance(error, IntegrityError):
                raise NotSupportedError(
                    f"{self._table} cannot be partitioned by {self._column}: it has rows of"
                    f" {self._edge} or later"
                ) from None
            raise

    def _swap(self, statements: Sequence[str]) -> None:
        def act() -> None:
            with connections[self._using].cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

        Patience().run(self._using, act)

    def _require_cuttable(self) -> None:
        shape, column = self._shape, self._column
        wrong: list[str] = []
        if shape.referring:
            wrong.append(f"rows of {', '.join(shape.referring)} refer to its rows")
        if column in shape.nullable:
            wrong.append(f"{column} may be NULL")
        known = {one.name for one in shape.uniques}
        wrong += [f"it has no unique constraint {one}" for one in sorted(self._widen - known)]
        wrong += [
            f"{one.name} is unique without {column}; if it can be nothing else than unique,"
            f" name it in widen=[…]"
            for one in shape.uniques
            if column not in one.columns and one.name not in self._widen and not one.is_primary
        ]
        wrong += [f"{one} is unique under a condition" for one in shape.conditional_uniques]
        if wrong:
            raise NotSupportedError(
                f"{self._table} cannot be partitioned by {column}: {'; '.join(wrong)}"
            )

    def _keys_ahead(self) -> Iterator[tuple[str, str, str]]:
        """Yield index, its columns and the constraint that it becomes, of keys that get the column."""
        for at, one in enumerate(self._shape.uniques):
            if self._column not in one.columns:
                columns = ", ".join(map(self._quote, (*one.columns, self._column)))
                yield f"{self._table[:50]}_key_{at}", columns, one.name

    def _swapping(self, keys: Sequence[tuple[str, str, str]]) -> Iterator[str]:
        """Yield what happens in the one transaction that others wait for; nothing reads rows."""
        shape, quote = self._shape, self._quote
        table, past = quote(self._table), quote(self._past)
        widened = {constraint: columns for _, columns, constraint in keys}
        yield f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
        yield f"ALTER TABLE {table} RENAME TO {past}"
        # Names of indexes are for the whole schema; the table as a whole keeps them.
        for at, name in enumerate(shape.index_names):
            yield f"ALTER INDEX {quote(name)} RENAME TO {quote(f'{self._past[:50]}_{at}')}"
        renamed = {name: f"{self._past[:50]}_{at}" for at, name in enumerate(shape.index_names)}
        yield (
            f"CREATE TABLE {table} (LIKE {past} INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
            " INCLUDING GENERATED INCLUDING IDENTITY INCLUDING STORAGE INCLUDING COMMENTS)"
            f" PARTITION BY RANGE ({quote(self._column)})"
        )
        yield f"ALTER TABLE {table} DROP CONSTRAINT {quote(self._bound)}"
        yield from shape.moving_sequences(self._past)
        for index, _, constraint in keys:
            kind = shape.kind_of(constraint)
            yield (
                f"ALTER TABLE {past} DROP CONSTRAINT {quote(renamed[constraint])},"
                f" ADD CONSTRAINT {quote(f'{index}_past')} {kind} USING INDEX {quote(index)}"
            )
        for one in shape.uniques:
            columns = widened.get(one.name) or ", ".join(map(quote, one.columns))
            kind = shape.kind_of(one.name)
            yield f"ALTER TABLE {table} ADD CONSTRAINT {quote(one.name)} {kind} ({columns})"
        yield from shape.indexes
        yield from shape.foreign_keys
        for name, statement in shape.triggers:
            yield f"DROP TRIGGER {quote(name)} ON {past}"
            yield statement
        yield from shape.walls(self._table)
        yield from shape.grants
        yield (
            f"ALTER TABLE {table} ATTACH PARTITION {past}"
            f" FOR VALUES FROM (MINVALUE) TO ({_literal(self._edge)})"
        )
        rest = f"{self._table}_rest"
        yield f"CREATE TABLE {quote(rest)} PARTITION OF {table} DEFAULT"
        yield from shape.walls(rest)
        yield f"ALTER TABLE {past} DROP CONSTRAINT {quote(self._bound)}"

    def _alter(self, what: str) -> None:
        execute_patiently(self._editor, f"ALTER TABLE {self._quote(self._table)} {what}")

    def _quote(self, name: str) -> str:
        quoted: str = self._editor.quote_name(name)
        return quoted


def _making(
    shape: TableShape, name: str, first: dt.date, until: dt.date, using: str
) -> Callable[[], None]:
    quote = connections[using].ops.quote_name

    def act() -> None:
        with connections[using].cursor() as cursor:
            cursor.execute(
                f"CREATE TABLE {quote(name)} PARTITION OF {quote(shape.table)}"
                f" FOR VALUES FROM ({_literal(first)}) TO ({_literal(until)})"
            )
            # Whoever asks the partition itself meets the same wall.
            for statement in shape.walls(name):
                cursor.execute(statement)

    return act


def _in_default(
    shape: TableShape, there: Iterable[Month], first: dt.date, until: dt.date, using: str
) -> bool:
    default = next((one.table for one in there if one.is_default), None)
    if default is None:
        return False
    quote = connections[using].ops.quote_name
    column = quote(shape.partitioned_by)
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM {quote(default)} WHERE {column} >= {_literal(first)}"
            f" AND {column} < {_literal(until)})"
        )
        return bool(cursor.fetchone()[0])


def _month(table: str, bound: str, rows: int) -> Month:
    found = _BOUND.search(bound)
    if found is None:
        return Month(table=table, first=None, until=None, rows=rows)
    return Month(table=table, first=_day(found["lower"]), until=_day(found["upper"]), rows=rows)


def _day(text: str) -> dt.date | None:
    """Return the UTC day of a bound as PostgreSQL writes it, None of MINVALUE."""
    if not text.startswith("'"):
        return None
    at = dt.datetime.fromisoformat(text.strip("'"))
    return (at.astimezone(dt.UTC) if at.tzinfo else at).date()


def _first_of_month(day: dt.date, later: int) -> dt.date:
    months = day.year * 12 + day.month - 1 + later
    return dt.date(months // 12, months % 12 + 1, 1)


def _literal(day: dt.date) -> str:
    """Return the start of a day in UTC; a column of dates reads the date of it."""
    return f"'{day.isoformat()} 00:00:00+00'"
