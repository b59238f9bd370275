"""A store in one SQLite file: for the command line, a laptop, or one office.

Uses the standard library only. Money is in cents, days are day numbers, names are small integers of
a dictionary per tenant, and the tenant comes first in every key. A batch costs a fixed number of
statements; each transaction is one ``BEGIN IMMEDIATE``, so that writers of several threads and
processes take turns while readers go on (WAL).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from claimkit.stores.sqlite.claims import SqliteClaimStore
from claimkit.stores.sqlite.cube import SqliteCubeStore
from claimkit.stores.sqlite.database import SCHEMA_VERSION, Database
from claimkit.stores.sqlite.findings import SqliteFindingLog

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from claimkit.claims.store import ClaimStore
    from claimkit.drift.cube import CubeStore
    from claimkit.drift.findings import FindingLog

__all__ = ["SCHEMA_VERSION", "SqliteStore"]


class SqliteStore:
    """Claims, cube and findings of all tenants in the file at ``path``, made where there is none.

    Args:
        path: The database file; SQLite keeps ``-wal`` and ``-shm`` files beside it.
        busy_timeout_seconds: How long a writer waits for its turn.

    Raises:
        StoreError: the file is no claimkit store, is of a newer version, or cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout_seconds: float = 60.0) -> None:
        self._database = Database(path, busy_timeout_seconds=busy_timeout_seconds)
        self.claims: ClaimStore = SqliteClaimStore(self._database)
        self.cube: CubeStore = SqliteCubeStore(self._database)
        self.findings: FindingLog = SqliteFindingLog(self._database)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Open a transaction: all of the block or nothing; writers take turns. Nests.

        Raises:
            StoreError: another writer did not finish in time, or the store is closed.
        """
        with self._database.atomic():
            yield

    def close(self) -> None:
        """Close the connections of all threads; the store cannot be used afterwards."""
        self._database.close()
