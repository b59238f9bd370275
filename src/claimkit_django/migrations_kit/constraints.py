"""Constraints added to tables that are in use: first for new rows, then for those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.migrations.operations import AddConstraint, RemoveConstraint
from django.db.models import Deferrable, UniqueConstraint

from claimkit_django.migrations_kit.indexes import build_index, drop_index
from claimkit_django.migrations_kit.locks import (
    Patience,
    execute_patiently,
    is_online,
    refuse_transaction,
)

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState
    from django.db.models import BaseConstraint, Model

__all__ = ["AddConstraintSafely", "RemoveConstraintSafely"]

#: A foreign key goes under the locks of two tables, taken one after the other: while it waits for the
#: second, others wait for both.
_TWO_LOCKS = Patience(lock_timeout_ms=10)
_CREATE_UNIQUE = "CREATE UNIQUE INDEX "
_DEFERRABLE = {
    None: "",
    Deferrable.DEFERRED: " DEFERRABLE INITIALLY DEFERRED",
    Deferrable.IMMEDIATE: " DEFERRABLE INITIALLY IMMEDIATE",
}


class AddConstraintSafely(AddConstraint):
    """Add a constraint without holding up reads or writes; on other databases, as Django does.

    * A unique constraint is a unique index made ``CONCURRENTLY``, which then becomes the
      constraint (``ADD CONSTRAINT … USING INDEX``). One with a condition stays an index.
    * Any other, a CHECK or a :class:`claimkit_django.tenants.keys.TenantForeignKey`, is added
      ``NOT VALID``, in force for new rows at once, and then validated under a lock that lets
      reads and writes pass.

    Needs ``atomic = False`` on the migration. Run again after it was killed, it goes on where it
    stopped.
    """

    atomic = False

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Add the constraint."""
        del from_state
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _add(schema_editor, self, model, self.constraint)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Remove the constraint."""
        del from_state
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            _remove(schema_editor, self, model, self.constraint)


class RemoveConstraintSafely(RemoveConstraint):
    """Remove a constraint, waiting for its lock patiently; on other databases, as Django does."""

    atomic = False

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Remove the constraint."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            state = from_state.models[app_label, self.model_name_lower]
            _remove(schema_editor, self, model, state.get_constraint_by_name(self.name))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Add the constraint."""
        del from_state
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            state = to_state.models[app_label, self.model_name_lower]
            _add(schema_editor, self, model, state.get_constraint_by_name(self.name))


def _add(schema_editor: Any, operation: Any, model: type[Model], constraint: Any) -> None:
    if not is_online(schema_editor):
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.add_constraint(model, constraint)
        return
    if not schema_editor.collect_sql:
        refuse_transaction(schema_editor, operation)
    if isinstance(constraint, UniqueConstraint):
        _add_unique(schema_editor, model, constraint)
    else:
        _add_validated(schema_editor, model, constraint)


def _remove(schema_editor: Any, operation: Any, model: type[Model], constraint: Any) -> None:
    if not is_online(schema_editor):
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.remove_constraint(model, constraint)
        return
    if not schema_editor.collect_sql:
        refuse_transaction(schema_editor, operation)
    if isinstance(constraint, UniqueConstraint) and _stays_index(schema_editor, model, constraint):
        drop_index(schema_editor, constraint.name)
        return
    execute_patiently(
        schema_editor,
        f"ALTER TABLE {_table(schema_editor, model)}"
        f" DROP CONSTRAINT IF EXISTS {schema_editor.quote_name(constraint.name)}",
        _TWO_LOCKS,
    )


def _add_unique(schema_editor: Any, model: type[Model], constraint: UniqueConstraint) -> None:
    statement = str(constraint.create_sql(model, schema_editor))
    name = schema_editor.quote_name(constraint.name)
    if statement.startswith(_CREATE_UNIQUE):
        later = statement.removeprefix(_CREATE_UNIQUE)
        build_index(schema_editor, constraint.name, f"{_CREATE_UNIQUE}CONCURRENTLY {later}")
        return
    if _constraint_state(schema_editor, model, constraint.name) is not None:
        return
    fields: list[Any] = [model._meta.get_field(name) for name in constraint.fields]
    columns = ", ".join(schema_editor.quote_name(field.column) for field in fields)
    nulls = " NULLS NOT DISTINCT" if constraint.nulls_distinct is False else ""
    table = _table(schema_editor, model)
    build_index(
        schema_editor,
        constraint.name,
        f"{_CREATE_UNIQUE}CONCURRENTLY {name} ON {table} ({columns}){nulls}",
    )
    deferrable = _DEFERRABLE[constraint.deferrable]
    execute_patiently(
        schema_editor,
        f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}{deferrable}",
    )


def _add_validated(schema_editor: Any, model: type[Model], constraint: BaseConstraint) -> None:
    name = schema_editor.quote_name(constraint.name)
    state = _constraint_state(schema_editor, model, constraint.name)
    if state is None:
        statement = str(constraint.create_sql(model, schema_editor))
        execute_patiently(schema_editor, f"{statement} NOT VALID")
    if not state:
        execute_patiently(
            schema_editor, f"ALTER TABLE {_table(schema_editor, model)} VALIDATE CONSTRAINT {name}"
        )


def _stays_index(schema_editor: Any, model: type[Model], constraint: UniqueConstraint) -> bool:
    return str(constraint.create_sql(model, schema_editor)).startswith(_CREATE_UNIQUE)


def _constraint_state(schema_editor: Any, model: type[Model], name: str) -> bool | None:
    """Return whether the constraint is validated, or None if there is none."""
    if schema_editor.collect_sql:
        return None
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT convalidated FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s",
            [_table(schema_editor, model), name],
        )
        row = cursor.fetchone()
    return None if row is None else bool(row[0])


def _table(schema_editor: Any, model: type[Model]) -> str:
    quoted: str = schema_editor.quote_name(model._meta.db_table)
    return quoted
