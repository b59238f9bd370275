from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.ops.platform import RULES, Readings, assess, judge

QUIET = Readings(requests=1_000, errors=900, seconds={"1.0": 900, "+Inf": 1_000}, tasks=50)


def figure(rule, before, now):
    return assess(RULES[rule], before, now)


def test_what_happened_before_the_window_counts_for_nothing():
    """The original divided what was counted since the start: it told for ever, or never."""
    now = replace(QUIET, requests=1_100, errors=906)

    assert figure("errors", QUIET, now) == 6.0
    assert figure("errors", now, replace(now, requests=1_200)) == 0.0


def test_a_share_of_few_events_says_nothing():
    assert figure("errors", QUIET, replace(QUIET, requests=1_019, errors=919)) is None
    assert figure("errors", None, QUIET) is None
    assert figure("errors", Readings(), Readings()) is None


def test_a_process_that_started_again_counts_from_zero():
    assert figure("errors", QUIET, replace(QUIET, requests=100, errors=7)) == 7.0
    assert figure("tasks", QUIET, replace(QUIET, tasks=40, failures=10)) == 25.0


def test_the_percentile_is_that_of_the_window():
    before = replace(QUIET, seconds={"1.0": 1_000, "2.5": 1_000, "+Inf": 1_000})
    now = replace(QUIET, seconds={"1.0": 1_090, "2.5": 1_100, "+Inf": 1_100})

    # 95 of 100: half way from the 90 within a second to the 100 within two and a half.
    assert figure("slow", before, now) == 1.75


def test_of_what_takes_longer_than_the_last_bound_only_that_is_known():
    before = replace(QUIET, seconds={"1.0": 0, "10.0": 0, "+Inf": 0})

    assert figure("slow", before, replace(QUIET, seconds={"1.0": 0, "10.0": 0, "+Inf": 99})) == 10


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.integers(0, 1_000))
def test_the_percentile_lies_in_the_bucket_that_holds_it(counts, already):
    bounds = ["0.5", "1.0", "2.5", "+Inf"]
    total, seconds = 0, {}
    for bound, count in zip(bounds, counts, strict=True):
        total += count
        seconds[bound] = total
    before = Readings(seconds=dict.fromkeys(bounds, 0.0))
    found = figure("slow", before, Readings(seconds=seconds))
    if total < 20:
        assert found is None
        return
    upper = next(one for one in bounds if seconds[one] >= 0.95 * total)
    low = {"0.5": 0.0, "1.0": 0.5, "2.5": 1.0, "+Inf": 2.5}[upper]
    assert low <= found <= (2.5 if upper == "+Inf" else float(upper))


def test_connections_are_compared_with_what_the_database_takes():
    now = Readings(connections=91, connections_limit=100)

    assert figure("connections", None, now) == 91.0
    assert figure("connections", None, replace(now, connections_limit=None)) is None


def test_gauges_need_no_window():
    now = Readings(oldest_due=301.0, oldest_unlinked=9.0)

    assert (figure("deliveries", None, now), figure("audit", None, now)) == (301.0, 9.0)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_fires_above_its_threshold_and_until_its_clear_one(rule):
    assert rule.clear < rule.threshold
    assert not judge(rule, rule.threshold, was_firing=False).is_firing
    assert judge(rule, rule.threshold + 1, was_firing=False).is_firing
    assert judge(rule, rule.threshold, was_firing=True).is_firing
    assert not judge(rule, rule.clear, was_firing=True).is_firing
    for was_firing in (True, False):
        assert judge(rule, None, was_firing=was_firing).is_firing is was_firing


def test_a_rule_says_what_it_found():
    assert judge(RULES["errors"], 6.04, was_firing=False).summary == (
        "Requests fail: 6.0 %, where 5 % is the limit."
    )
    assert "unknown" in judge(RULES["errors"], None, was_firing=False).summary


def test_readings_survive_being_kept():
    kept = json.loads(json.dumps(QUIET.as_json()))

    assert Readings.from_json({**kept, "of_a_later_version": 1}) == QUIET
