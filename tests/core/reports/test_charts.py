from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.reports.charts import draw
from claimkit.reports.document import Bar, BarChart, MixChart, RunChart, ValueKind

DAYS = tuple(dt.date(2026, 1, 5) + dt.timedelta(days=7 * n) for n in range(6))
RUN = RunChart(
    title="Denied by week",
    description="The last is 18 %.",
    kind=ValueKind.SHARE,
    days=DAYS,
    observed=(0.08, 0.07, 0.09, 0.16, 0.18, 0.17),
    expected=(0.08,) * 6,
    low=(0.05,) * 6,
    high=(0.11,) * 6,
    onset=DAYS[3],
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def svg(figure):
    """Return the parsed element; its tags carry no namespace inside HTML."""
    return ET.fromstring(draw(figure, identity="fig-7"))


def of_class(element, name, tag="*"):
    return [one for one in element.iter() if name in one.get("class", "").split() and tag in ("*", one.tag)]  # fmt: skip


def points(path):
    numbers = [float(one) for one in NUMBER.findall(path.get("d"))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def texts(element):
    return [one.text for one in element.iter("text")]


@pytest.mark.parametrize(
    "figure",
    [
        RUN,
        BarChart(title="t", description="d", kind=ValueKind.MONEY, bars=(Bar(label="b", value=1),)),
        MixChart(title="t", description="d", rows=(("bundling", 0.2, 0.4),)),
    ],
)
def test_a_chart_is_told_to_those_who_do_not_see_it(figure):
    drawn = svg(figure)

    assert drawn.get("role") == "img"
    assert drawn.get("aria-labelledby") == "fig-7-title fig-7-desc"
    assert drawn.find("title").text == figure.title
    assert drawn.find("title").get("id") == "fig-7-title"
    assert drawn.find("desc").text == figure.description


# -- run charts ---------------------------------------------------------------------------------


def test_weeks_go_to_the_right_and_more_goes_up():
    drawn = svg(RUN)
    dots = of_class(drawn, "dot")
    xs = [float(dot.get("cx")) for dot in dots]
    ys = [float(dot.get("cy")) for dot in dots]

    assert xs == sorted(xs)
    assert sorted(range(6), key=lambda at: -ys[at]) == sorted(
        range(6), key=lambda at: RUN.observed[at]
    )
    assert points(of_class(drawn, "observed")[0]) == list(zip(xs, ys, strict=True))


def test_the_scale_is_the_same_for_dots_band_and_ticks():
    drawn = svg(RUN)
    ticks = {
        float(text.text.removesuffix(" %")) / 100: float(line.get("y1"))
        for line, text in zip(
            [*of_class(drawn, "axis"), *of_class(drawn, "grid")],
            [one for one in drawn.iter("text") if one.get("text-anchor") == "end" and "%" in one.text],
            strict=True,
        )
    }  # fmt: skip
    (low, low_y), (high, high_y) = min(ticks.items()), max(ticks.items())

    def value(y):
        return low + (y - low_y) / (high_y - low_y) * (high - low)

    band = points(of_class(drawn, "band")[0])
    assert [round(value(y), 3) for _, y in band] == [0.11] * 6 + [0.05] * 6
    dots = [value(float(dot.get("cy"))) for dot in of_class(drawn, "dot")]
    assert dots == pytest.approx(RUN.observed, abs=0.001)
    assert low == 0
    assert high >= max(RUN.observed)


def test_weeks_outside_the_band_of_chance_stand_out():
    out = ["out" in dot.get("class") for dot in of_class(svg(RUN), "dot")]

    assert out == [False, False, False, True, True, True]


def test_the_change_is_marked_where_it_happened():
    drawn = svg(RUN)
    (line,) = of_class(drawn, "onset")
    dots = of_class(drawn, "dot")

    assert float(line.get("x1")) == float(dots[3].get("cx"))
    assert "changed 26 Jan" in texts(drawn)
    assert of_class(svg(replace(RUN, onset=None)), "onset") == []


@pytest.mark.parametrize(
    ("onset", "at"), [(dt.date(2025, 1, 1), 0), (dt.date(2027, 1, 1), 5)]
)  # fmt: skip
def test_a_change_outside_the_weeks_is_marked_at_their_edge(onset, at):
    drawn = svg(replace(RUN, onset=onset))
    (line,) = of_class(drawn, "onset")

    assert float(line.get("x1")) == float(of_class(drawn, "dot")[at].get("cx"))


def test_the_last_values_are_written_and_do_not_cover_each_other():
    drawn = svg(replace(RUN, observed=(0.08,) * 6))
    labels = {one.text: float(one.get("y")) for one in drawn.iter("text")}

    assert texts(drawn)[-4:] == ["8.0 %", "observed", "8.0 %", "expected"]
    assert abs(labels["observed"] - labels["expected"]) >= 30


def test_each_dot_tells_its_week_and_value():
    titles = [dot.find("title").text for dot in of_class(svg(RUN), "dot")]

    assert titles[:2] == ["Week of 5 Jan: 8.0 %", "Week of 12 Jan: 7.0 %"]
    days = svg(replace(RUN, kind=ValueKind.DAYS, observed=(14.0,) * 6))
    assert of_class(days, "dot")[0].find("title").text == "Week of 5 Jan: 14.0 days"


_SHARES = st.floats(0, 1).map(lambda one: round(one, 6))


@given(
    st.integers(2, 30).flatmap(
        lambda n: st.tuples(*(st.lists(_SHARES, min_size=n, max_size=n) for _ in range(4)))
    ),
    st.sampled_from([ValueKind.SHARE, ValueKind.DAYS]),
    st.sampled_from([1, 60, 5_000]),
)
def test_whatever_the_values_everything_stays_on_the_paper(series, kind, scale):
    scale = scale if kind is ValueKind.DAYS else 1
    observed, expected, low, high = ([scale * one for one in values] for values in series)
    days = tuple(dt.date(2026, 1, 5) + dt.timedelta(days=7 * n) for n in range(len(observed)))
    drawn = svg(
        replace(
            RUN, kind=kind, days=days, onset=days[-1],
            observed=tuple(observed), expected=tuple(expected), low=tuple(low), high=tuple(high),
        )
    )  # fmt: skip
    _, _, width, height = map(float, drawn.get("viewBox").split())

    for path in drawn.iter("path"):
        for x, y in points(path):
            assert 0 <= x <= width
            assert 0 <= y <= height
    ticks = len(of_class(drawn, "axis")) + len(of_class(drawn, "grid"))
    assert 2 <= ticks <= 7
    assert "nan" not in draw(RUN, identity="x")


def test_days_that_are_all_zero_have_a_scale_as_well():
    zero = (0.0,) * 6
    drawn = svg(replace(RUN, observed=zero, expected=zero, low=zero, high=zero))

    assert len({one.get("y1") for one in drawn.iter("line") if one.get("class") != "onset"}) >= 2


# -- bars ---------------------------------------------------------------------------------------

BARS = BarChart(
    title="Dollars",
    description="d",
    kind=ValueKind.MONEY,
    bars=(
        Bar(label="MERIDIAN: denies more", value=4_200_000, tone="high"),
        Bar(label="LAKE", value=1_050_000),
        Bar(label="NONE", value=0),
    ),
)


def test_bars_are_as_long_as_their_values_and_say_them():
    drawn = svg(BARS)
    widths = [float(one.get("width")) for one in of_class(drawn, "bar")]

    assert widths[1] == pytest.approx(widths[0] / 4, abs=0.1)
    assert widths[2] == 2
    assert [one.text for one in of_class(drawn, "value")] == ["$42,000", "$10,500", "$0"]
    assert of_class(drawn, "high") == [of_class(drawn, "bar")[0]]
    assert float(drawn.get("viewBox").split()[3]) == 3 * 44


def test_a_chart_without_bars_or_with_only_nothing_is_drawn():
    assert of_class(svg(replace(BARS, bars=())), "bar") == []
    nothing = svg(replace(BARS, bars=(Bar(label="a", value=0), Bar(label="b", value=0))))
    assert [one.get("width") for one in of_class(nothing, "bar")] == ["2.0", "2.0"]


def test_a_long_label_is_cut():
    drawn = svg(replace(BARS, bars=(Bar(label="Z" * 100, value=1),)))

    assert of_class(drawn, "label")[0].text == "Z" * 71 + "…"


# -- mixes --------------------------------------------------------------------------------------

MIX = MixChart(
    title="Why", description="d", rows=(("authorization", 0.2, 0.8), ("bundling", 0.4, 0.0))
)


def test_a_mix_has_two_bars_a_row_in_one_scale():
    drawn = svg(MIX)
    before = [float(one.get("width")) for one in of_class(drawn, "before")[1:]]
    since = [float(one.get("width")) for one in of_class(drawn, "since")[1:]]

    assert before[1] == pytest.approx(2 * before[0])
    assert since[0] == pytest.approx(4 * before[0], abs=0.2)
    assert since[1] == 1
    assert [text for text in texts(drawn) if text.endswith("%")] == ["20 %", "80 %", "40 %", "0 %"]


def test_a_mix_of_nothing_is_drawn():
    assert texts(svg(replace(MIX, rows=()))) == ["before", "since"]
    assert "0 %" in texts(svg(replace(MIX, rows=(("bundling", 0.0, 0.0),))))


@pytest.mark.parametrize("text", ["<script>\"'&</script>", "</title></svg><img src=x>"])
def test_names_are_text_and_never_markup(text):
    for figure in (
        replace(RUN, title=text, description=text),
        replace(BARS, title=text, bars=(Bar(label=text, value=1, tone=text),)),
        replace(MIX, title=text, rows=((text, 0.1, 0.2),)),
    ):
        drawn = svg(figure)

        assert drawn.find("title").text == text
        assert {one.tag for one in drawn.iter()} <= {
            "svg", "title", "desc", "path", "circle", "line", "text", "rect",
        }  # fmt: skip
