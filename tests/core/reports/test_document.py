from __future__ import annotations

import datetime as dt
import json
import locale
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.reports.document import (
    Bar,
    BarChart,
    KeyFigure,
    Report,
    ValueKind,
    as_plain,
    format_value,
)


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        (None, ValueKind.MONEY, "–"),
        ("marsupilami", ValueKind.MONEY, "marsupilami"),
        (dt.date(2026, 3, 9), ValueKind.TEXT, "9 Mar 2026"),
        (4_123_456, ValueKind.MONEY, "$41,235"),
        (-4_123_456, ValueKind.MONEY, "-$41,235"),
        (-40, ValueKind.MONEY, "$0"),
        (0, ValueKind.MONEY, "$0"),
        (0.18349, ValueKind.SHARE, "18.3 %"),
        (-0.02, ValueKind.SHARE, "-2.0 %"),
        (0.0512, ValueKind.POINTS, "+5.1 pp"),
        (-0.0512, ValueKind.POINTS, "-5.1 pp"),
        (12.26, ValueKind.DAYS, "12.3 days"),
        (1_234_567, ValueKind.COUNT, "1,234,567"),
        (2.6, ValueKind.COUNT, "3"),
    ],
)
def test_a_value_is_written_by_its_kind(value, kind, written):
    assert format_value(value, kind) == written


@given(st.integers(-(10**14), 10**14))
def test_money_is_written_to_the_dollar(cents):
    text = format_value(cents, ValueKind.MONEY)
    dollars = int(text.replace("$", "").replace(",", ""))

    assert abs(100 * dollars - cents) <= 50
    assert text.startswith("-") == (dollars < 0)


def test_dates_do_not_follow_the_locale_of_the_process():
    before = locale.setlocale(locale.LC_TIME)
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "pl_PL.UTF-8"):
        try:
            locale.setlocale(locale.LC_TIME, name)
        except locale.Error:
            continue
        break
    else:
        pytest.skip("no other locale is installed here")
    try:
        assert format_value(dt.date(2026, 5, 9), ValueKind.DATE) == "9 May 2026"
    finally:
        locale.setlocale(locale.LC_TIME, before)


def test_the_content_hash_is_of_the_content_and_not_of_the_hour(report):
    later = replace(report, generated_at=report.generated_at + dt.timedelta(days=3))

    assert later.content_hash == report.content_hash
    assert len(report.content_hash) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"headline": "other"},
        {"as_of": dt.date(2026, 3, 19)},
        {"tenant": "southside"},
        {"sections": ()},
        {"findings": ()},
        {"key_figures": (KeyFigure(label="x", value=1, kind=ValueKind.COUNT),)},
    ],
)
def test_any_other_content_has_another_hash(report, change):
    assert replace(report, **change).content_hash != report.content_hash


def test_a_plain_report_is_what_json_takes_with_figures_by_type(report):
    plain = json.loads(json.dumps(as_plain(report)))

    assert plain["as_of"] == "2026-03-20"
    assert plain["generated_at"] == "2026-03-21T04:05:00+00:00"
    types = [figure["type"] for section in plain["sections"] for figure in section["figures"]]
    assert types == ["BarChart", "RunChart", "RunChart", "MixChart", "RunChart", "MixChart"]
    assert plain["findings"][0]["fingerprint"] == "fp-slower"
    assert plain["findings"][0]["evidence"]["days"][0] == "2026-01-05"


def test_keys_and_classes_become_plain_too():
    chart = BarChart(
        title="t", description="d", kind=ValueKind.COUNT, bars=(Bar(label="b", value=1),)
    )

    assert as_plain({dt.date: chart}) == {
        str(dt.date): {
            "title": "t",
            "description": "d",
            "kind": "count",
            "bars": [{"label": "b", "value": 1, "tone": ""}],
            "type": "BarChart",
        }
    }
    assert as_plain(Report) is Report
