"""Periods follow each other without a gap, and reports are due when the clock on the wall says so."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.errors import ConfigError, InvalidWindow
from claimkit.reports.periods import (
    Calendar,
    Period,
    PeriodKind,
    missed,
    period_before,
    period_of,
)

KINDS = [PeriodKind.WEEKLY, PeriodKind.MONTHLY, PeriodKind.QUARTERLY]
days = st.dates(dt.date(2000, 1, 1), dt.date(2100, 12, 31))


@given(kind=st.sampled_from(KINDS), day=days)
def test_periods_of_a_kind_follow_each_other(kind, day):
    period = period_of(kind, day)
    before = period_before(period)

    assert period.first <= day <= period.last
    assert before.last + dt.timedelta(days=1) == period.first
    assert period_of(kind, period.last) == period


@given(first=days, length=st.integers(1, 700))
def test_before_a_custom_period_is_one_of_the_same_length(first, length):
    last = first + dt.timedelta(days=length - 1)
    period = Period(kind=PeriodKind.CUSTOM, first=first, last=last)

    before = period_before(period)

    assert before.days == period.days == length
    assert before.last + dt.timedelta(days=1) == first


@pytest.mark.parametrize(
    ("first", "last", "error"),
    [("2026-03-09", "2026-03-08", InvalidWindow), ("2020-01-01", "2026-01-01", InvalidWindow)],
)
def test_days_that_make_no_period_are_refused(first, last, error):
    with pytest.raises(error, match=r"period|report"):
        Period(
            kind=PeriodKind.CUSTOM,
            first=dt.date.fromisoformat(first),
            last=dt.date.fromisoformat(last),
        )


def test_a_month_is_a_whole_month():
    with pytest.raises(ConfigError, match="the one of that day is 2026-02-01 to 2026-02-28"):
        Period(kind=PeriodKind.MONTHLY, first=dt.date(2026, 2, 1), last=dt.date(2026, 2, 27))


def test_a_custom_period_needs_its_days():
    with pytest.raises(ConfigError, match="first and its last"):
        period_of(PeriodKind.CUSTOM, dt.date(2026, 2, 1))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (PeriodKind.WEEKLY, "the week of 2 Mar 2026"),
        (PeriodKind.MONTHLY, "March 2026"),
        (PeriodKind.QUARTERLY, "the first quarter of 2026"),
    ],
)
def test_a_period_has_a_name(kind, words):
    assert period_of(kind, dt.date(2026, 3, 8)).words == words


# -- when they are due --------------------------------------------------------------------------


def _utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("at", "due"),
    [
        # The clock jumps from 02:00 to 03:00 on 8 March: there is no 02:30, it is 03:30 then.
        ("02:30", "2026-03-08T07:30"),
        ("06:00", "2026-03-08T10:00"),
    ],
)
def test_a_report_is_due_on_the_day_on_which_the_clock_jumps(at, due):
    calendar = Calendar(kind=PeriodKind.WEEKLY, timezone="America/New_York", at=at, after_days=7)
    period = period_of(PeriodKind.WEEKLY, dt.date(2026, 3, 1))

    assert calendar.due(period) == _utc(due)


def test_a_report_is_due_once_on_the_day_on_which_an_hour_comes_twice():
    calendar = Calendar(
        kind=PeriodKind.MONTHLY, timezone="America/New_York", at="01:30", after_days=1
    )
    period = period_of(PeriodKind.MONTHLY, dt.date(2026, 10, 1))

    # 1 November 2026: 01:30 comes at 05:30 and at 06:30 UTC.
    assert calendar.due(period) == _utc("2026-11-01T05:30")
    assert calendar.latest(_utc("2026-11-01T05:29")) == period_before(period)
    assert calendar.latest(_utc("2026-11-01T05:30")) == period
    assert calendar.latest(_utc("2026-11-01T06:30")) == period


@given(
    kind=st.sampled_from(KINDS),
    zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata"]),
    hour=st.integers(0, 23),
    after=st.integers(1, 28),
    now=st.datetimes(dt.datetime(2010, 1, 1), dt.datetime(2050, 1, 1)),
)
def test_the_latest_due_period_is_due_and_the_next_one_is_not(kind, zone, hour, after, now):
    calendar = Calendar(kind=kind, timezone=zone, at=f"{hour:02d}:00", after_days=after)
    now = now.replace(tzinfo=dt.UTC)

    period = calendar.latest(now)
    following = period_of(kind, period.last + dt.timedelta(days=1))

    assert calendar.due(period) <= now < calendar.due(following)


def test_what_was_missed_is_caught_up_from_the_oldest():
    calendar = Calendar(kind=PeriodKind.WEEKLY)
    now = _utc("2026-03-30T06:00")

    found = missed(calendar, after=dt.date(2026, 3, 8), now=now, most=10)

    assert [one.first for one in found] == [
        dt.date(2026, 3, 9),
        dt.date(2026, 3, 16),
        dt.date(2026, 3, 23),
    ]
    assert missed(calendar, after=dt.date(2026, 3, 8), now=now, most=2) == found[1:]
    assert missed(calendar, after=dt.date(2026, 3, 29), now=now, most=2) == []


def test_a_new_schedule_makes_the_latest_report_only():
    calendar = Calendar(kind=PeriodKind.QUARTERLY)

    found = missed(calendar, after=None, now=_utc("2026-03-30T06:00"), most=10)

    assert [one.words for one in found] == ["the fourth quarter of 2025"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": PeriodKind.CUSTOM}, "weekly, monthly or quarterly"),
        ({"at": "25:00"}, "no time of day"),
        ({"at": "6:00"}, "no time of day"),
        ({"after_days": 0}, "1 to 28 days"),
        ({"timezone": "Mars/Olympus"}, "IANA"),
        ({"timezone": "../etc/passwd"}, "IANA"),
    ],
)
def test_a_calendar_that_cannot_be_kept_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        Calendar(**{"kind": PeriodKind.WEEKLY, **settings})
