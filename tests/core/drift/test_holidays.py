from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.drift.holidays import federal_holidays, is_federal_holiday
from claimkit.types import day_of

#: As observed, published by the Office of Personnel Management; the day after Thanksgiving is ours.
PUBLISHED = {
    2021: "2021-01-01 2021-01-18 2021-02-15 2021-05-31 2021-06-18 2021-07-05 2021-09-06 "
    "2021-10-11 2021-11-11 2021-11-25 2021-11-26 2021-12-24 2021-12-31",
    2022: "2022-01-17 2022-02-21 2022-05-30 2022-06-20 2022-07-04 2022-09-05 2022-10-10 "
    "2022-11-11 2022-11-24 2022-11-25 2022-12-26",
    2023: "2023-01-02 2023-01-16 2023-02-20 2023-05-29 2023-06-19 2023-07-04 2023-09-04 "
    "2023-10-09 2023-11-10 2023-11-23 2023-11-24 2023-12-25",
    2024: "2024-01-01 2024-01-15 2024-02-19 2024-05-27 2024-06-19 2024-07-04 2024-09-02 "
    "2024-10-14 2024-11-11 2024-11-28 2024-11-29 2024-12-25",
    2025: "2025-01-01 2025-01-20 2025-02-17 2025-05-26 2025-06-19 2025-07-04 2025-09-01 "
    "2025-10-13 2025-11-11 2025-11-27 2025-11-28 2025-12-25",
    2026: "2026-01-01 2026-01-19 2026-02-16 2026-05-25 2026-06-19 2026-07-03 2026-09-07 "
    "2026-10-12 2026-11-11 2026-11-26 2026-11-27 2026-12-25",
}


def days_of(year):
    first = dt.date(year, 1, 1)
    return [
        day
        for n in range(366)
        if (day := first + dt.timedelta(days=n)).year == year
    ]  # fmt: skip


@pytest.mark.parametrize("year", PUBLISHED)
def test_holidays_are_those_that_were_published(year):
    found = [one.isoformat() for one in days_of(year) if is_federal_holiday(day_of(one))]

    assert found == PUBLISHED[year].split()


@given(st.integers(1971, 2068))
def test_no_holiday_is_on_a_weekend_and_a_year_has_twelve(year):
    found = federal_holidays(year)

    assert len(found) == 12
    assert {one.weekday() for one in found} <= {0, 1, 2, 3, 4}
