"""Values for many rows that are there already, a few thousand at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.migrations.operations.base import Operation

from claimkit_django.migrations_kit.locks import Patience, is_online, refuse_transaction
from claimkit_django.migrations_kit.policies import EVERY_TENANT, TENANT_SETTING

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState
    from django.db.models import Model, Q

__all__ = ["Backfill"]


class Backfill(Operation):
    """Update the rows that a condition picks, in batches that each commit.

    One ``UPDATE`` of a million rows keeps every one of them locked until it ends. The condition
    must no longer hold for a row that is done: then a backfill that was killed goes on where it
    stopped, and running it twice changes nothing. Going back leaves the values.

    Args:
        model_name: The model.
        where: Rows to update, such as ``Q(listed_on__isnull=True)``.
        values: Field → value or expression.
        batch_size: Rows per transaction.
        pause_seconds: Left to others between two batches, on databases that have others.
    """

    atomic = False
    reversible = True
    elidable = True

    def __init__(
        self,
        model_name: str,
        *,
        where: Q,
        values: dict[str, Any],
        batch_size: int = 2_000,
        pause_seconds: float = 0.02,
    ) -> None:
        self.model_name = model_name
        self.where = where
        self.values = values
        self.batch_size = batch_size
        self.pause_seconds = pause_seconds

    def deconstruct(self) -> Any:
        """Return how to write the operation in a migration."""
        named = {
            "model_name": self.model_name,
            "where": self.where,
            "values": self.values,
            "batch_size": self.batch_size,
            "pause_seconds": self.pause_seconds,
        }
        return (type(self).__qualname__, [], named)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing: only rows change."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Update batch by batch until no row is left."""
        del from_state
        model = to_state.apps.get_model(app_label, self.model_name)
        using = schema_editor.connection.alias
        if schema_editor.collect_sql or not self.allow_migrate_model(using, model):
            return
        if is_online(schema_editor):
            refuse_transaction(schema_editor, self)
        after: Any = None
        while True:
            batch = self._update_batch(schema_editor, model, after)
            if len(batch) < self.batch_size and after is None:
                return
            # Rows that came to hold the condition meanwhile are found by a second pass.
            after = batch[-1] if len(batch) == self.batch_size else None
            if is_online(schema_editor):
                time.sleep(self.pause_seconds)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Leave the values."""

    def describe(self) -> str:
        """Say what it does."""
        return f"Fill {', '.join(sorted(self.values))} of {self.model_name} batch by batch"

    def _update_batch(
        self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model], after: Any
    ) -> list[Any]:
        """Update the first rows behind the primary key ``after``; return their primary keys."""
        using = schema_editor.connection.alias
        rows = model._base_manager.using(using).filter(self.where)
        batch: list[Any] = []

        def act() -> None:
            if is_online(schema_editor):
                with schema_editor.connection.cursor() as cursor:
                    # For owners who are bound by policies too (FORCE ROW LEVEL SECURITY).
                    cursor.execute(
                        "SELECT set_config(%s, %s, true)", [TENANT_SETTING, EVERY_TENANT]
                    )
            todo = rows if after is None else rows.filter(pk__gt=after)
            batch[:] = todo.order_by("pk").values_list("pk", flat=True)[: self.batch_size]
            mine = rows.filter(pk__in=batch)
            mine.update(**self.values)
            if mine.exists():
                raise ValueError(f"{self.describe()}: the condition holds for rows that are done")

        if is_online(schema_editor):
            Patience().run(using, act)
        else:
            with transaction.atomic(using=using):
                act()
        return batch
