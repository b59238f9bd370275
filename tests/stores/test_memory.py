from __future__ import annotations

import pytest

from claimkit.stores.memory import MemoryStore
from claimkit.testing.conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self):
        store = MemoryStore()
        yield store
        store.close()

    @pytest.fixture
    def connect(self, store):
        return lambda: store
