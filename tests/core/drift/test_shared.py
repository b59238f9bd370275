from __future__ import annotations

import numpy as np
import pytest

from claimkit.drift.baseline import Dispersion
from claimkit.drift.shared import shared_change

PAYERS = 8


class QuietBaseline:
    """A baseline that is well known, without over-dispersion."""

    typical_payer = np.ones(PAYERS)
    typical_payer_reason = np.ones((PAYERS, 1))
    payer_denials = np.full(PAYERS, 1e6)
    payer_reasons = np.full((PAYERS, 1), 1e6)
    dispersion = Dispersion(
        payer=np.zeros(PAYERS),
        cell=np.zeros(PAYERS),
        payer_reason=np.zeros(PAYERS),
        cell_reason=np.zeros(PAYERS),
        week=(0.0, 0.0, 0.0, 0.0),
        month=(0.0, 0.0, 0.0, 0.0),
    )


def shared_of(observed):
    """All payers expect 400 denials, of one reason."""
    payers = len(observed)

    class Baseline(QuietBaseline):
        typical_payer = np.ones(payers)
        typical_payer_reason = np.ones((payers, 1))
        payer_denials = np.full(payers, 1e6)
        payer_reasons = np.full((payers, 1), 1e6)

    expected = np.full((1, payers, 2), 400.0)
    counts = np.repeat(np.asarray(observed, np.float64)[None, :, None], 2, axis=2)
    return shared_change(Baseline(), counts, expected, [28])


def test_nothing_shared_leaves_every_payer_as_it_is():
    made = shared_of([400.0] * PAYERS)

    assert made.ratio == pytest.approx(1.0)
    assert made.size == pytest.approx(0.0)


def test_what_all_share_is_taken_out_of_each():
    """A rise by a third at all of them: with a prior of 5 % alone a fifth of it would stay."""
    made = shared_of([532.0] * PAYERS)

    assert made.ratio == pytest.approx(1.33, abs=0.015)
    assert made.size[0] == pytest.approx(0.33)
    assert made.agreement == pytest.approx(1.0)


def test_one_payer_that_changed_does_not_pass_for_all():
    made = shared_of([900.0] + [400.0] * (PAYERS - 1))

    assert made.ratio[0, 0, 0] == pytest.approx(1.0)
    assert made.ratio[0, 1:, 0] == pytest.approx(1.0, abs=0.02)
    assert made.agreement[0, 0] < 0.5


def test_a_payer_does_not_correct_itself():
    alone = shared_of([532.0] * (PAYERS - 1) + [400.0])

    assert alone.ratio[0, -1, 0] > alone.ratio[0, 0, 0]


@pytest.mark.parametrize(("changed", "of"), [(2, 3), (3, 5)])
def test_what_few_share_is_taken_out_of_none_of_them(changed, of):
    made = shared_of([600.0] * changed + [400.0] * (of - changed))

    assert made.ratio == pytest.approx(1.0)
    assert made.agreement == pytest.approx(0.0)


@pytest.mark.parametrize(("changed", "of"), [(2, 2), (3, 3), (3, 4), (5, 7)])
def test_what_most_share_is_taken_out_of_each_of_them(changed, of):
    made = shared_of([600.0] * changed + [400.0] * (of - changed))

    assert made.ratio[0, :changed, 0] == pytest.approx(1.5, abs=0.15)
    assert made.agreement[0, 0] > 0.65


def test_a_single_payer_has_nobody_to_be_compared_with():
    class One(QuietBaseline):
        typical_payer = np.ones(1)
        typical_payer_reason = np.ones((1, 1))
        payer_denials = np.full(1, 1e6)
        payer_reasons = np.full((1, 1), 1e6)

    made = shared_change(One(), np.full((1, 1, 2), 90.0), np.full((1, 1, 2), 30.0), [7])

    assert made.ratio.tolist() == [[[1.0, 1.0]]]
    assert made.variance.tolist() == [[[0.0, 0.0]]]


def test_payers_that_all_move_another_way_make_each_of_them_uncertain():
    """Another mapping raises half of the payers and lowers the others: none of them stands out."""
    signs = np.where(np.arange(PAYERS) % 2, 1.0, -1.0)

    quiet, mixed = shared_of([400.0] * PAYERS), shared_of(400 + 120 * signs)

    assert mixed.ratio == pytest.approx(1.0, abs=0.06)
    assert (mixed.variance[..., 0] > quiet.variance[..., 0] + 0.15**2).all()


def test_two_payers_that_changed_leave_the_certainty_of_the_others():
    quiet, two = shared_of([400.0] * PAYERS), shared_of([800.0, 700.0] + [400.0] * (PAYERS - 2))

    assert two.variance[0, 2, 0] == pytest.approx(quiet.variance[0, 2, 0], abs=0.002)
