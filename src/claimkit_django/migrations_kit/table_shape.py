"""What hangs on a table of PostgreSQL, as statements that hang it on another of the same name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["TableShape", "UniqueKey", "partitions_of", "read_shape"]


#: Each asks of one table, ``%(table)s``.
_INDEXES = (
    "SELECT relname, pg_get_indexdef(indexrelid), indisunique, conname, contype::text,"
    " (SELECT array_agg(attname::text ORDER BY place) FROM unnest(conkey)"
    "  WITH ORDINALITY AS key (number, place) JOIN pg_attribute"
    "  ON attrelid = indrelid AND attnum = number)"
    " FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid LEFT JOIN pg_constraint"
    " ON conindid = indexrelid AND conrelid = indrelid AND contype IN ('p', 'u', 'x')"
    " WHERE indrelid = %(table)s::regclass ORDER BY relname"
)
_PARTITION_COLUMN = (
    "SELECT attname FROM pg_partitioned_table JOIN pg_attribute"
    " ON attrelid = partrelid AND attnum = partattrs[0] WHERE partrelid = %(table)s::regclass"
)
_NULLABLE = (
    "SELECT attname FROM pg_attribute WHERE attrelid = %(table)s::regclass"
    " AND attnum > 0 AND NOT attisdropped AND NOT attnotnull"
)
_FOREIGN_KEYS = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid = %(table)s::regclass AND contype = 'f' ORDER BY conname"
)
_REFERRING = (
    "SELECT DISTINCT conrelid::regclass::text FROM pg_constraint"
    " WHERE confrelid = %(table)s::regclass AND contype = 'f' ORDER BY 1"
)
_TRIGGERS = (
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"
    " WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal ORDER BY tgname"
)
_GRANTS = (
    "SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC'"
    " ELSE quote_ident(pg_get_userbyid(grantee)) END FROM pg_class, aclexplode(relacl)"
    " WHERE pg_class.oid = %(table)s::regclass AND grantee <> relowner"
)
_SEQUENCES = (
    "SELECT attname, (SELECT relname FROM pg_class WHERE oid ="
    " pg_get_serial_sequence(%(table)s, attname)::regclass) FROM pg_attribute"
    " WHERE attrelid = %(table)s::regclass AND attidentity <> ''"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueKey:
    """A primary key or a unique constraint."""

    name: str
    columns: tuple[str, ...]
    is_primary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """Everything of a table but its rows and columns, read in a few queries."""

    table: str
    #: What it is partitioned by, empty where it is whole.
    partitioned_by: str
    nullable: frozenset[str]
    uniques: tuple[UniqueKey, ...]
    #: Unique indexes with a condition, or of an expression, by name.
    conditional_uniques: tuple[str, ...]
    index_names: tuple[str, ...]
    #: ``CREATE INDEX`` of those that are no constraint's.
    indexes: tuple[str, ...]
    foreign_keys: tuple[str, ...]
    #: Tables whose rows refer to rows of this one.
    referring: tuple[str, ...]
    #: Name and ``CREATE TRIGGER``.
    triggers: tuple[tuple[str, str], ...]
    grants: tuple[str, ...]
    #: Identity column → the sequence behind it.
    sequences: Mapping[str, str]
    #: ``CREATE POLICY`` with a place for the table, and what switches them on.
    policies: tuple[str, ...]
    quote: Callable[[str], str]

    def kind_of(self, constraint: str) -> str:
        """Return ``PRIMARY KEY`` or ``UNIQUE``."""
        primary = any(one.name == constraint and one.is_primary for one in self.uniques)
        return "PRIMARY KEY" if primary else "UNIQUE"

    def walls(self, table: str) -> Iterator[str]:
        """Yield what gives a table the policies of this one."""
        for one in self.policies:
            yield one.format(table=self.quote(table))

    def moving_sequences(self, past: str) -> Iterator[str]:
        """Yield what lets a table made ``LIKE`` this one count on where ``past`` stopped."""
        for column, sequence in self.sequences.items():
            mine = f"pg_get_serial_sequence('{self.quote(self.table)}', '{column}')"
            yield f"SELECT setval({mine}, last_value, is_called) FROM {self.quote(sequence)}"
            yield (
                f"ALTER TABLE {self.quote(past)} ALTER COLUMN {self.quote(column)} DROP IDENTITY"
            )
            yield (
                "DO $$ BEGIN EXECUTE format('ALTER SEQUENCE %s RENAME TO %I',"
                f" {mine}, '{sequence}'); END $$"
            )


def partitions_of(table: str, using: str) -> list[tuple[str, str, int]]:
    """Return name, bound and estimated rows of each partition of a table; none if it is whole.

    Args:
        table: Its name, found by the search path.
        using: Alias of a PostgreSQL database.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid),"
            " greatest(child.reltuples, 0)::bigint FROM pg_inherits"
            " JOIN pg_class AS child ON child.oid = inhrelid"
            " JOIN pg_class AS parent ON parent.oid = inhparent"
            " WHERE parent.relname = %s AND parent.relkind = 'p'"
            " AND pg_table_is_visible(parent.oid) ORDER BY child.relname",
            [table],
        )
        found: list[tuple[str, str, int]] = cursor.fetchall()
    return found


