from __future__ import annotations

import pytest

from claimkit.stores.sqlite import SqliteStore
from claimkit.testing.conformance import StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "claims.sqlite3"

    @pytest.fixture
    def store(self, path):
        store = SqliteStore(path)
        yield store
        store.close()

    @pytest.fixture
    def connect(self, path, store):
        return lambda: SqliteStore(path)
