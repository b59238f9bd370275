"""Batches without the search for cycles, which is back whatever happens."""

from __future__ import annotations

import gc

import pytest

from claimkit.batches import without_cycles


@pytest.fixture(autouse=True)
def _searching():
    yield
    gc.enable()


def test_nothing_is_searched_for_while_a_batch_is_worked_on():
    seen = [gc.isenabled() for _ in without_cycles([1, 2, 3])]

    assert seen == [False, False, False]
    assert gc.isenabled()


def test_cycles_do_not_pile_up():
    class Cycle:
        def __init__(self):
            self.me = self

    most = 0
    for _ in without_cycles(range(50)):
        Cycle()
        most = max(most, sum(isinstance(one, Cycle) for one in gc.get_objects()))

    assert 1 <= most <= 10


def test_an_error_and_a_reader_that_leaves_bring_the_search_back():
    def broken():
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(without_cycles(broken()))
    assert gc.isenabled()

    batches = without_cycles([1, 2])
    next(batches)
    batches.close()
    assert gc.isenabled()


def test_a_host_without_the_search_stays_without():
    gc.disable()

    assert list(without_cycles([1])) == [1]
    assert not gc.isenabled()
