from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from scipy.optimize import minimize_scalar

from claimkit.drift.statistics import (
    batch_slope,
    beta_quantile,
    concentration,
    cumulate,
    log_choose,
    poisson_gain,
    poisson_loss,
    prior_strength,
    signed_root,
    slow_variance,
    tail_root,
    threshold,
    trials,
)

ONE = np.ones(1)


@given(
    n=st.integers(5, 5_000),
    observed=st.floats(0, 1),
    expected=st.floats(0.001, 0.99),
    scale=st.floats(1, 9),
)
def test_signed_root_is_the_root_of_scipys_binomial_deviance(n, observed, expected, scale):
    o = math.floor(observed * n)
    e = expected * n
    deviance = 2 * (
        stats.binom.logpmf(o, n, o / n) - stats.binom.logpmf(o, n, e / n)
        if 0 < o < n
        else -stats.binom.logpmf(o, n, e / n)
    )
    wanted = math.copysign(math.sqrt(max(deviance, 0) / scale), o - e)

    made = signed_root(ONE * o, ONE * e, ONE * n, ONE * scale)[0]

    assert made == pytest.approx(wanted if o != e else 0.0, rel=1e-6, abs=1e-4)


def test_signed_root_is_normal_far_into_the_tail():
    """Exact binomial tail against the normal one at its score: Pearson's z is off by far more."""
    n, p = 2_000, 0.1
    count = np.arange(230, 270)
    z = signed_root(count - 0.5, np.full(40, n * p), np.full(40, float(n)), np.ones(40))
    exact = stats.binom.sf(count - 1, n, p)

    ratio = stats.norm.sf(z) / exact

    assert ratio.min() > 0.8
    assert ratio.max() < 1.25


@given(st.lists(st.floats(0, 500), min_size=1, max_size=5), st.floats(0.1, 500))
def test_poisson_gain_is_scipys_log_likelihood_ratio(observed, expected):
    counts = np.floor(np.array(observed))
    usual = np.full(len(counts), expected)
    ratio = stats.poisson.logpmf(counts, np.maximum(counts, 1e-12)) - stats.poisson.logpmf(
        counts, usual
    )

    np.testing.assert_allclose(
        poisson_gain(counts, usual), np.where(counts > usual, ratio, 0.0), rtol=1e-6, atol=1e-6
    )


@given(st.integers(0, 500), st.floats(0.1, 500))
def test_poisson_loss_is_half_of_the_deviance_below_what_is_expected(observed, expected):
    ratio = stats.poisson.logpmf(observed, max(observed, 1e-12)) - stats.poisson.logpmf(
        observed, expected
    )
    want = ratio if observed < expected else 0.0

    np.testing.assert_allclose(poisson_loss(float(observed), expected), want, rtol=1e-6, atol=1e-6)


@given(st.integers(1, 10_000), st.floats(0, 1e-9))
def test_poisson_loss_has_a_root_however_close_the_count_is(observed, share):
    assert poisson_loss(float(observed), observed * (1 + share)) >= 0


def test_threshold_grows_with_the_streams_and_shrinks_with_the_budget():
    assert threshold(1e-3) < threshold(1e-4) < threshold(1e-6)
    assert threshold(0) <= 12.0
    # The crossing rate at the threshold is the rate asked for.
    h = threshold(1e-5)
    assert -2.94311095 + 1.23814638 * math.log(h) - h * h / 2 == pytest.approx(math.log(1e-5))


def test_threshold_is_what_random_walks_cross():
    """Monte Carlo over 20,000 days of 40 streams: new crossings of h = 3.5 a day."""
    rng = np.random.default_rng(5)
    days, streams = 20_000, 40
    path = np.concatenate(
        [np.zeros((streams, 1)), rng.standard_normal((streams, days)).cumsum(1)], axis=1
    )
    best = np.full((streams, days - 55), -9.0)
    for k in (3, 5, 7, 10, 14, 21, 28, 42, 56):
        z = (path[:, 56:] - path[:, 56 - k : days + 1 - k]) / math.sqrt(k)
        best = np.maximum(best, z)
    above = best > 3.5
    fresh = 0
    for stream in above:
        last = -(10**9)
        for day in np.flatnonzero(stream):
            fresh += day - last > 28
            last = day
    rate = fresh / best.size
    wanted = math.exp(-2.94311095 + 1.23814638 * math.log(3.5) - 3.5**2 / 2)

    assert rate == pytest.approx(wanted, rel=0.25)


