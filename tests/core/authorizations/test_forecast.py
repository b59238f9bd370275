from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from claimkit.authorizations.forecast import HORIZON_DAYS, PRIOR_DAYS, forecast, tail
from claimkit.authorizations.model import Authorization, AuthorizationState, Usage
from claimkit.errors import AuthorizationInvalid, ConfigError

DAY = dt.date(2026, 1, 1)


def given_units(units=24, used=0, days=120, **values):
    return Authorization(
        **{
            "number": "A-417",
            "payer": "Aetna",
            "procedure": "97110",
            "valid_from": DAY,
            "valid_until": DAY + dt.timedelta(days=days - 1),
            "units_authorized": Decimal(units),
            "units_used": Decimal(used),
            **values,
        }
    )


def singles(count):
    return Usage(visits=count, units=Decimal(count), squares=Decimal(count))


def on(day):
    return DAY + dt.timedelta(days=day)


@given(
    st.floats(0.05, 500),
    st.floats(0.5, 1_000),
    st.integers(1, 400),
    st.floats(0.0, 2_000),
)
def test_the_tail_is_that_of_scipys_beta_prime(shape, rate, count, days):
    """The time of the k-th event of a gamma-mixed Poisson process is a scaled beta prime."""
    told = tail(days, shape=shape, rate=rate, count=count)

    assert told == pytest.approx(stats.betaprime.sf(days / rate, count, shape), abs=1e-9)


@given(st.integers(0, 60), st.integers(1, 100), st.integers(1, 119))
def test_the_interval_is_in_order_and_in_the_future(used, units, day):
    told = forecast(given_units(units, used), singles(used), seen_until=on(day), today=on(day))
    known = [one or dt.date.max for one in (told.earliest, told.likely, told.latest)]

    assert known == sorted(known)
    assert known[0] >= on(day)
    assert 0 <= told.runs_out <= 1
    assert told.units_per_day > 0


@given(st.integers(1, 30), st.integers(20, 100))
def test_who_uses_more_runs_out_no_later(used, day):
    slow, fast = (
        forecast(given_units(64, one), singles(one), seen_until=on(day), today=on(day))
        for one in (used, used + 1)
    )

    assert (fast.likely or dt.date.max) <= (slow.likely or dt.date.max)
    # Where both are nothing at all, what is left is rounding.
    assert fast.runs_out >= slow.runs_out - 1e-12


def test_the_interval_covers_what_it_says():
    """Where rates come from the prior, four of five units run out within an interval of 80 %."""
    import numpy as np

    random = np.random.default_rng(417)
    units, days, seen = 24, 120, 60
    planned = units / days * PRIOR_DAYS
    inside = tried = 0
    while tried < 400:
        rate = random.gamma(planned, 1 / PRIOR_DAYS)
        used = int(random.poisson(rate * seen))
        if used >= units:
            continue
        tried += 1
        told = forecast(
            given_units(units, used), singles(used), seen_until=on(seen - 1), today=on(seen - 1)
        )
        ended = random.gamma(units - used, 1 / rate)
        early = (told.earliest - on(seen - 1)).days - 1
        late = (told.latest - on(seen - 1)).days if told.latest else HORIZON_DAYS * 1e9
        inside += early <= ended <= late

    # 400 tries of 0.8 have a standard deviation of 2 points; whole days widen it a little.
    assert 0.76 <= inside / tried <= 0.88


def test_visits_of_many_units_widen_the_interval():
    plain = forecast(given_units(64, 32), singles(32), seen_until=on(59), today=on(59))
    lumps = Usage(visits=4, units=Decimal(32), squares=Decimal(256))
    coarse = forecast(given_units(64, 32), lumps, seen_until=on(59), today=on(59))

    assert coarse.latest > plain.latest
    assert coarse.units_per_day == pytest.approx(plain.units_per_day)


def test_without_any_service_the_plan_is_expected():
    told = forecast(given_units(24, 0), Usage(), seen_until=on(-1), today=DAY)

    assert told.units_per_day == pytest.approx(24 / 120)
    assert told.earliest < on(119)


def test_nothing_left_ends_today():
    told = forecast(given_units(24, 30), singles(30), seen_until=on(40), today=on(40))

    assert (told.earliest, told.latest, told.runs_out) == (on(40), on(40), 1.0)


def test_what_nobody_uses_does_not_run_out():
    given = given_units(5_000, 1, days=1_000)
    told = forecast(given, singles(1), seen_until=on(999), today=on(999))

    assert told.latest is None
    assert told.runs_out < 1e-9


@pytest.mark.parametrize("interval", [0, 1, -0.1, 2])
def test_an_interval_has_a_probability(interval):
    with pytest.raises(ConfigError):
        forecast(given_units(), Usage(), seen_until=DAY, today=DAY, interval=interval)


@pytest.mark.parametrize(
    "values",
    [
        {"valid_until": on(-1)},
        {"units_authorized": Decimal(0)},
        {"units_authorized": Decimal(100_001)},
        {"units_used": Decimal(-1)},
    ],
)
def test_an_authorization_that_nobody_gave_is_refused(values):
    with pytest.raises(AuthorizationInvalid):
        given_units(**values)


def test_states():
    assert given_units().state(on(-1)) is AuthorizationState.UPCOMING
    assert given_units().state(on(0)) is AuthorizationState.ACTIVE
    assert given_units().state(on(119)) is AuthorizationState.ACTIVE
    assert given_units().state(on(120)) is AuthorizationState.EXPIRED
    assert given_units(24, 24).state(on(5)) is AuthorizationState.EXHAUSTED
    assert given_units(24, 25).units_left == -1
