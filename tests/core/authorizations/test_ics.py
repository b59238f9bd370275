from __future__ import annotations

import datetime as dt
import re

from hypothesis import given
from hypothesis import strategies as st

from claimkit.authorizations.ics import CalendarEntry, render_calendar

NOW = dt.datetime(2026, 4, 12, 9, 30, tzinfo=dt.UTC)


def render(**values):
    entry = CalendarEntry(
        **{"uid": "aut_1", "day": dt.date(2026, 2, 28), "summary": "97110 ends", **values}
    )
    return render_calendar([entry], name="Northside", stamp=NOW)


def unfold(raw):
    return raw.decode().replace("\r\n ", "").split("\r\n")


def test_an_entry_lasts_one_whole_day():
    lines = unfold(render())

    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-2:] == ["END:VCALENDAR", ""]
    assert "DTSTART;VALUE=DATE:20260228" in lines
    assert "DTEND;VALUE=DATE:20260301" in lines
    assert "DTSTAMP:20260412T093000Z" in lines
    assert "TRANSP:TRANSPARENT" in lines
    assert not [one for one in lines if one.startswith("DESCRIPTION")]


def test_what_has_a_meaning_is_escaped():
    assert "SUMMARY:a\\, b\\; c\\\\ d\\ne" in unfold(render(summary="a, b; c\\ d\ne"))


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_lines_are_short_and_nothing_can_be_smuggled_in(text):
    raw = render(summary=text, description=text)
    lines = unfold(raw)

    assert all(len(one) <= 75 for one in raw.split(b"\r\n"))
    assert sum(one.startswith("BEGIN:VEVENT") for one in lines) == 1
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
