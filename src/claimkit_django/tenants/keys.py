"""Foreign keys that cannot lead to another tenant's row.

The database checks a foreign key whatever policies and scopes say, so one on ``upload_id`` alone
takes the id of anybody's upload, and tells which ids exist. On ``(tenant_id, upload_id)`` it
takes the tenant's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS
from django.db.models import BaseConstraint
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.models import Model

__all__ = ["TenantForeignKey"]


class TenantForeignKey(BaseConstraint):
    """A foreign key over several columns, of which the tenant is the first.

    It goes into ``Meta.constraints``. The columns that it leads to need a unique constraint, or
    must be the primary key. PostgreSQL checks it with each statement, and at the end of the
    transaction where constraints were set to deferred; SQLite at the end of the transaction.

    Args:
        name: Name of the constraint.
        fields: Fields of this model; ``tenant`` first.
        to: Label of the model that they lead to, such as ``"claimkit_claims.Upload"``; by default
            the tenant's own row.
        to_fields: Its fields, in the same order.

    Raises:
        ValueError: the tenant is not first on both sides, or the sides differ in length.
    """

    violation_error_code = "foreign_key"
    default_violation_error_message = _("There is no such row.")

    def __init__(
        self,
        *,
        name: str,
        fields: Sequence[str],
        to: str = "claimkit_tenants.Tenant",
        to_fields: Sequence[str] = ("id",),
    ) -> None:
        if len(fields) != len(to_fields):
            raise ValueError("fields and to_fields must have the same length")
        if fields[0] != "tenant" or to_fields[0] not in ("tenant", "id"):
            raise ValueError("fields and to_fields must lead with the tenant")
        self.fields = tuple(fields)
        self.to = to
        self.to_fields = tuple(to_fields)
        super().__init__(name=name)

    def constraint_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> str:
        """Return the SQL of the constraint inside of ``CREATE TABLE``."""
        assert model is not None  # noqa: S101 - the base class allows what it never passes
        assert schema_editor is not None  # noqa: S101
        quote = schema_editor.quote_name
        target = _find_model(model, self.to)
        columns = ", ".join(quote(one.column) for one in _fields(model, self.fields))
        others = ", ".join(quote(one.column) for one in _fields(target, self.to_fields))
        # SQLite checks an immediate key row by row, and Django empties its tables in any order.
        initially = "IMMEDIATE" if schema_editor.connection.vendor == "postgresql" else "DEFERRED"
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({columns})"
            f" REFERENCES {quote(target._meta.db_table)} ({others})"
            f" DEFERRABLE INITIALLY {initially}"
        )

    def create_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Any:
        """Return ``ALTER TABLE … ADD CONSTRAINT``."""
        assert model is not None  # noqa: S101
        assert schema_editor is not None  # noqa: S101
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} ADD {self.constraint_sql(model, schema_editor)}"

    def remove_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Any:
        """Return ``ALTER TABLE … DROP CONSTRAINT``."""
        assert model is not None  # noqa: S101
        assert schema_editor is not None  # noqa: S101
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} DROP CONSTRAINT {schema_editor.quote_name(self.name)}"

    def validate(
        self,
        model: type[Model],
        instance: Model,
        exclude: Collection[str] | None = None,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        """Refuse a row that leads to none of its tenant's.

        Raises:
            ValidationError: with code ``foreign_key``.
        """
        excluded = set(exclude or ())
        if excluded & set(self.fields):
            return
        values = [getattr(instance, one.attname) for one in _fields(model, self.fields)]
        if None in values:
            return
        target = apps.get_model(self.to)
        wanted = dict(zip(self.to_fields, values, strict=True))
        if not target._default_manager.using(using).filter(**wanted).exists():
            raise ValidationError(
                self.get_violation_error_message(), code=self.violation_error_code
            )

    def deconstruct(self) -> Any:
        """Return how to write the constraint in a migration."""
        named = {
            "name": self.name,
            "fields": self.fields,
            "to": self.to,
            "to_fields": self.to_fields,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", (), named

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TenantForeignKey):
            return bool(self.deconstruct() == other.deconstruct())
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, self.fields, self.to, self.to_fields))

    def __repr__(self) -> str:
        return (
            f"<TenantForeignKey: name={self.name!r} fields={self.fields!r}"
            f" to={self.to!r} to_fields={self.to_fields!r}>"
        )


def _fields(model: type[Model], names: Sequence[str]) -> list[Any]:
    return [model._meta.get_field(name) for name in names]


def _find_model(model: type[Model], label: str) -> type[Model]:
    try:
        return model._meta.apps.get_model(label)
    except LookupError:
        # Django remakes a table of SQLite as a model that is alone in its registry.
        return apps.get_model(label)
