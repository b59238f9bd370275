"""What every whole store must do: its parts in one transaction."""

# ruff: noqa: D102, PT012 - the name of a test is its docstring, and transactions are blocks

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from claimkit.claims.model import Added
from claimkit.claims.store import ClaimTotals
from claimkit.drift.cube import DECISIONS
from claimkit.stores.memory import MemoryStore
from claimkit.testing.factories import (
    make_batch,
    make_claim,
    make_finding,
    make_submission,
)
from claimkit.types import TenantKey, day_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from claimkit.stores import Store


from claimkit.testing.conformance.claims import ClaimStoreConformance
from claimkit.testing.conformance.cube import CubeStoreConformance, one_cell, same_cells
from claimkit.testing.conformance.findings import FindingLogConformance
from claimkit.testing.conformance.suite import NIGHT, add, everything

__all__ = ["StoreConformance"]


class _Abort(Exception):
    pass


class StoreConformance(ClaimStoreConformance, CubeStoreConformance, FindingLogConformance):
    """What a :class:`~claimkit.stores.Store` must do: its three parts in one transaction."""

    @pytest.fixture
    def connect(self) -> Callable[[], Store]:
        """Override: return what opens the same store once more, for another thread."""
        pytest.skip("the suite was not told how to open this store twice (fixture 'connect')")

    def test_a_transaction_that_fails_leaves_nothing(self, store: Store, tenant: TenantKey) -> None:
        with pytest.raises(_Abort), store.atomic():
            _write_everywhere(store, tenant)
            assert store.claims.totals(tenant).claims == 1
            raise _Abort

        assert store.claims.totals(tenant) == ClaimTotals()
        assert len(store.cube.read(tenant, DECISIONS)) == 0
        assert list(store.findings.all(tenant)) == []

    def test_works_on_after_a_transaction_that_failed(
        self, store: Store, tenant: TenantKey
    ) -> None:
        oracle = MemoryStore()
        with pytest.raises(_Abort), store.atomic():
            _write_everywhere(store, tenant, payer="NEVER SEEN")
            raise _Abort

        for one in (store, oracle):
            with one.atomic():
                _write_everywhere(one, tenant)

        assert everything(store.claims, tenant) == everything(oracle.claims, tenant)
        found = store.cube.read(tenant, DECISIONS)
        assert same_cells(found, oracle.cube.read(tenant, DECISIONS))
        assert len(store.findings.open(tenant)) == 1

    def test_a_failure_keeps_what_was_there_before(self, store: Store, tenant: TenantKey) -> None:
        _write_everywhere(store, tenant)
        before = everything(store.claims, tenant)

        with pytest.raises(_Abort), store.atomic():
            add(store.claims, tenant, make_batch([make_claim(status="22", paid=-18_500)]))
            store.cube.clear(tenant)
            raise _Abort

        assert everything(store.claims, tenant) == before
        assert len(store.cube.read(tenant, DECISIONS)) == 1

    def test_writers_at_the_same_time_lose_and_double_nothing(
        self, store: Store, connect: Callable[[], Store], tenant: TenantKey
    ) -> None:
        oracle, writers, rounds = MemoryStore(), 2, 6
        files = [
            make_batch([make_claim(patient_control_number=f"SPIP{n}"), make_submission()])
            for n in range(rounds)
        ]
        added: list[Added] = []
        problems: list[BaseException] = []
        start = threading.Barrier(writers)

        def write() -> None:
            try:
                other = connect()
                start.wait(30)
                for number, batch in enumerate(files):
                    with other.atomic():
                        merged = add(other.claims, tenant, batch)
                        other.cube.post(tenant, one_cell(day=number))
                        other.findings.record(tenant, [make_finding()], as_of=NIGHT)
                    added.append(merged.added)
                if other is not store:
                    other.close()
            except BaseException as problem:  # noqa: BLE001 - shown by the assertion below
                problems.append(problem)

        threads = [threading.Thread(target=write) for _ in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for batch in files:
            add(oracle.claims, tenant, batch)

        assert problems == []
        assert sum(added, Added()).new == rounds + 1
        assert everything(store.claims, tenant) == everything(oracle.claims, tenant)
        assert store.cube.read(tenant, DECISIONS).measures["claims"].tolist() == [writers] * rounds
        assert len(store.findings.all(tenant)) == 1


def _write_everywhere(store: Store, tenant: TenantKey, *, payer: str = "MERIDIAN") -> None:
    add(store.claims, tenant, make_batch([make_claim(payer=payer)]))
    store.cube.post(tenant, one_cell(payer=payer, day=day_of(NIGHT)))
    store.findings.record(tenant, [make_finding(payer=payer)], as_of=NIGHT)
