"""Tables that only grow: triggers that refuse to change or delete a row, whoever asks.

They hold for the ORM, for SQL text and for a console. They do not hold for somebody who may drop
them: the owner of the table. Emptying a whole table (``TRUNCATE``) is left to privileges, so that
test runners can; SQLite has no such statement, and there :func:`allow_changes` opens a table.

A log that is kept for so many days, and goes with its tenant, is ``removable``: its rows are deleted
in a :func:`removal` and nowhere else, and never changed.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.migrations.operations.base import Operation

from claimkit_django.migrations_kit.locks import execute_patiently, is_online

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

__all__ = ["AppendOnly", "allow_changes", "refuse_changes", "removal", "without_walls"]

_REFUSED = "rows of this table are neither changed nor deleted"
_VERBS = ("UPDATE", "DELETE")
#: Of PostgreSQL, for one transaction: the rows that are deleted go on purpose.
_SETTING = "claimkit.removal"


class AppendOnly(Operation):
    """Let the rows of a model be neither changed nor deleted, on PostgreSQL and SQLite.

    Rows of a ``removable`` one are deleted in a :func:`removal`.
    """

    atomic = False
    reduces_to_sql = True

    def __init__(self, model_name: str, *, removable: bool = False) -> None:
        self.model_name = model_name
        self.removable = removable

    def deconstruct(self) -> Any:
        """Return how to write the operation in a migration."""
        options: dict[str, Any] = {"removable": True} if self.removable else {}
        return (type(self).__qualname__, [], {"model_name": self.model_name} | options)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing: triggers are not part of the models."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create the triggers."""
        del from_state
        make = partial(_building, removable=self.removable)
        self._run(schema_editor, app_label, to_state, make)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the triggers."""
        del from_state
        self._run(schema_editor, app_label, to_state, _removing)

    def describe(self) -> str:
        """Say what it does."""
        return f"Refuse to change or delete rows of {self.model_name}"

    def _run(
        self, schema_editor: BaseDatabaseSchemaEditor, app_label: str, state: Any, make: Any
    ) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        if self.allow_migrate_model(connection.alias, model):
            for statement in make(connection, model._meta.db_table):
                if is_online(schema_editor):
                    execute_patiently(schema_editor, statement)
                else:
                    schema_editor.execute(statement, params=None)


def refuse_changes(tables: Iterable[str], using: str) -> None:
    """Create the triggers of tables again, as after SQLite made one anew."""
    _execute(using, [one for table in tables for one in _building(connections[using], table)])


def allow_changes(tables: Iterable[str], using: str) -> None:
    """Drop the triggers of tables; for test runners, which empty tables of SQLite by DELETE."""
    _execute(using, [one for table in tables for one in _removing(connections[using], table)])


@contextmanager
def removal(table: str, using: str) -> Iterator[None]:
    """Let rows of a table be deleted on purpose: too old, or of a tenant that goes.

    Does nothing where no trigger stands, and does not open what is not ``removable`` on PostgreSQL.
    An error within must end the transaction, or the savepoint around: it brings the trigger back.

    Raises:
        TransactionManagementError: outside a transaction.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("rows are removed in a transaction")
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        if is_postgresql:
            cursor.execute("SELECT set_config(%s, %s, true)", [_SETTING, table])
            opened: list[tuple[str, str]] = []
        else:
            text = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name = %s"
            cursor.execute(text, [f"{table}_no_delete"])
            opened = cursor.fetchall()
            for name, _ in opened:
                cursor.execute(f"DROP TRIGGER {connection.ops.quote_name(name)}")
    yield
    with connection.cursor() as cursor:
        if is_postgresql:
            cursor.execute("SELECT set_config(%s, '', true)", [_SETTING])
        for _, statement in opened:
            cursor.execute(statement)


def without_walls(tables: Iterable[str], using: str) -> list[str]:
    """Return those of the tables that lack their triggers; one query."""
    connection = connections[using]
    wanted = {table: _names(connection, table) for table in tables}
    text = (
        "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(text)
        there = {name for (name,) in cursor.fetchall()}
    return [table for table, names in wanted.items() if not names <= there]


def _names(connection: BaseDatabaseWrapper, table: str) -> set[str]:
    if connection.vendor == "postgresql":
        return {f"{table}_append_only"}
    return {f"{table}_no_{verb.lower()}" for verb in _VERBS}


def _building(
    connection: BaseDatabaseWrapper, table: str, *, removable: bool = False
) -> Iterator[str]:
    quote = connection.ops.quote_name
    # Again after a migration was killed: some may be there.
    yield from _removing(connection, table)
    if connection.vendor == "postgresql":
        name = quote(f"{table}_append_only")
        unless = (
            f"IF TG_OP = 'DELETE' AND current_setting('{_SETTING}', true) = '{table}'"
            " THEN RETURN OLD; END IF;"
            if removable
            else ""
        )
        yield (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {unless} RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = '23001'; END $$"
        )
        yield (
            f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON {quote(table)}"
            f" FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
        return
    for verb in _VERBS:
        yield (
            f"CREATE TRIGGER {quote(f'{table}_no_{verb.lower()}')} BEFORE {verb}"
            f" ON {quote(table)} BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
        )


def _removing(connection: BaseDatabaseWrapper, table: str) -> Iterator[str]:
    quote = connection.ops.quote_name
    if connection.vendor == "postgresql":
        name = quote(f"{table}_append_only")
        yield f"DROP TRIGGER IF EXISTS {name} ON {quote(table)}"
        yield f"DROP FUNCTION IF EXISTS {name}()"
        return
    for verb in _VERBS:
        yield f"DROP TRIGGER IF EXISTS {quote(f'{table}_no_{verb.lower()}')}"


def _execute(using: str, statements: Iterable[str]) -> None:
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
