from __future__ import annotations

import datetime as dt

import pytest

from claimkit.drift.cube import DECISIONS
from claimkit.errors import StoreError
from claimkit.stores.memory import MemoryStore
from claimkit.testing.conformance import StoreConformance
from claimkit.testing.conformance.cube import one_cell
from claimkit.testing.factories import make_batch, make_claim
from claimkit.types import TenantKey

NORTHSIDE = TenantKey("northside")
KNOWN = {"upload": "upl_1", "known_on": dt.date(2026, 4, 1)}


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self):
        store = MemoryStore()
        yield store
        store.close()

    @pytest.fixture
    def connect(self, store):
        return lambda: store


def test_a_closed_store_is_refused():
    store = MemoryStore()
    store.close()

    with pytest.raises(StoreError, match="closed"), store.atomic():
        pass


def test_an_inner_transaction_that_failed_leaves_the_outer_one():
    store = MemoryStore()
    with store.atomic():
        store.claims.add(NORTHSIDE, make_batch(), **KNOWN)
        with pytest.raises(RuntimeError, match="no"):
            with store.atomic():
                other = make_claim(patient_control_number="ZORGLUB9")
                store.claims.add(NORTHSIDE, make_batch([other]), **KNOWN)
                raise RuntimeError("no")

    assert store.claims.totals(NORTHSIDE).claims == 1


def test_many_small_posts_are_summed_into_one():
    store = MemoryStore()
    for day in range(200):
        store.cube.post(NORTHSIDE, one_cell(day=day % 2, known_day=day))

    assert store.cube.read(NORTHSIDE, DECISIONS).measures["claims"].tolist() == [100, 100]
    assert store.cube.read(NORTHSIDE, DECISIONS, known_by=9).measures["claims"].tolist() == [5, 5]
