from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.dates import (
    DateParser,
    OrderCount,
    count_date_orders,
    decide_day_first,
    is_serial_column,
)
from claimkit.claims.values import BadCell

DAYS = st.dates(dt.date(1970, 1, 1), dt.date(2069, 12, 31))


@given(DAYS, st.sampled_from(["/", "-", "."]), st.booleans())
def test_either_order_comes_back_once_it_is_decided(day, mark, day_first):
    order = "%d{0}%m{0}%Y" if day_first else "%m{0}%d{0}%Y"

    assert DateParser(day_first=day_first)(format(day, order.format(mark))) == day


@given(st.dates(dt.date(1970, 1, 1), dt.date(2064, 4, 7)), st.sampled_from(["", ".0", ".75"]))
def test_a_serial_is_the_day_that_excel_shows(day, part):
    serial = (day - dt.date(1899, 12, 30)).days

    assert DateParser(serials=True)(f"{serial}{part}") == day


def test_excels_serials_count_from_its_own_calendar():
    """Fixed points of Excel's 1900 system, which has a 29 February 1900 that never was."""
    assert DateParser(serials=True)("45659") == dt.date(2025, 1, 2)
    assert DateParser(serials=True)("25569") == dt.date(1970, 1, 1)


@pytest.mark.parametrize("text", ["45659", "1", "60000"])
def test_a_bare_number_is_no_date_unless_the_column_says_so(text):
    with pytest.raises(BadCell, match="not a date"):
        DateParser()(text)


@pytest.mark.parametrize(
    ("text", "year"), [("1/2/69", 2069), ("1/2/70", 1970), ("1/2/00", 2000), ("2-Jan-99", 1999)]
)
def test_two_digits_of_a_year_turn_at_seventy(text, year):
    assert DateParser()(text) == dt.date(year, 1, 2)


@given(DAYS, st.times(), st.sampled_from(["", "Z", " UTC", "-08:00", "+0530", " EST"]))
def test_a_time_of_day_never_moves_the_day(day, time, zone):
    for between in ("T", " "):
        assert DateParser()(f"{day.isoformat()}{between}{time:%H:%M:%S}{zone}") == day


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2025-13-01", "date_impossible"), ("02/29/2025", "date_impossible"),
        ("31/12/2025", "date_order"), ("1969-12-31", "date_out_of_range"),
        ("2070-01-01", "date_out_of_range"), ("0001-01-01", "date_out_of_range"),
        ("Foo 3, 2025", "date_invalid"), ("2025", "date_invalid"), ("1/2/3/4", "date_invalid"),
        ("12:30", "date_invalid"),
    ],
)  # fmt: skip
def test_what_is_no_day_says_why(text, code):
    with pytest.raises(BadCell) as bad:
        DateParser()(text)

    assert bad.value.code == code
    assert text not in bad.value.message


def test_an_order_that_does_not_fit_names_the_order_of_the_column():
    with pytest.raises(BadCell, match="read as day/month/year"):
        DateParser(day_first=True)("12/31/2025")


@pytest.mark.parametrize(
    ("cells", "serial"),
    [
        (["45659", "", "45660.5"], True), (["45659", "2025-01-02"], False), (["", " "], False),
        ([], False), (["20250102"], True), (["٤٥٦٥٩"], False),
    ],
)  # fmt: skip
def test_a_column_of_numbers_alone_may_hold_serials(cells, serial):
    assert is_serial_column(cells) is serial


def test_days_of_eight_digits_stay_days_in_a_column_of_numbers():
    assert DateParser(serials=True)("20250102") == dt.date(2025, 1, 2)


@given(st.lists(DAYS, max_size=30))
def test_the_evidence_for_an_order_is_counted(days):
    found = count_date_orders([f"{day:%m/%d/%Y}" for day in days])

    assert found == OrderCount(
        day_first=0,
        month_first=sum(day.day > 12 for day in days),
        either=sum(day.day <= 12 for day in days),
    )


@pytest.mark.parametrize(
    ("own", "others", "day_first"),
    [
        (OrderCount(day_first=3), [], True), (OrderCount(day_first=2), [], False),
        (OrderCount(day_first=3, month_first=3), [], False),
        (OrderCount(day_first=4, month_first=3), [], True),
        (OrderCount(either=9), [OrderCount(day_first=3)], True),
        (OrderCount(either=9), [OrderCount(day_first=3), OrderCount(month_first=5)], False),
        (OrderCount(month_first=1), [OrderCount(day_first=90)], False), (OrderCount(), [], False),
    ],
)  # fmt: skip
def test_a_column_is_day_first_only_on_good_evidence(own, others, day_first):
    assert decide_day_first(own, others) is day_first