def test_batch_slope_finds_the_variance_of_batches():
    rng = np.random.default_rng(7)
    mean = rng.uniform(20, 60, (2, 4_000))
    luck = rng.gamma(1 / 0.04, 0.04, mean.shape)
    luck[1] = 1.0
    counts = rng.poisson(mean * luck)

    slope = batch_slope((counts - mean) ** 2, mean, np.arange(2), 2)

    # So many days tell one from the other.
    assert slope[0] == pytest.approx(0.04, rel=0.15)
    assert slope[1] == pytest.approx(0.0, abs=0.002)


def test_batch_slope_of_owners_that_are_alike_is_that_of_all():
    """Sixty days of one owner tell little: sixteen alike ones are told apart by chance only."""
    rng = np.random.default_rng(11)
    mean = rng.uniform(5, 20, (16, 120))
    counts = rng.poisson(mean * rng.gamma(1 / 0.02, 0.02, mean.shape))

    slope = batch_slope((counts - mean) ** 2, mean, np.arange(16), 16)

    assert slope == pytest.approx(np.full(16, 0.02), rel=0.5)
    assert slope.std() < 0.004


def test_batch_slope_knows_chance_and_luck_apart():
    """Binomial counts: the variance of chance is less than what luck multiplies."""
    rng = np.random.default_rng(12)
    claims, usual = 100, 0.2
    chance = usual * rng.gamma(1 / 0.02, 0.02, (1, 20_000))
    counts = rng.binomial(claims, np.minimum(chance, 1))
    due = np.full(chance.shape, claims * usual)
    variance = due * (1 - usual)

    slope = batch_slope((counts - due) ** 2, variance, np.zeros(1, np.int64), 1, size=due)

    # n² var(p) of a binomial with random p is (1 − 1/n) of n² var(p) more than n p (1 − p).
    assert slope[0] == pytest.approx(0.02, rel=0.1)


def test_batch_slope_withstands_one_disaster():
    rng = np.random.default_rng(8)
    mean = np.full((1, 200), 30.0)
    counts = rng.poisson(mean).astype(float)
    counts[0, 17] = 600

    slope = batch_slope((counts - mean) ** 2, mean, np.zeros(1, np.int64), 1)

    assert slope[0] < 0.01


def test_slow_variance_is_that_of_a_factor_shared_by_a_block():
    """Days with mean 20; a week's factor has a standard deviation of 15 %."""
    rng = np.random.default_rng(9)
    expected = np.full((6, 364), 20.0)
    independent = expected + rng.normal(0, math.sqrt(20), expected.shape)
    factor = np.repeat(rng.normal(1, 0.15, (6, 52)), 7, axis=1)
    wobbling = independent + expected * (factor - 1)

    def fitted(observed, days=7):
        return slow_variance(observed - expected, expected, expected, days)

    assert fitted(independent) == pytest.approx(0.0, abs=0.002)
    assert fitted(wobbling) == pytest.approx(0.15**2, rel=0.4)
    assert fitted(wobbling, days=28) < fitted(wobbling)
    assert fitted(20 * wobbling) == 0.09
    assert slow_variance(expected[:, :5], expected[:, :5], expected[:, :5], 7) == 0.0
    assert slow_variance(np.zeros((1, 14)), np.zeros((1, 14)), np.zeros((1, 14)), 7) == 0.0


def test_signed_root_with_an_uncertain_expectation_is_that_of_the_negative_binomial():
    """Scipy's log likelihoods at E and at the observed mean; many claims, so the rest is Poisson."""
    observed, expected, shape = 9.0, 2.5, 4.0

    def log_likelihood(mean):
        return stats.nbinom.logpmf(observed, shape, shape / (shape + mean))

    root = math.sqrt(2 * (log_likelihood(observed) - log_likelihood(expected)))
    made = signed_root(ONE * observed, ONE * expected, ONE * 1e7, ONE, ONE / shape)[0]

    assert made == pytest.approx(root, rel=1e-3)


@given(
    claims=st.integers(1, 400),
    share=st.floats(0.001, 0.9),
    observed=st.floats(0, 1),
    spread=st.floats(0.001, 2),
)
def test_signed_root_with_an_uncertain_expectation_is_a_profile_over_what_it_may_be(
    claims, share, observed, spread
):
    """The least sum of the deviance around a rate and the prior's deviance at that rate."""
    seen = math.floor(observed * claims)
    weight = (1 - share) / (spread * share)

    def deviance(rate):
        of_prior = special.rel_entr(share, rate) + special.rel_entr(1 - share, 1 - rate)
        of_count = special.rel_entr(seen / claims, rate)
        of_count += special.rel_entr(1 - seen / claims, 1 - rate)
        return 2 * (weight * of_prior + claims * of_count)

    between = sorted((share, seen / claims + 1e-12))
    found = minimize_scalar(deviance, bounds=between, method="bounded", options={"xatol": 1e-13})

    made = signed_root(ONE * seen, ONE * claims * share, ONE * claims, ONE, ONE * spread)[0]

    assert abs(made) == pytest.approx(math.sqrt(max(found.fun, 0)), rel=1e-3, abs=1e-3)


