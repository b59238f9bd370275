"""Connections, transactions, schema and dictionaries of one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from claimkit.errors import StoreError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from claimkit.types import TenantKey

__all__ = ["SCHEMA_VERSION", "Database", "Names"]

#: Version of the tables, kept in ``PRAGMA user_version``; a newer one is refused.
SCHEMA_VERSION = 1
#: Marks a file as a claimkit store (``PRAGMA application_id``): "clkt".
_APPLICATION_ID = 0x636C6B74

#: Between two attempts to switch a new file to WAL.
_RETRY_SECONDS = 0.01

_TENANTS_AND_NAMES = {
    "tenant": "CREATE TABLE tenant (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE) STRICT",
    "name": "CREATE TABLE name (tenant INTEGER NOT NULL REFERENCES tenant (id),"
    " code INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (tenant, code)) STRICT, WITHOUT ROWID",
}


class Names(dict[str, int]):
    """A tenant's dictionary of names; asking for a new name gives it the next code.

    Only writers ask for new names, inside their transaction, and :meth:`Database.keep_names` writes them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.kept = 0

    def __missing__(self, text: str) -> int:
        code = len(self.texts)
        self.texts.append(str(text))
        self[self.texts[-1]] = code
        return code


class Database:
    """One file, a connection per thread, and what is shared between the parts of the store.

    Raises:
        StoreError: the file cannot be used; see :class:`claimkit.stores.sqlite.SqliteStore`.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout_seconds: float) -> None:
        self._path = Path(path)
        self._busy_timeout_seconds = busy_timeout_seconds
        self._local = _Local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._closed = False
        self._prepare()

    # -- connections and transactions ---------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of the current thread, in autocommit mode.

        Raises:
            StoreError: the store is closed, or the file is no database.
        """
        if self._closed:
            raise StoreError("the store is closed")
        if self._local.connection is None:
            self._local.connection = self._connect()
        return self._local.connection

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._path,
                timeout=self._busy_timeout_seconds,
                isolation_level=None,
                # Each thread uses its own; only close() reaches for the others.
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot open the SQLite store: {error}",
                remedy="Check that the folder exists and can be written to",
            ) from error
        with self._lock:
            self._connections.append(connection)
        try:
            # WAL: readers do not wait for the writer. NORMAL is durable but for a power loss, which
            # may take back the last transactions whole, and imports can be repeated.
            self._switch_to_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -65536")
        except sqlite3.DatabaseError as error:
            raise _refused(error) from error
        return connection

    def _switch_to_wal(self, connection: sqlite3.Connection) -> None:
        """Switch a new file over; one that is switched already stays so."""
        deadline = time.monotonic() + self._busy_timeout_seconds
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # Two that switch a new file at once: SQLite fails one at once, without its own waiting
                # (https://www.sqlite.org/c3ref/busy_handler.html, on deadlocks).
                busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return

    @contextmanager
    def atomic(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction, or a savepoint inside of one, on the thread's connection."""
        connection, depth = self.connection, self._local.depth
        savepoint = f"depth_{depth}"
        try:
            connection.execute(f"SAVEPOINT {savepoint}" if depth else "BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise StoreError(
                "another writer did not finish in time", remedy="Try again later"
            ) from error
        self._local.depth += 1
        try:
            yield connection
            connection.execute(f"RELEASE {savepoint}" if depth else "COMMIT")
        except BaseException as error:
            # New names may be among what is undone.
            self._local.names.clear()
            # A full disk has SQLite roll back by itself (https://www.sqlite.org/lang_transaction.html).
            if connection.in_transaction:
                connection.execute(f"ROLLBACK TO {savepoint}" if depth else "ROLLBACK")
                if depth:
                    connection.execute(f"RELEASE {savepoint}")
            if _is_of_the_file(error):
                raise _failed(error) from error
            raise
        finally:
            self._local.depth -= 1

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read everything in the block as of one moment."""
        connection = self.connection
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            if _is_of_the_file(error):
                raise _failed(error) from error
            raise
        finally:
            _roll_back(connection)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._closed = True
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    # -- schema -------------------------------------------------------------------------------

    def _prepare(self) -> None:
        try:
            self._check(self.connection)
        except BaseException:
            self.close()
            raise

    def _check(self, connection: sqlite3.Connection) -> None:
        version = _pragma(connection, "user_version")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"the store is of version {version}, and this claimkit knows up to {SCHEMA_VERSION}",
                remedy="Upgrade claimkit",
            )
        has_tables = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if has_tables and _pragma(connection, "application_id") != _APPLICATION_ID:
            raise StoreError(
                "the file is a database of another application",
                remedy="Name a file that does not exist yet",
            )

    def create(self, objects: Mapping[str, str]) -> None:
        """Make the tables and indexes that are missing: name → SQL.

        Opening a store that has them all waits for no writer; of two that find some missing, the
        second finds them made.
        """
        objects = {**_TENANTS_AND_NAMES, **objects}
        if objects.keys() <= self._objects():
            return
        with self.atomic() as connection:
            known = self._objects()
            if not known:
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            for name, statement in objects.items():
                if name not in known:
                    connection.execute(statement)

    def _objects(self) -> set[str]:
        return {name for (name,) in self.connection.execute("SELECT name FROM sqlite_master")}

    def has_table(self, name: str) -> bool:
        """Whether the file has a table of that name."""
        found = self.connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
        )
        return found.fetchone() is not None

    # -- tenants and names --------------------------------------------------------------------

    def find_tenant(self, tenant: TenantKey) -> int:
        """Return the number of a tenant, or -1 where nothing was written for it yet."""
        row = self.connection.execute("SELECT id FROM tenant WHERE key = ?", (tenant,)).fetchone()
        return -1 if row is None else int(row[0])

    def make_tenant(self, tenant: TenantKey) -> int:
        """Return the number of a tenant, a new one where there is none; inside a transaction."""
        number = self.find_tenant(tenant)
        if number >= 0:
            return number
        made = self.connection.execute("INSERT INTO tenant (key) VALUES (?)", (tenant,))
        return int(made.lastrowid or 0)

    def names(self, number: int) -> Names:
        """Return a tenant's dictionary, with what others added since."""
        names = self._local.names.setdefault(number, Names())
        added = self.connection.execute(
            "SELECT text FROM name WHERE tenant = ? AND code >= ? ORDER BY code",
            (number, names.kept),
        )
        for (text,) in added:
            names[text] = len(names.texts)
            names.texts.append(text)
        names.kept = len(names.texts)
        return names

    def keep_names(self, number: int, names: Names) -> None:
        """Write the names that are new; inside a transaction."""
        new = enumerate(names.texts[names.kept :], names.kept)
        self.connection.executemany(
            "INSERT INTO name (tenant, code, text) VALUES (?, ?, ?)",
            [(number, code, text) for code, text in new],
        )
        names.kept = len(names.texts)


class _Local(threading.local):
    """What each thread has of its own."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None
        self.depth = 0
        #: Per thread, because a thread sees names before they are committed.
        self.names: dict[int, Names] = {}


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _roll_back(connection: sqlite3.Connection) -> None:
    # A full disk has SQLite roll back by itself.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _is_of_the_file(error: BaseException) -> bool:
    """Whether an error tells of the file or its disk, and not of what was asked."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _failed(error: BaseException) -> StoreError:
    return StoreError(
        f"the SQLite store cannot be used: {error}",
        remedy="Check the disk, then do it again; nothing of it was kept",
    )


def _refused(error: sqlite3.DatabaseError) -> StoreError:
    return StoreError(
        f"the file cannot be used as a SQLite store: {error}",
        remedy="Name a file that does not exist yet, or a store that claimkit made",
    )
