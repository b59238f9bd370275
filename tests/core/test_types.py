from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.errors import InvalidMoney, InvalidWindow
from claimkit.types import DateWindow, SystemClock, date_of, day_of, from_cents, to_cents


@given(st.integers(-(10**15), 10**15))
def test_cents_survive_the_way_to_dollars_and_back(cents):
    assert to_cents(from_cents(cents)) == cents
    assert to_cents(str(from_cents(cents))) == cents


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "twelve", "", "1.005", "1e-3"])
def test_what_is_not_exact_money_is_refused(text):
    with pytest.raises(InvalidMoney):
        to_cents(text)


def test_an_amount_too_large_for_a_number_of_cents_is_still_exact():
    assert to_cents("12345678901234567890.12") == 1_234_567_890_123_456_789_012


def test_dollars_always_show_two_decimals():
    assert str(from_cents(-5)) == "-0.05"
    assert from_cents(100) == Decimal("1.00")
    assert str(from_cents(100)) == "1.00"


@given(st.dates())
def test_days_and_dates_are_inverse(date):
    assert date_of(day_of(date)) == date


def test_the_first_day_is_zero():
    assert day_of(dt.date(1970, 1, 1)) == 0


def test_a_window_holds_its_start_and_not_its_end():
    window = DateWindow(dt.date(2026, 2, 27), dt.date(2026, 3, 2))

    assert window.days == 3
    assert list(window) == [dt.date(2026, 2, 27), dt.date(2026, 2, 28), dt.date(2026, 3, 1)]
    assert dt.date(2026, 2, 27) in window
    assert dt.date(2026, 3, 2) not in window


def test_a_window_must_not_be_empty():
    with pytest.raises(InvalidWindow):
        DateWindow(dt.date(2026, 3, 2), dt.date(2026, 3, 2))


def test_the_system_clock_is_aware():
    assert SystemClock().now().utcoffset() == dt.timedelta(0)