def read_shape(table: str, using: str) -> TableShape:
    """Return what hangs on a table.

    Args:
        table: Its name, found by the search path.
        using: Alias of a PostgreSQL database.
    """
    connection = connections[using]
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:

        def ask(text: str) -> Sequence[Any]:
            cursor.execute(text, {"table": quote(table)})
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

        return TableShape(
            table=table,
            partitioned_by="".join(_names(ask, _PARTITION_COLUMN)),
            nullable=frozenset(_names(ask, _NULLABLE)),
            **_indexes(ask),
            foreign_keys=tuple(
                f"ALTER TABLE {quote(table)} ADD CONSTRAINT {quote(name)} {text}"
                for name, text in ask(_FOREIGN_KEYS)
            ),
            referring=tuple(_names(ask, _REFERRING)),
            triggers=tuple(ask(_TRIGGERS)),
            grants=tuple(
                f"GRANT {privilege} ON {quote(table)} TO {grantee}"
                for privilege, grantee in ask(_GRANTS)
            ),
            sequences=dict(ask(_SEQUENCES)),
            policies=tuple(_policies(ask, quote)),
            quote=quote,
        )


def _names(ask: Callable[[str], Sequence[Any]], text: str) -> list[str]:
    return [name for (name,) in ask(text)]


def _indexes(ask: Callable[[str], Sequence[Any]]) -> dict[str, Any]:
    rows = ask(_INDEXES)
    return {
        "uniques": tuple(
            UniqueKey(name=conname, columns=tuple(columns), is_primary=contype == "p")
            for _, _, _, conname, contype, columns in rows
            if contype in {"p", "u"}
        ),
        "conditional_uniques": tuple(
            name for name, _, unique, conname, *_ in rows if unique and conname is None
        ),
        "index_names": tuple(name for name, *_ in rows),
        "indexes": tuple(text for _, text, _, conname, *_ in rows if conname is None),
    }


def _policies(ask: Callable[[str], Sequence[Any]], quote: Callable[[str], str]) -> Iterator[str]:
    for name, permissive, verb, roles, using, checking in ask(
        "SELECT policyname, permissive, cmd, roles::text[], qual, with_check FROM pg_policies"
        " JOIN pg_class ON relname = tablename JOIN pg_namespace ON nspname = schemaname"
        " AND pg_namespace.oid = relnamespace WHERE pg_class.oid = %(table)s::regclass"
    ):
        who = ", ".join("PUBLIC" if one == "public" else quote(one) for one in roles)
        parts = [f"CREATE POLICY {quote(name)} ON {{table}} AS {permissive} FOR {verb} TO {who}"]
        parts += [f"USING ({_plain(using)})"] if using else []
        parts += [f"WITH CHECK ({_plain(checking)})"] if checking else []
        yield " ".join(parts)
    for enabled, forced in ask(
        "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %(table)s::regclass"
    ):
        if enabled:
            yield "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        if forced:
            yield "ALTER TABLE {table} FORCE ROW LEVEL SECURITY"


def _plain(text: str) -> str:
    """Return a text that ``format`` leaves as it is."""
    return text.replace("{", "{{").replace("}", "}}")
