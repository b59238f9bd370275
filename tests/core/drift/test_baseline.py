"""How much denials vary by chance, and how much more."""

from __future__ import annotations

import numpy as np

from claimkit.drift.baseline import Span, fit_baseline
from claimkit.drift.history import make_history
from claimkit.types import day_of


def test_batches_are_told_from_chance_where_much_is_denied(make_world):
    """Two fifths are denied: coin tosses vary by three fifths of what rare events would."""
    world = make_world(seed=63, per_day=250)
    c = world.columns
    payers, days = int(c["payer"].max()) + 1, int(c["decided"].max()) + 1
    luck = np.random.default_rng(64).normal(1, 0.15, (payers, days))
    c["rate"] = np.clip(0.4 * luck[c["payer"], c["decided"]], 0, 1)

    history = make_history(world.cube(), as_of=day_of(world.last))
    baseline = fit_baseline(history, Span(60, 340, 380))

    assert np.median(baseline.dispersion.payer) > 0.6 * 0.15**2
    assert np.median(baseline.dispersion.payer) < 1.4 * 0.15**2
    # φ of a typical day, from its variance of chance: 1 + s² E / (1 − p).
    size = baseline.claims.sum() / payers / 280 * 0.4
    assert baseline.typical_payer.mean() > 1 + 0.5 * 0.15**2 * size / 0.6
