"""Dumps of PostgreSQL: ``pg_dump`` of a snapshot whose tables are summed in the same instant."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections, transaction

from claimkit_django.ops.backup import BackupFailed, Fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PostgresqlEngine"]

#: psycopg's names of parameters → variables that libpq's programs read.
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "service": "PGSERVICE",
    "passfile": "PGPASSFILE",
}
_TABLES = """
    SELECT format('%I.%I', nspname, relname) FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'r' AND relpersistence = 'p'
      AND nspname NOT LIKE 'pg\\_%%' AND nspname <> 'information_schema'
    ORDER BY 1
"""
#: Rows as text, so that a column of any type counts; sums do not depend on the order.
_SUM = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {} t"
#: Text must not depend on the session; rows that a policy hides must be an error.
_SETTINGS = (
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL row_security = off",
    "SET LOCAL statement_timeout = 0",
)
_UNCHECKED = "SELECT conname FROM pg_constraint WHERE NOT convalidated ORDER BY 1"
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"


class PostgresqlEngine:
    """:class:`claimkit_django.ops.backup.Engine` of PostgreSQL.

    Args:
        using: Alias of the database; its role must see every row and may create databases.
        tools: Folder of the programs, or empty.
    """

    def __init__(self, using: str, tools: str) -> None:
        self._using, self._tools = using, tools

    def dump(self, path: Path) -> dict[str, Fingerprint]:
        """See the protocol; readers and writers go on meanwhile."""
        program = self._program("pg_dump")
        connection = connections[self._using]
        if connection.in_atomic_block:
            raise BackupFailed("a backup cannot be made inside of a transaction")
        try:
            with transaction.atomic(using=self._using), connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                cursor.execute("SELECT pg_export_snapshot()")
                (snapshot,) = cursor.fetchone()
                self._run(
                    program, "--format=custom", f"--snapshot={snapshot}", f"--file={path}",
                    database=self._name(),
                )  # fmt: skip
                return _fingerprints(cursor)
        except DatabaseError as error:
            raise BackupFailed(
                f"the database could not be read (SQLSTATE {_state_of(error)})",
                remedy="Use a role that sees every row, such as one with BYPASSRLS",
            ) from None

    @contextmanager
    def restored(self, path: Path) -> Iterator[str]:
        """See the protocol; the scratch database is on the same server."""
        program = self._program("pg_restore")
        name = f"claimkit_verify_{secrets.token_hex(6)}"
        connection = connections[self._using]
        connection.ensure_connection()
        alias = name
        self._command(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            self._run(
                program, "--exit-on-error", "--no-owner", "--no-acl", f"--dbname={name}", str(path)
            )
            scratch = connection.copy(alias)
            scratch.settings_dict["NAME"] = name
            connections[alias] = scratch
            try:
                yield alias
            finally:
                scratch.close()
                del connections[alias]
        finally:
            self._command(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def fingerprints(self, alias: str) -> dict[str, Fingerprint]:
        """See the protocol."""
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            return _fingerprints(cursor)

    def faults(self, alias: str) -> Iterator[str]:
        """Yield constraints and indexes that nobody checked, and sequences that lag behind."""
        ours = self._named(self._using, _UNCHECKED)
        yield from (f"{one} was not checked" for one in self._named(alias, _UNCHECKED) - ours)
        yield from (f"{one} is not valid" for one in self._named(alias, _INVALID))
        with connections[alias].cursor() as cursor:
            for table, column, sequence in _sequences(cursor):
                cursor.execute(
                    f"SELECT coalesce(max({column}), 0) > (SELECT last_value FROM {sequence})"
                    f" FROM {table}"
                )
                if cursor.fetchone()[0]:
                    yield f"{sequence} is behind {table}"

    def _named(self, alias: str, query: str) -> set[str]:
        with connections[alias].cursor() as cursor:
            cursor.execute(query)
            return {name for (name,) in cursor.fetchall()}

    def _name(self) -> str:
        return str(connections[self._using].settings_dict["NAME"])

    def _program(self, name: str) -> str:
        found = shutil.which(name, path=self._tools or None)
        if found is None:
            raise BackupFailed(
                f"{name} is not on this machine",
                remedy="Install PostgreSQL's client programs, or name their folder with --tools",
            )
        return found

    def _run(self, *command: str, database: str = "") -> None:
        parameters = connections[self._using].get_connection_params()
        told = {
            one: str(parameters[name]) for name, one in _VARIABLES.items() if parameters.get(name)
        }
        if database:
            told["PGDATABASE"] = database
        done = subprocess.run(  # noqa: S603 - no shell, and no argument is anybody's input
            command, env={**os.environ, **told}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            raise BackupFailed(f"{Path(command[0]).name} failed: {lines[0][:300]}")

    def _command(self, statement: str) -> None:
        """Run what no transaction may hold, on a connection of its own."""
        own = connections[self._using].copy()
        try:
            with own.cursor() as cursor:
                cursor.execute(statement)
        except DatabaseError as error:
            raise BackupFailed(
                f"no scratch database could be made (SQLSTATE {_state_of(error)})",
                remedy="Use a role with CREATEDB",
            ) from None
        finally:
            own.close()


def _fingerprints(cursor: Any) -> dict[str, Fingerprint]:
    for statement in _SETTINGS:
        cursor.execute(statement)
    cursor.execute(_TABLES)
    found: dict[str, Fingerprint] = {}
    for (table,) in cursor.fetchall():
        cursor.execute(_SUM.format(table))
        found[table] = Fingerprint(*cursor.fetchone())
    return found


def _sequences(cursor: Any) -> list[tuple[str, str, str]]:
    cursor.execute(
        "SELECT format('%I.%I', table_schema, table_name), quote_ident(column_name),"
        " pg_get_serial_sequence(format('%I.%I', table_schema, table_name), column_name)"
        " FROM information_schema.columns WHERE is_identity = 'YES'"
    )
    return [row for row in cursor.fetchall() if row[2]]


def _state_of(error: Exception) -> str:
    with suppress(AttributeError):
        return str(error.__cause__.sqlstate)  # type: ignore[union-attr]
    return "unknown"
