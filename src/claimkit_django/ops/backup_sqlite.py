"""Copies of SQLite by its backup interface, made while writers wait and readers do not."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import connections

from claimkit_django.ops.backup import BackupFailed, Fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SqliteEngine"]

_ALIAS = "claimkit_verify"
_WAIT_SECONDS = 60


class SqliteEngine:
    """:class:`claimkit_django.ops.backup.Engine` of SQLite; its dump is a database."""

    def __init__(self, using: str) -> None:
        self._using = using

    def dump(self, path: Path) -> dict[str, Fingerprint]:
        """See the protocol."""
        source = Path(str(connections[self._using].settings_dict["NAME"]))
        if not source.is_file():
            raise BackupFailed("the database is in memory", remedy="Keep it in a file")
        try:
            with closing(_open(source)) as ours, closing(_open(source)) as reader:
                # Nobody writes between the copy and the sums.
                ours.execute("BEGIN IMMEDIATE")
                with closing(sqlite3.connect(path)) as copy:
                    reader.backup(copy)
                found = _fingerprints(ours)
                ours.rollback()
        except sqlite3.Error as error:
            raise BackupFailed(f"the copy failed: {error.sqlite_errorname}") from None
        return found

    @contextmanager
    def restored(self, path: Path) -> Iterator[str]:
        """See the protocol; the scratch database is a file that only we may read."""
        with tempfile.TemporaryDirectory(prefix="claimkit-verify-") as folder:
            scratch = Path(folder) / "restored.sqlite3"
            shutil.copyfile(path, scratch)
            restored = connections[self._using].copy(_ALIAS)
            restored.settings_dict["NAME"] = os.fspath(scratch)
            connections[_ALIAS] = restored
            try:
                yield _ALIAS
            finally:
                restored.close()
                del connections[_ALIAS]

    def fingerprints(self, alias: str) -> dict[str, Fingerprint]:
        """See the protocol."""
        path = Path(str(connections[alias].settings_dict["NAME"]))
        try:
            with closing(_open(path)) as connection:
                return _fingerprints(connection)
        except sqlite3.Error as error:
            raise BackupFailed(f"the copy cannot be read: {error.sqlite_errorname}") from None

    def faults(self, alias: str) -> Iterator[str]:
        """Yield what SQLite's own checks say."""
        with closing(_open(Path(str(connections[alias].settings_dict["NAME"])))) as connection:
            yield from (
                one for (one,) in connection.execute("PRAGMA integrity_check") if one != "ok"
            )
            for table, *_ in connection.execute("PRAGMA foreign_key_check"):
                yield f"a row of {table} refers to none"


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    connection.create_aggregate("claimkit_sum", -1, _Sum)  # type: ignore[arg-type]
    return connection


def _fingerprints(connection: sqlite3.Connection) -> dict[str, Fingerprint]:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    found: dict[str, Fingerprint] = {}
    for (table,) in tables:
        quoted = '"' + table.replace('"', '""') + '"'
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({quoted})")]
        told = ", ".join('"' + one.replace('"', '""') + '"' for one in columns)
        query = f"SELECT count(*), coalesce(claimkit_sum({told}), '0') FROM {quoted}"
        found[table] = Fingerprint(*connection.execute(query).fetchone())
    return found


class _Sum:
    """Adds a hash of each row: the same for the same rows in any order."""

    def __init__(self) -> None:
        self._sum = 0

    def step(self, *values: Any) -> None:
        digest = hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % (1 << 128)

    def finalize(self) -> str:
        return f"{self._sum:x}"
