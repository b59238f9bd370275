"""Row-level security: the policy that lets a connection see the rows of one tenant.

The connection says which one, per transaction, in the setting ``claimkit.tenant``. Not said, or
said in an earlier transaction, it reads as NULL or ``''``, and no row passes. The setting is read in
sub-queries, so once per statement and not once per row.

A policy does nothing until row-level security is enabled on its table, which a site decides by
``CLAIMKIT["TENANTS"]["ROW_LEVEL_SECURITY"]``; see ``claimkit_django.tenants.policies``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.migrations.operations.base import Operation

from claimkit_django.migrations_kit.locks import execute_patiently, is_online

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

__all__ = ["EVERY_TENANT", "POLICY", "TENANT_SETTING", "AddTenantPolicy", "create_policy_sql"]

#: Setting of a transaction: the id of its tenant.
TENANT_SETTING = "claimkit.tenant"
#: Its value in code that is about all tenants.
EVERY_TENANT = "*"
#: Name of the policy, the same on every table.
POLICY = "claimkit_tenant"

_SAID = f"nullif(current_setting('{TENANT_SETTING}', true), '')"


def create_policy_sql(table: str, column: str) -> str:
    """Return ``CREATE POLICY`` for a table whose rows name their tenant in ``column``.

    Args:
        table: Name of the table, quoted.
        column: Name of the column, quoted.
    """
    mine = (
        f"{column} = (SELECT nullif({_SAID}, '{EVERY_TENANT}')::bigint)"
        f" OR (SELECT {_SAID} = '{EVERY_TENANT}')"
    )
    return f"CREATE POLICY {POLICY} ON {table} USING ({mine}) WITH CHECK ({mine})"


class AddTenantPolicy(Operation):
    """Give the table of a tenant's model its policy; nothing on other databases.

    Add one for each model that inherits from ``TenantModel``, in the migration that creates it.
    """

    atomic = False
    reduces_to_sql = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def deconstruct(self) -> Any:
        """Return how to write the operation in a migration."""
        return (type(self).__qualname__, [], {"model_name": self.model_name})

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing: a policy is not part of the models."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create the policy."""
        del from_state
        model = to_state.apps.get_model(app_label, self.model_name)
        if is_online(schema_editor) and self.allow_migrate_model(
            schema_editor.connection.alias, model
        ):
            table = schema_editor.quote_name(model._meta.db_table)
            column = schema_editor.quote_name(model._meta.get_field("tenant").column)
            # Again after a migration was killed: the policy may be there.
            execute_patiently(schema_editor, f"DROP POLICY IF EXISTS {POLICY} ON {table}")
            execute_patiently(schema_editor, create_policy_sql(table, column))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the policy, and with it what it was for: without one, no row would pass."""
        del from_state
        model = to_state.apps.get_model(app_label, self.model_name)
        if is_online(schema_editor) and self.allow_migrate_model(
            schema_editor.connection.alias, model
        ):
            table = schema_editor.quote_name(model._meta.db_table)
            execute_patiently(
                schema_editor,
                f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
            )
            execute_patiently(schema_editor, f"DROP POLICY IF EXISTS {POLICY} ON {table}")

    def describe(self) -> str:
        """Say what it does."""
        return f"Keep rows of {self.model_name} with their tenant by a policy"
