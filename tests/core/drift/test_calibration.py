from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.drift.calibration import judge

DAY = dt.date(2026, 3, 1)
KIND = st.tuples(st.floats(0, 1), st.integers(1, 500), st.floats(0, 1))


def judged(kinds, average=0.1):
    said, claims, share = (np.array(one, float) for one in zip(*kinds, strict=True))
    denied = np.rint(claims * share)
    return judge(said, np.full(len(said), average), claims, denied, first=DAY, last=DAY)


@given(st.lists(KIND, min_size=1, max_size=60))
def test_the_parts_make_up_the_whole(kinds):
    found = judged(kinds)

    parts = found.reliability - found.resolution + found.uncertainty + found.within
    assert found.brier == pytest.approx(parts)
    assert 0 <= found.brier <= 1
    assert found.reliability >= 0
    assert found.resolution >= -1e-12
    assert sum(one.claims for one in found.bins) == found.claims
    assert sum(one.denied for one in found.bins) == found.denied
    assert len(found.bins) <= 10


def test_brier_is_that_of_scikit_learns_definition():
    said = np.array([0.1, 0.4, 0.9])
    outcomes = [(0.1, 0), (0.1, 1), (0.4, 0), (0.9, 1), (0.9, 1)]

    found = judge(said, said, np.array([2.0, 1, 2]), np.array([1.0, 0, 2]), first=DAY, last=DAY)

    assert found.brier == pytest.approx(np.mean([(one - two) ** 2 for one, two in outcomes]))


def test_what_is_always_right_has_no_error():
    found = judged([(0.0, 100, 0.0), (1.0, 50, 1.0)])

    assert found.brier == 0
    assert found.reliability == 0
    assert found.resolution == pytest.approx(found.uncertainty)
    assert found.skill == 1


def test_equal_probabilities_share_a_bin():
    found = judged([(0.2, 10, 0.1)] * 30)

    (one,) = found.bins
    assert (one.claims, one.predicted) == (300, pytest.approx(0.2))
    assert found.within == pytest.approx(0)
