from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.alerts.channels import as_text, subject_line
from claimkit.alerts.digests import Rhythm, note_of
from claimkit.testing.factories import make_notification

NEW_YORK = ZoneInfo("America/New_York")


def due_in(rhythm, begin, count):
    found, at = [], begin
    for _ in range(count):
        at = rhythm.next_after(at, NEW_YORK)
        found.append(at.astimezone(NEW_YORK))
    return found


@pytest.mark.parametrize("begin", [dt.datetime(2026, 10, 30), dt.datetime(2027, 3, 12)])
@given(at=st.times().map(lambda one: one.replace(microsecond=0)))
def test_one_a_day_also_when_the_clock_changes(begin, at):
    begin = begin.replace(tzinfo=NEW_YORK).astimezone(dt.UTC) - dt.timedelta(seconds=1)

    days = [one.date() for one in due_in(Rhythm(at=at), begin, 4)]

    assert days == [begin.astimezone(NEW_YORK).date() + dt.timedelta(days=n) for n in (1, 2, 3, 4)]


def test_when_the_clock_jumps_over_it_it_comes_right_after():
    begin = dt.datetime(2027, 3, 13, 12, tzinfo=dt.UTC)

    (due,) = due_in(Rhythm(at=dt.time(2, 30)), begin, 1)

    assert due.isoformat() == "2027-03-14T03:00:00-04:00"


def test_once_a_week():
    begin = dt.datetime(2026, 10, 26, 12, tzinfo=dt.UTC)

    found = due_in(Rhythm(at=dt.time(7), weekday=0), begin, 2)

    assert [one.isoformat() for one in found] == [
        "2026-11-02T07:00:00-05:00",
        "2026-11-09T07:00:00-05:00",
    ]


def test_what_a_digest_says():
    assert note_of(open_alerts=1, muted=[]) == "1 alert is open; none was muted."
    assert note_of(open_alerts=0, muted=["silenced"]) == (
        "0 alerts are open; 1 was muted (1 silenced)."
    )


def test_a_digest_names_itself():
    digest = make_notification(digest="2 alerts are open; none was muted.")

    assert subject_line(digest) == "[digest] 2 alerts are open; none was muted."
    assert "2 alerts are open; none was muted." in as_text(digest)
