"""What the suites share: fixtures, and how to ask a store for all that it knows."""

# ruff: noqa: D102, PT012 - the name of a test is its docstring, and transactions are blocks

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from claimkit.types import TenantKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from claimkit.claims.model import ClaimBatch
    from claimkit.claims.store import ClaimStore, Merged
    from claimkit.stores import Store
    from claimkit.types import Json


__all__ = [
    "KNOWN_ON",
    "NIGHT",
    "SENSELESS",
    "Suite",
    "add",
    "everything",
    "plugin_property",
    "store_property",
]

KNOWN_ON = dt.date(2026, 4, 1)
UPLOAD = "upl_gaston"
NIGHT = dt.date(2026, 3, 20)

#: Examples share the store and never a tenant; suites are inherited on purpose.
store_property = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
#: The same for what has no store.
plugin_property = settings(store_property, max_examples=30)
#: Settings that nobody would mean: wrong types and unusable text.
SENSELESS: tuple[Json, ...] = (None, 417, True, "", "\r\n", "\x00", [], [[]], {}, {"x": 1})
_serial = itertools.count(1)


class Suite:
    """The fixtures that every suite has."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """Override: the store under test, empty, closed afterwards."""
        raise NotImplementedError("a conformance suite needs a fixture called 'store'")

    @pytest.fixture
    def make_tenant(self) -> Callable[[], TenantKey]:
        """Return what makes the key of a tenant that no test has used."""
        return lambda: TenantKey(f"tenant-{next(_serial)}")

    @pytest.fixture
    def tenant(self, make_tenant: Callable[[], TenantKey]) -> TenantKey:
        """Return one tenant for the test."""
        return make_tenant()


def add(store: ClaimStore, tenant: TenantKey, batch: ClaimBatch, **said: Any) -> Merged:
    """Add a batch as one upload on one day, unless said otherwise."""
    return store.add(tenant, batch, **{"upload": UPLOAD, "known_on": KNOWN_ON, **said})


def everything(store: ClaimStore, tenant: TenantKey) -> object:
    """Return all that a store says of a tenant's claims."""
    positions = [one for page in store.scan(tenant, batch_size=2) for one in page]
    return [
        store.totals(tenant),
        positions,
        [store.history(tenant, one.claim_key) for one in positions],
        [list(store.lines(tenant, one.claim_key)) for one in positions],
        [store.find(tenant, one.patient_control_number) for one in positions],
    ]
