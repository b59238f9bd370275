"""Whatever the order and repetition of uploads, the cube says the same, and so do its findings."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from claimkit.drift.cube import TABLES
from claimkit.drift.watch import CubeUpkeep
from claimkit.events import Bus, ClaimsChanged
from claimkit.stores.memory import MemoryStore
from claimkit.testing.conformance.cube import same_cells
from claimkit.testing.strategies import batches
from claimkit.types import TenantKey, day_of

MARSH = TenantKey("marsh")
NIGHT = dt.date(2026, 4, 2)
NOON = dt.datetime(2026, 4, 2, 12, tzinfo=dt.UTC)


def cube_of(*uploads):
    """Return the cube tables after the uploads, each a batch that arrives on the same day."""
    store = MemoryStore()
    bus = Bus([CubeUpkeep(store.cube, dimensions=("facility",))])
    for name, batch in uploads:
        with bus.transaction(store.atomic()):
            merged = store.claims.add(MARSH, batch, upload=name, known_on=NIGHT)
            if merged.changes:
                bus.stage(
                    ClaimsChanged(
                        tenant=MARSH, at=NOON, changes=merged.changes, known_day=day_of(NIGHT)
                    )
                )
    return {name: store.cube.read(MARSH, table) for name, table in TABLES.items()}


def assert_same(one, other):
    assert [name for name in TABLES if not same_cells(one[name], other[name])] == []


@given(st.lists(batches(), min_size=1, max_size=4))
def test_uploads_that_come_again_change_nothing(uploaded):
    named = [(f"upl_{at}", batch) for at, batch in enumerate(uploaded)]

    assert_same(cube_of(*named, *named), cube_of(*named))


@given(st.lists(batches(), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_uploads_in_another_order_change_nothing(uploaded, random):
    named = [(f"upl_{at}", batch) for at, batch in enumerate(uploaded)]
    shuffled = list(named)
    random.shuffle(shuffled)

    assert_same(cube_of(*shuffled), cube_of(*named))
