from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.authorizations.forecast import Forecast
from claimkit.authorizations.model import Authorization
from claimkit.authorizations.review import WarningKind, review, steps

DAY = dt.date(2026, 1, 1)
END = dt.date(2026, 4, 30)
GIVEN = Authorization(
    number="A-417",
    payer="Aetna",
    procedure="97110",
    valid_from=DAY,
    valid_until=END,
    units_authorized=Decimal(24),
)
LASTS = Forecast(units_per_day=0.1, runs_out=0.0, earliest=None, likely=None, latest=None)
AT = steps((30, 14, 3), 14)


def before(days):
    return END - dt.timedelta(days=days)


@pytest.mark.parametrize(
    ("left", "step"), [(31, None), (30, 30), (15, 30), (14, 14), (3, 3), (1, 3), (0, 0)]
)
def test_the_nearest_step_of_the_end_is_said(left, step):
    told = review(GIVEN, LASTS, today=before(left), at_days=AT)

    assert [one.step for one in told] == ([] if step is None else [step])
    assert all(one.days_left == left and one.ends_on == END for one in told)


def test_a_slow_payer_is_asked_earlier():
    assert review(GIVEN, LASTS, today=before(45), at_days=AT) == ()
    (told,) = review(GIVEN, LASTS, today=before(45), at_days=steps((30, 14, 3), 45))

    assert (told.kind, told.step) == (WarningKind.EXPIRY, 45)


def test_units_are_warned_of_by_the_early_end():
    soon = replace(LASTS, earliest=dt.date(2026, 2, 10))
    (told,) = review(GIVEN, soon, today=dt.date(2026, 2, 1), at_days=AT)

    assert (told.kind, told.step, told.days_left) == (WarningKind.EXHAUSTION, 14, 9)
    assert told.basis == "24"


def test_units_that_outlast_the_period_need_no_warning():
    later = replace(LASTS, earliest=END + dt.timedelta(days=1))

    assert review(GIVEN, later, today=dt.date(2026, 2, 1), at_days=AT) == ()


def test_used_units_are_day_zero_and_a_forecast_never_is():
    today = dt.date(2026, 2, 1)
    now = replace(LASTS, earliest=today)
    used = replace(GIVEN, units_used=Decimal(25))

    assert [one.step for one in review(GIVEN, now, today=today, at_days=AT)] == [3]
    assert [one.step for one in review(used, now, today=today, at_days=AT)] == [0]


def test_what_is_over_is_warned_of_no_more():
    now = replace(LASTS, earliest=END)

    assert review(GIVEN, now, today=END + dt.timedelta(days=1), at_days=AT) == ()


@given(st.integers(0, 200), st.integers(0, 90))
def test_a_step_is_never_left_out_for_good(start, lead):
    """Whoever looks every day is told each step of the expiry once, in order."""
    at = steps((30, 14, 3), lead)
    told = [
        one.step
        for left in range(start, -1, -1)
        for one in review(GIVEN, LASTS, today=before(left), at_days=at)
        if before(left) >= DAY or one.kind is WarningKind.EXPIRY
    ]
    once = list(dict.fromkeys(told))

    assert once == sorted(once, reverse=True)
    assert once[-1] == 0
