"""A paired 837P and 835, told apart from any parser by counting segments: see PAIRS in the test."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from claimkit.claims.intake import import_claims
from claimkit.claims.model import Outcome
from claimkit.events import Bus
from claimkit.plugins import load_plugins
from claimkit.stores.memory import MemoryStore
from claimkit.stores.sqlite import SqliteStore
from claimkit.types import SystemClock, TenantKey

NORTHSIDE = TenantKey("northside")
SAMPLES = Path(__file__).parent.parent / "samples" / "x12"
FILES = ("pairp.837p", "pairp.835")


@pytest.fixture(scope="module")
def plugins():
    plugins = load_plugins()
    if "x12" not in plugins.readers:
        pytest.skip("claimkit-x12 is not installed")
    return plugins


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request, tmp_path):
    opened = []

    def open_store():
        sqlite = request.param == "sqlite"
        opened.append(SqliteStore(tmp_path / f"{len(opened)}.db") if sqlite else MemoryStore())
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


def take(store, plugins, name, known_on=dt.date(2025, 6, 13)):
    with (SAMPLES / name).open("rb") as stream:
        return import_claims(
            stream,
            name=name,
            tenant=NORTHSIDE,
            store=store,
            plugins=plugins,
            bus=Bus([]),
            clock=SystemClock(),
            patient_key=b"for this test only",
            upload=name,
            known_on=known_on,
        )


def positions(store):
    return [
        replace(one, upload="", position=0) for page in store.claims.scan(NORTHSIDE) for one in page
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(FILES)))
def test_a_pair_joins_in_either_order(open_store, plugins, order):
    store = open_store()
    for name in order:
        take(store, plugins, name)

    totals = store.claims.totals(NORTHSIDE)
    found = positions(store)

    assert (totals.claims, totals.joined, totals.pending) == (60, 53, 7)
    assert (totals.reversals, totals.denied, totals.paid) == (2, 4, 816_104)
    assert sum(one.outcome is Outcome.REVERSED for one in found) == 2
    assert sum(one.frequency == "7" for one in found) == 5
    # Replacements and voids among the sixty, decided or not.
    assert sum(not one.first_pass for one in found) == 7


def test_the_order_of_a_pair_does_not_matter(open_store, plugins):
    found = []
    for order in itertools.permutations(FILES):
        store = open_store()
        for name in order:
            take(store, plugins, name)
        found.append(positions(store))

    assert found[0] == found[1]


def test_importing_a_pair_again_changes_nothing(open_store, plugins):
    store = open_store()
    for name in FILES:
        take(store, plugins, name)
    before = [one for page in store.claims.scan(NORTHSIDE) for one in page]

    again = [take(store, plugins, name, dt.date(2025, 6, 14)).added for name in FILES]

    assert [(one.new, one.changed) for one in again] == [(0, 0), (0, 0)]
    assert [one.statements_same for one in again] == [60, 53]
    assert [one for page in store.claims.scan(NORTHSIDE) for one in page] == before
