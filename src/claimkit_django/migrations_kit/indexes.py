"""Indexes made and dropped while the table is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.migrations.operations import AddIndex, RemoveIndex

from claimkit_django.migrations_kit.locks import execute_patiently, is_online, refuse_transaction
from claimkit_django.migrations_kit.table_shape import partitions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

__all__ = ["AddIndexSafely", "RemoveIndexSafely", "build_index", "drop_index"]


def build_index(schema_editor: BaseDatabaseSchemaEditor, name: str, statement: str) -> None:
    """Run ``CREATE INDEX CONCURRENTLY``, over what an earlier attempt may have left behind.

    An attempt that was killed leaves an index that is INVALID: it costs every write, serves no
    read, and keeps its name. It is dropped; a valid one of that name is left alone.
    """
    if schema_editor.collect_sql:
        schema_editor.execute(statement, params=None)
        return
    state = _index_is_valid(schema_editor, name)
    if state is True:
        return
    if state is False:
        drop_index(schema_editor, name)
    try:
        schema_editor.execute(statement, params=None)
    except Exception:
        # Equal keys, a full disk, a cancelled statement: leave nothing that costs and serves not.
        drop_index(schema_editor, name)
        raise


def drop_index(schema_editor: BaseDatabaseSchemaEditor, name: str) -> None:
    """Run ``DROP INDEX CONCURRENTLY``, if there is such an index."""
    quoted = schema_editor.quote_name(name)
    schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {quoted}", params=None)


def _index_is_valid(schema_editor: BaseDatabaseSchemaEditor, name: str) -> bool | None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE relname = %s AND pg_table_is_visible(indexrelid)",
            [name],
        )
        row = cursor.fetchone()
    return None if row is None else bool(row[0])


def _parts(schema_editor: Any, model: Any) -> list[str]:
    if schema_editor.collect_sql:
        return []
    table, using = model._meta.db_table, schema_editor.connection.alias
    return [name for name, *_ in partitions_of(table, using)]


def _make_in_parts(schema_editor: Any, model: Any, index: Any, parts: Sequence[str]) -> None:
    """Make an index of a partitioned table: there is none ``CONCURRENTLY``, but in each part there is."""
    quote = schema_editor.quote_name
    name, table = quote(index.name), f"ON {quote(model._meta.db_table)}"
    whole = str(index.create_sql(model, schema_editor))
    one_by_one = str(index.create_sql(model, schema_editor, concurrently=True))
    # 63 characters are all that a name has.
    mine = {part: f"{index.name[:46]}_{part[-16:]}" for part in parts}
    for part, own in mine.items():
        statement = one_by_one.replace(name, quote(own), 1).replace(table, f"ON {quote(part)}", 1)
        build_index(schema_editor, own, statement)
    if _index_is_valid(schema_editor, index.name) is None:
        statement = whole.replace(table, f"ON ONLY {quote(model._meta.db_table)}", 1)
        execute_patiently(schema_editor, statement)
    for own in mine.values():
        execute_patiently(schema_editor, f"ALTER INDEX {name} ATTACH PARTITION {quote(own)}")


class _Concurrent:
    """What making an index and dropping it have in common."""

    atomic = False

    def _make(self, schema_editor: Any, model: Any, index: Any) -> None:
        if is_online(schema_editor):
            parts = _parts(schema_editor, model)
            if parts:
                _make_in_parts(schema_editor, model, index, parts)
                return
            statement = index.create_sql(model, schema_editor, concurrently=True)
            build_index(schema_editor, index.name, str(statement))
        else:
            with transaction.atomic(using=schema_editor.connection.alias):
                schema_editor.add_index(model, index)

    def _drop(self, schema_editor: Any, model: Any, index: Any) -> None:
        if is_online(schema_editor):
            if _parts(schema_editor, model):
                # PostgreSQL drops an index of many parts under a lock, or not at all.
                quoted = schema_editor.quote_name(index.name)
                execute_patiently(schema_editor, f"DROP INDEX IF EXISTS {quoted}")
                return
            drop_index(schema_editor, index.name)
        else:
            with transaction.atomic(using=schema_editor.connection.alias):
                schema_editor.remove_index(model, index)

    def _refuse_transaction(self, schema_editor: Any) -> None:
        if is_online(schema_editor) and not schema_editor.collect_sql:
            refuse_transaction(schema_editor, self)  # type: ignore[arg-type]


class AddIndexSafely(_Concurrent, AddIndex):
    """Add an index ``CONCURRENTLY``; on other databases, as Django does.

    Needs ``atomic = False`` on the migration. Run again after it was killed, it starts over.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Make the index."""
        del from_state
        self._refuse_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self._make(schema_editor, model, self.index)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the index."""
        del to_state
        self._refuse_transaction(schema_editor)
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self._drop(schema_editor, model, self.index)


class RemoveIndexSafely(_Concurrent, RemoveIndex):
    """Remove an index ``CONCURRENTLY``; on other databases, as Django does.

    Needs ``atomic = False`` on the migration.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the index."""
        del to_state
        self._refuse_transaction(schema_editor)
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            state = from_state.models[app_label, self.model_name_lower]
            self._drop(schema_editor, model, state.get_index_by_name(self.name))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Make the index."""
        del from_state
        self._refuse_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            state = to_state.models[app_label, self.model_name_lower]
            self._make(schema_editor, model, state.get_index_by_name(self.name))
