"""Which tables of tenants row-level security holds, and switching it on and off.

A migration gives a table its policy; whether policies are in force is the site's decision, by
``CLAIMKIT["TENANTS"]["ROW_LEVEL_SECURITY"]``. Where it is set, ``migrate`` enables them on tables
that are new, and ``manage.py claimkit_row_security enable`` on tables that are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, router
from django.db.models.signals import post_migrate

from claimkit_django.conf import config
from claimkit_django.migrations_kit.locks import Patience
from claimkit_django.migrations_kit.policies import POLICY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model

__all__ = [
    "TableWall",
    "bypasses_policies",
    "connect_enabling",
    "disable",
    "enable",
    "inventory",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWall:
    """How one table of a tenant's model is held."""

    #: Label of the model, such as ``claimkit_claims.Claim``.
    model: str
    table: str
    has_policy: bool
    #: Row-level security is enabled.
    enabled: bool
    #: It binds the table's owner too.
    forced: bool
    #: Further permissive policies, each of which lets more rows pass.
    others: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nobody but superusers and ``BYPASSRLS`` roles sees rows of another tenant."""
        return self.has_policy and self.enabled and self.forced and not self.others


def inventory(using: str) -> list[TableWall]:
    """Return the tables of tenants that are in the database, the host's included; one query.

    Empty on databases without row-level security.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    labels = {model._meta.db_table: model._meta.label for model in _models(using)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, relrowsecurity, relforcerowsecurity,"
            " coalesce((SELECT array_agg(polname::text) FROM pg_policy"
            "  WHERE polrelid = pg_class.oid AND polpermissive), ARRAY[]::text[])"
            " FROM pg_class WHERE relname = ANY(%s) AND relkind IN ('r', 'p')"
            " AND pg_table_is_visible(oid) ORDER BY relname",
            [list(labels)],
        )
        return [
            TableWall(
                model=labels[table],
                table=table,
                has_policy=POLICY in policies,
                enabled=enabled,
                forced=forced,
                others=tuple(sorted(set(policies) - {POLICY})),
            )
            for table, enabled, forced, policies in cursor.fetchall()
        ]


def enable(using: str) -> list[str]:
    """Put policies in force on every table that has one; return the names of those changed."""
    todo = [one.table for one in inventory(using) if one.has_policy and not _in_force(one)]
    _alter(using, todo, "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    return todo


def disable(using: str) -> list[str]:
    """Take policies out of force everywhere; return the names of the tables changed."""
    todo = [one.table for one in inventory(using) if one.enabled or one.forced]
    _alter(using, todo, "DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")
    return todo


def bypasses_policies(using: str) -> bool:
    """Whether the role of the connection sees every row, policies or not."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])


def connect_enabling() -> None:
    """Enable policies on new tables after each migration; called once, when the app is ready."""
    post_migrate.connect(_after_migration, dispatch_uid="claimkit_row_security")


def _after_migration(using: str, **_kwargs: Any) -> None:
    if config().tenants.row_level_security:
        enable(using)


def _in_force(wall: TableWall) -> bool:
    return wall.enabled and wall.forced


def _alter(using: str, tables: Iterable[str], what: str) -> None:
    connection = connections[using]
    for table in tables:
        statement = f"ALTER TABLE {connection.ops.quote_name(table)} {what}"

        def act(statement: str = statement) -> None:
            with connection.cursor() as cursor:
                cursor.execute(statement)

        if connection.in_atomic_block:
            act()
        else:
            Patience().run(using, act)


def _models(using: str) -> Iterator[type[Model]]:
    from claimkit_django.tenants.models import TenantModel

    for model in apps.get_models(include_auto_created=True):
        if (
            issubclass(model, TenantModel)
            and model._meta.managed
            and not model._meta.proxy
            and router.allow_migrate_model(using, model)
        ):
            yield model
