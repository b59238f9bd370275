"""The second wall: every transaction on PostgreSQL says whose rows it may see.

Where ``CLAIMKIT["TENANTS"]["ROW_LEVEL_SECURITY"]`` is set, each statement that Django runs first
makes sure that the connection was told the tenant in scope, by ``set_config(…, true)``: for the
transaction and no longer, so that nothing is left on a connection that goes back to a pool. A
statement outside of a transaction gets one of its own. It costs one round trip per transaction.

Raw SQL is told the same; policies on the tables (see ``claimkit_django.migrations_kit.policies``)
then hide the rows of others, whatever the SQL says. With no tenant in scope no row passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.db.backends.signals import connection_created

from claimkit.tenants import in_tenant
from claimkit_django.conf import config
from claimkit_django.migrations_kit.policies import EVERY_TENANT, TENANT_SETTING
from claimkit_django.tenants.scope import TenantScope, current_scope, is_across_tenants

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["connect_teller", "tell_tenants"]

#: libpq's ``PQTRANS_IDLE`` and ``PQTRANS_INERROR``.
_IDLE, _IN_ERROR = 0, 3
#: Statements that steer a transaction, and see no rows.
_STEERS: Final = ("SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT", "BEGIN", "START", "SET ")
_NOBODY: Final = ""
#: What was told is not known: a savepoint was rolled back, and what was told in it.
_UNKNOWN: Final = None


def connect_teller() -> None:
    """Tell tenants to connections as they are made; called once, when the app is ready."""
    connection_created.connect(_on_connection, dispatch_uid="claimkit_row_security")


def _on_connection(connection: BaseDatabaseWrapper, **_kwargs: Any) -> None:
    if config().tenants.row_level_security:
        tell_tenants(connection)


def tell_tenants(connection: BaseDatabaseWrapper) -> None:
    """Tell the tenant in scope to a connection from now on; nothing on other databases."""
    wrappers = connection.execute_wrappers
    told_already = any(isinstance(one, _Teller) for one in wrappers)
    if connection.vendor == "postgresql" and not told_already:
        wrappers.append(_Teller())


class _Teller:
    """Runs before each statement of one connection."""

    def __init__(self) -> None:
        self._told: TenantScope | str | None = _NOBODY

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: Any,
        many: bool,  # noqa: FBT001 - Django's protocol
        context: dict[str, Any],
    ) -> Any:
        connection: BaseDatabaseWrapper = context["connection"]
        status = connection.connection.info.transaction_status
        if status == _IDLE:
            # Whatever was told ended with its transaction.
            self._told = _NOBODY
        if str(sql).lstrip()[:9].upper().startswith(_STEERS):
            self._told = _UNKNOWN if status != _IDLE else self._told
            return execute(sql, params, many, context)
        wanted = _wanted()
        if wanted == self._told or status == _IN_ERROR:
            return execute(sql, params, many, context)
        if status == _IDLE and connection.get_autocommit():
            # The driver's transaction: Django's would go by the alias, which may name another one.
            with connection.wrap_database_errors, connection.connection.transaction():
                self._tell(connection, wanted)
                return execute(sql, params, many, context)
        self._tell(connection, wanted)
        return execute(sql, params, many, context)

    def _tell(self, connection: BaseDatabaseWrapper, wanted: TenantScope | str) -> None:
        # The driver's own cursor: this is not a query of the application's.
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            cursor.execute(*_statement(connection, wanted))
        self._told = wanted


def _wanted() -> TenantScope | str:
    if is_across_tenants():
        return EVERY_TENANT
    return current_scope() if in_tenant() else _NOBODY


def _statement(connection: BaseDatabaseWrapper, wanted: TenantScope | str) -> tuple[str, list[str]]:
    if isinstance(wanted, str):
        return f"SELECT set_config('{TENANT_SETTING}', %s, true)", [wanted]
    if wanted.id is not None:
        return f"SELECT set_config('{TENANT_SETTING}', %s, true)", [str(wanted.id)]
    tenants = connection.ops.quote_name(apps.get_model("claimkit_tenants", "Tenant")._meta.db_table)
    return (
        f"SELECT set_config('{TENANT_SETTING}',"
        f" coalesce((SELECT id::text FROM {tenants} WHERE key = %s), ''), true)",
        [wanted.key],
    )
