from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.alerts.lifecycle import AlertSignal, Subject
from claimkit.alerts.policy import AlertMatch
from claimkit.alerts.rules import METRICS, Comparison, Rule, apply_rules
from claimkit.errors import ConfigError, UnknownName
from claimkit.types import Severity

AT = dt.datetime(2026, 4, 12, 9, tzinfo=dt.UTC)


def signal(dollars=10_000, *, is_firing=True, onset=dt.date(2026, 4, 2), payer="Aetna"):
    return AlertSignal(
        fingerprint="fp",
        is_firing=is_firing,
        severity=Severity.MEDIUM,
        at=AT,
        subject=Subject(
            source="drift",
            kind="denial_rate",
            payer=payer,
            onset=onset,
            dollars_per_month=dollars * 100,
        ),
    )


def rule(**values):
    return Rule(**{"key": "r", "threshold": 10_000.0, "severity": Severity.CRITICAL, **values})


def decided(*arguments, **options):
    found = apply_rules(*arguments, **options)
    return None if found is None else (found.is_firing, found.severity, found.rule)


def test_without_a_rule_a_signal_is_as_it_was_rated():
    assert apply_rules(signal(), []) == signal()


@pytest.mark.parametrize(
    ("comparison", "taken"),
    [
        (Comparison.AT_LEAST, [False, True, True]),
        (Comparison.ABOVE, [False, False, True]),
        (Comparison.AT_MOST, [True, True, False]),
        (Comparison.BELOW, [True, False, False]),
    ],
)
def test_a_metric_is_compared_with_the_threshold(comparison, taken):
    one = rule(comparison=comparison)

    assert [one.takes(signal(dollars)) for dollars in (9_999, 10_000, 10_001)] == taken


def test_the_first_rule_that_takes_it_decides():
    dear = rule(key="dear")
    cheap = rule(key="cheap", comparison=Comparison.BELOW, severity=None)
    other = rule(key="other", match=AlertMatch(payers={"Cigna"}), threshold=0.0)

    assert decided(signal(20_000), [cheap, dear]) == (True, Severity.CRITICAL, "dear")
    assert decided(signal(500), [other, cheap, dear]) is None
    assert decided(signal(500), [other]) == (True, Severity.MEDIUM, "")


def test_the_end_of_something_is_never_held_back():
    nothing = rule(threshold=0.0, severity=None)

    assert decided(signal(is_firing=False), [nothing]) == (False, Severity.MEDIUM, "")
    assert decided(signal(), [nothing]) is None


def test_an_alert_stays_one_until_the_clear_threshold():
    one = rule(threshold=10_000.0, clear_threshold=8_000.0)

    assert [one.takes(signal(d)) for d in (8_000, 9_999, 10_000)] == [False, False, True]
    held = [one.takes(signal(d), is_held=True) for d in (7_999, 8_000, 9_999, 10_000)]
    assert held == [False, True, True, True]
    assert decided(signal(9_000), [one], held_by="r") == (True, Severity.CRITICAL, "r")
    assert decided(signal(9_000), [one], held_by="other") == (True, Severity.MEDIUM, "")


@given(
    st.sampled_from(Comparison),
    st.floats(-1e6, 1e6),
    st.floats(0, 1e6),
    st.lists(st.floats(-2e6, 2e6), min_size=2),
)
def test_what_moves_between_both_thresholds_changes_nothing(comparison, threshold, band, moves):
    is_floor = comparison in (Comparison.AT_LEAST, Comparison.ABOVE)
    clear = threshold - band if is_floor else threshold + band
    one = rule(metric="figure", comparison=comparison, threshold=threshold, clear_threshold=clear)
    low, high = sorted((threshold, clear))
    held, changes = False, []
    for value in moves:
        subject = Subject(source="claims", kind="rejected_rows", figure=value)
        before, held = held, one.takes(replace(signal(), subject=subject), is_held=held)
        changes.append(before != held and low < value < high)

    assert not any(changes)


@pytest.mark.parametrize(
    ("comparison", "clear"), [(Comparison.AT_LEAST, 10_001.0), (Comparison.BELOW, 9_999.0)]
)
def test_a_clear_threshold_that_is_harder_to_reach_is_an_error(comparison, clear):
    with pytest.raises(ConfigError, match="an alert that fires at 10000 cannot stay one until"):
        rule(comparison=comparison, clear_threshold=clear)


def test_what_is_too_little_for_an_alert_needs_a_rule():
    little = replace(signal(9_000), needs_rule=True)

    assert decided(little, [rule()]) == (False, Severity.MEDIUM, "")
    assert decided(little, [rule(threshold=9_000.0)]) == (True, Severity.CRITICAL, "r")


def test_a_rule_does_not_decide_about_what_a_signal_does_not_say():
    young = rule(metric="age_days", comparison=Comparison.AT_LEAST, threshold=10.0)

    assert young.takes(signal())
    assert not young.takes(signal(onset=dt.date(2026, 4, 3)))
    assert not young.takes(signal(onset=None))
    assert rule(metric="severity_rank", threshold=1.0).takes(signal())


def test_a_metric_that_nobody_knows_is_an_error_when_the_rule_is_made():
    with pytest.raises(UnknownName, match="did you mean 'dollars_per_month'"):
        rule(metric="dolars_per_month")
    assert sorted(METRICS) == ["age_days", "dollars_per_month", "figure", "severity_rank"]
