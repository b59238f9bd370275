"""Waiting for locks: briefly, again and again, and never in front of everybody else.

An ``ALTER TABLE`` that waits for its lock makes every later query on the table wait behind it,
for as long as the slowest transaction that is open. Here each attempt gives up after 50 ms, lets
the others pass, and tries again.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import NotSupportedError, OperationalError, transaction
from django.db.migrations.operations.base import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

__all__ = [
    "LockNotObtained",
    "Patience",
    "Patiently",
    "execute_patiently",
    "is_online",
    "refuse_transaction",
]

#: SQLSTATE ``lock_not_available``: ``lock_timeout`` ran out.
_LOCK_NOT_AVAILABLE = "55P03"


class LockNotObtained(OperationalError):
    """A lock was not free for long enough; nothing was changed. Run the migration again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one attempt waits, and when to give up."""

    #: Milliseconds that an attempt waits for its lock, and thereby holds up others.
    lock_timeout_ms: int = 50
    #: Seconds between two attempts, at first; grows by half up to one second, with jitter.
    pause_seconds: float = 0.05
    #: Seconds after which the operation fails with :class:`LockNotObtained`.
    give_up_seconds: float = 300.0

    def run(self, using: str, act: Callable[[], None]) -> None:
        """Run ``act`` in a transaction, again until it gets its locks.

        Raises:
            LockNotObtained: it never did.
        """
        started = time.monotonic()
        pause = self.pause_seconds
        while True:
            try:
                with transaction.atomic(using=using, durable=True):
                    connection = transaction.get_connection(using)
                    with connection.cursor() as cursor:
                        cursor.execute(f"SET LOCAL lock_timeout = {self.lock_timeout_ms:d}")
                    act()
                return
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                    raise
                if time.monotonic() - started > self.give_up_seconds:
                    raise LockNotObtained(
                        f"no lock within {self.give_up_seconds:g} s; find the transaction that"
                        " holds it in pg_stat_activity, and run the migration again"
                    ) from error
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads, hides nothing
            pause = min(pause * 1.5, 1.0)


def is_online(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    """Whether the database can change its schema while others work."""
    return schema_editor.connection.vendor == "postgresql"


def refuse_transaction(schema_editor: BaseDatabaseSchemaEditor, operation: Operation) -> None:
    """Refuse to run in the migration's own transaction, which would hold all locks to its end.

    Raises:
        NotSupportedError: the migration does not say ``atomic = False``.
    """
    if schema_editor.connection.in_atomic_block:
        raise NotSupportedError(
            f"{type(operation).__name__} cannot run in a transaction: set atomic = False on the"
            " migration"
        )


def execute_patiently(
    schema_editor: BaseDatabaseSchemaEditor, statement: str, patience: Patience | None = None
) -> None:
    """Run one statement in a transaction of its own, again until it gets its lock.

    In a transaction that is open already, as while a table is created, it runs there.

    Raises:
        LockNotObtained: the lock was never free.
    """

    def act() -> None:
        schema_editor.execute(statement, params=None)

    if schema_editor.collect_sql or schema_editor.connection.in_atomic_block:
        act()
    else:
        (patience or Patience()).run(schema_editor.connection.alias, act)


class Patiently(Operation):
    """Run another operation that needs its lock only for a moment, such as ``AddField``.

    ``Patiently(migrations.AddField(...))`` in a migration with ``atomic = False``.
    """

    atomic = False

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    @property
    def reversible(self) -> bool:  # type: ignore[override]
        """Whether the operation inside is."""
        return bool(self.operation.reversible)

    def deconstruct(self) -> Any:
        """Return how to write the operation in a migration."""
        return (type(self).__qualname__, [self.operation], {})

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change the state as the operation inside does."""
        self.operation.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Change the database, patiently."""
        self._run(
            schema_editor,
            lambda: self.operation.database_forwards(
                app_label, schema_editor, from_state, to_state
            ),
        )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Change the database back, patiently."""
        self._run(
            schema_editor,
            lambda: self.operation.database_backwards(
                app_label, schema_editor, from_state, to_state
            ),
        )

    def describe(self) -> str:
        """Say what it does."""
        return f"{self.operation.describe()}, patiently"

    def _run(self, schema_editor: BaseDatabaseSchemaEditor, act: Callable[[], None]) -> None:
        def act_whole() -> None:
            before = list(schema_editor.deferred_sql)
            schema_editor.deferred_sql.clear()
            try:
                act()
                # What Django would run at the end of the migration, without any timeout.
                for statement in schema_editor.deferred_sql:
                    schema_editor.execute(statement, params=None)
            finally:
                schema_editor.deferred_sql[:] = before

        if not is_online(schema_editor):
            with transaction.atomic(using=schema_editor.connection.alias):
                act()
        elif schema_editor.collect_sql:
            act_whole()
        else:
            refuse_transaction(schema_editor, self)
            Patience().run(schema_editor.connection.alias, act_whole)
