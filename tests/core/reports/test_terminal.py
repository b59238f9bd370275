from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.drift.findings import Segment
from claimkit.reports.compose import compose
from claimkit.reports.terminal import render_text, sparkline
from claimkit.testing.factories import make_finding, make_watch_report

GENERATED = dt.datetime(2026, 3, 21, 4, 5, tzinfo=dt.UTC)
ANSI = re.compile(r"\x1b\[\d+m")


def test_a_report_is_told_in_a_screenful(report):
    lines = render_text(report, width=80).splitlines()

    assert lines[0] == "Northside Clinic, as of 20 Mar 2026"
    assert lines[1].startswith("3 payers have changed how they treat your claims")
    (first,) = [line for line in lines if line.startswith("1. ")]
    assert first == f"{'1. LAKE MUTUAL: decides later':<65}$42,000 a month"
    assert "   LAKE MUTUAL decides 7.5 days later" in lines
    assert lines[-2:] == [
        "Watch list (weaker signs, nobody is alerted):",
        "  - SPIP may deny more",
    ]


def test_each_alert_shows_its_run_with_the_day_of_the_change(report):
    lines = render_text(report).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("2. MERIDIAN"))
    run = next(n for n in range(at, at + 6) if "█" in lines[n])

    assert lines[run] == f"   8.0 % {sparkline(report.findings[1].evidence.observed)} 17.0 %"
    # The change is in the ninth week, which begins on 2 Mar.
    assert lines[run + 1] == "         " + " " * 8 + "↑ 2 Mar 2026"


@pytest.mark.parametrize("width", [10, 40, 57, 80, 100, 500])
def test_no_line_is_longer_than_the_terminal(report, width):
    limit = max(40, min(width, 100))

    assert max(map(len, render_text(report, width=width).splitlines())) <= limit


def test_a_long_name_does_not_leave_the_line():
    payer = "THE MARSUPILAMI AND SPIROU MUTUAL BENEFIT ASSOCIATION OF CHAMPIGNAC AND ZORGLAND"
    long = replace(make_finding(), segment=Segment(payer=payer))
    text = render_text(
        compose(tenant_name="n", watched=make_watch_report([long]), generated_at=GENERATED),
        width=60,
    )

    assert max(map(len, text.splitlines())) <= 60
    assert "$18,250 a month" in text
    assert payer in " ".join(text.split())


def test_styles_only_where_they_are_wanted_and_nothing_else_changes(report):
    plain, styled = (render_text(report, color=color) for color in (False, True))

    assert not ANSI.search(plain)
    assert ANSI.sub("", styled) == plain
    assert styled.count("\x1b[31m") == 3


def test_a_quiet_report_is_two_lines():
    quiet = compose(tenant_name="Northside", watched=make_watch_report(), generated_at=GENERATED)

    assert render_text(quiet).splitlines() == [
        "Northside, as of 20 Mar 2026",
        "No payer has changed how it treats your claims.",
    ]


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([], ""), ([3], "▁"), ([2, 2, 2], "▁▁▁"), ([0, 7], "▁█"), ([-7, 0, -3.5], "▁█▅")],
)
def test_a_sparkline_goes_from_lowest_to_highest(values, drawn):
    assert sparkline(values) == drawn


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_a_sparkline_keeps_the_order_of_its_values(values):
    drawn = sparkline(values)

    assert len(drawn) == len(values)
    for (one, block), (other, higher) in zip(
        sorted(zip(values, drawn, strict=True)), sorted(zip(values, drawn, strict=True))[1:],
        strict=False,
    ):  # fmt: skip
        assert one <= other
        assert block <= higher
