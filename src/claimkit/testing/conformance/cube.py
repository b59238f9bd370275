"""What every store of cubes must do."""

# ruff: noqa: D102, PT012 - the name of a test is its docstring, and transactions are blocks

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.drift.cube import DECISIONS, TABLES, Cells, as_known
from claimkit.stores.memory import MemoryStore
from claimkit.testing.strategies import cells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from claimkit.drift.cube import CubeTable
    from claimkit.stores import Store
    from claimkit.types import TenantKey


from claimkit.testing.conformance.suite import Suite, store_property

__all__ = ["CubeStoreConformance", "one_cell", "same_cells"]


def same_cells(one: Cells, other: Cells) -> bool:
    """Whether two reads gave the same arrays in the same order."""
    return (
        list(one.names) == list(other.names)
        and all(tuple(one.names[axis]) == tuple(other.names[axis]) for axis in one.names)
        and all(
            list(its) == list(others)
            and all(np.array_equal(its[axis], others[axis]) for axis in its)
            for its, others in (
                (one.labels, other.labels),
                (one.numbers, other.numbers),
                (one.measures, other.measures),
            )
        )
    )


def one_cell(*, claims: int = 1, known_day: int = 3, day: int = 2, payer: str = "M") -> Cells:
    """Return one row of the decisions table."""
    return Cells.from_columns(
        DECISIONS,
        labels={**{axis: ["paid"] for axis in DECISIONS.labels}, "payer": [payer]},
        numbers={
            **{axis: [9] for axis in DECISIONS.numbers},
            DECISIONS.day: [day],
            "known_day": [known_day],
        },
        measures={measure: [claims] for measure in DECISIONS.measures},
    )


class CubeStoreConformance(Suite):
    """What a :class:`~claimkit.drift.cube.CubeStore` must do."""

    @pytest.fixture
    def cube_tables(self) -> Sequence[CubeTable]:
        """Return the cube tables to try."""
        return list(TABLES.values())

    @store_property
    @given(
        data=st.data(),
        since=st.none() | st.integers(-1, 3),
        until=st.none() | st.integers(-1, 4),
        known_by=st.none() | st.integers(-1, 3),
    )
    def test_same_deltas_give_the_same_cells(
        self,
        store: Store,
        make_tenant: Callable[[], TenantKey],
        cube_tables: Sequence[CubeTable],
        data: st.DataObject,
        since: int | None,
        until: int | None,
        known_by: int | None,
    ) -> None:
        tenant, oracle = make_tenant(), MemoryStore()
        table = data.draw(st.sampled_from(cube_tables))
        for posted in data.draw(st.lists(cells(table), max_size=4)):
            store.cube.post(tenant, posted)
            oracle.cube.post(tenant, posted)

        window: dict[str, Any] = {"since": since, "until": until, "known_by": known_by}
        found = store.cube.read(tenant, table, **window)
        apart = store.cube.read(tenant, table, **window, by_known_day=True)

        assert same_cells(found, oracle.cube.read(tenant, table, **window))
        assert same_cells(apart, oracle.cube.read(tenant, table, **window, by_known_day=True))

    def test_deltas_tell_what_was_known_on_any_night(self, store: Store, tenant: TenantKey) -> None:
        for known_day, claims in ((3, 4), (5, -1), (9, 8)):
            store.cube.post(tenant, one_cell(claims=claims, known_day=known_day))

        deltas = store.cube.read(tenant, DECISIONS, by_known_day=True)

        assert deltas.numbers["known_day"].tolist() == [3, 5, 9]
        for night in range(2, 11):
            assert same_cells(
                as_known(deltas, by=night), store.cube.read(tenant, DECISIONS, known_by=night)
            )

    def test_an_unknown_tenant_has_no_cells(self, store: Store, tenant: TenantKey) -> None:
        assert len(store.cube.read(tenant, DECISIONS)) == 0

    def test_a_delta_and_its_reverse_leave_nothing(self, store: Store, tenant: TenantKey) -> None:
        store.cube.post(tenant, one_cell(claims=3, known_day=3))
        store.cube.post(tenant, one_cell(claims=-3, known_day=7))

        assert len(store.cube.read(tenant, DECISIONS)) == 0
        assert store.cube.read(tenant, DECISIONS, known_by=6).measures["claims"].tolist() == [3]

    def test_reads_the_days_of_a_half_open_window(self, store: Store, tenant: TenantKey) -> None:
        for day in (1, 2, 3):
            store.cube.post(tenant, one_cell(day=day))

        found = store.cube.read(tenant, DECISIONS, since=1, until=3)

        assert found.numbers[DECISIONS.day].tolist() == [1, 2]

    def test_forgets_one_tenant_only(
        self, store: Store, make_tenant: Callable[[], TenantKey]
    ) -> None:
        ours, theirs = make_tenant(), make_tenant()
        store.cube.post(ours, one_cell(payer="OURS"))
        store.cube.post(theirs, one_cell(payer="THEIRS"))

        store.cube.clear(ours)

        assert len(store.cube.read(ours, DECISIONS)) == 0
        assert list(store.cube.read(theirs, DECISIONS).names["payer"]) == ["THEIRS"]