@given(
    claims=st.integers(3, 500),
    share=st.floats(0.002, 0.3),
    spread=st.floats(0.001, 0.5),
    rare=st.floats(3.1, 6),
)
def test_tail_root_has_the_tail_of_the_beta_binomial(claims, share, spread, rare):
    """Scipy's exact one, up to all of the claims: never more of a wonder than it is."""
    weight = (1 - share) / (spread * share)
    chance = stats.betabinom.pmf(
        np.arange(claims + 1), claims, weight * share, weight - weight * share
    )
    tail = chance[::-1].cumsum()[::-1]
    count = min(max(3, int(np.argmax(tail < stats.norm.sf(rare)))), claims)
    wanted = stats.norm.isf(tail[count])

    made = tail_root(ONE * count, ONE * claims * share, ONE * claims, ONE, ONE * spread)[0]

    if wanted > 3:
        assert made < wanted + 0.03
        # Conservative where most claims are denied at one stroke, which is rare.
        assert made > wanted - (0.1 if count < claims / 5 else 0.6)


@given(observed=st.floats(0, 200), expected=st.floats(0.01, 200), spread=st.floats(0, 2))
def test_an_uncertain_expectation_never_raises_a_score(observed, expected, spread):
    sure = signed_root(ONE * observed, ONE * expected, ONE * 1e4, ONE)[0]
    unsure = signed_root(ONE * observed, ONE * expected, ONE * 1e4, ONE, ONE * spread)[0]

    assert abs(unsure) <= abs(sure) + 1e-6
    assert np.sign(unsure) in (np.sign(sure), 0.0)


def test_trials_are_never_more_than_gaussian_ones_and_grow_with_events():
    part = trials(np.array([0.0, 0.2, 1.0, 10.0, 1e6]))

    assert (np.diff(part) > 0).all()
    assert part[0] == 0.0
    assert part[-1] == 0.8


def test_concentration_is_found_again():
    rng = np.random.default_rng(4)
    shares = np.array([0.5, 0.3, 0.2])
    counts = np.array(
        [rng.multinomial(400, rng.dirichlet(60 * shares)) for _ in range(200)], np.float64
    )

    assert concentration(counts, shares) == pytest.approx(60, rel=0.25)
    assert concentration(np.zeros((3, 3)), shares) == 5.0
    assert concentration(counts[:, :1], shares[:1]) == 5.0


def test_log_choose_is_the_log_of_the_binomial_coefficient():
    np.testing.assert_allclose(
        log_choose(12), np.log([special.comb(12, m) for m in range(1, 13)]), atol=1e-9
    )


def test_cumulate_starts_at_zero():
    assert cumulate(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist() == [[0, 1, 3], [0, 3, 7]]


def test_quantiles_of_beta_are_those_of_scipy():
    rng = np.random.default_rng(20260401)
    first, second = np.exp(rng.uniform(-3, 10, (2, 300)))

    for level in (0.025, 0.05, 0.5, 0.95):
        found = beta_quantile(level, first, second)

        np.testing.assert_allclose(found, stats.beta.ppf(level, first, second), atol=1e-8)


@pytest.mark.parametrize("strength", [8, 40, 300])
def test_the_strength_of_a_prior_is_found_again(strength):
    rng = np.random.default_rng([20260402, strength])
    shares = rng.uniform(0.05, 0.4, 6000)
    size = rng.integers(1, 400, 6000)
    bad = rng.binomial(size, rng.beta(strength * shares, strength * (1 - shares)))

    found = prior_strength(bad.astype(float), size.astype(float), shares)

    assert found == pytest.approx(strength, rel=0.12)


def test_the_likelihood_of_a_prior_is_scipys_beta_binomial():
    bad, size, shares = np.array([3.0, 0, 9]), np.array([10.0, 5, 12]), np.array([0.1, 0.2, 0.3])
    best = minimize_scalar(
        lambda k: (
            -stats.betabinom.logpmf(bad, size, np.exp(k) * shares, np.exp(k) * (1 - shares)).sum()
        ),
        bounds=(np.log(2), np.log(2000)),
        method="bounded",
    )

    assert prior_strength(bad, size, shares) == pytest.approx(np.exp(best.x), rel=0.01)
