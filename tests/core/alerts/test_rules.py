from __future__ import annotations

import datetime as dt

import pytest

from claimkit.alerts.lifecycle import AlertSignal, Subject
from claimkit.alerts.policy import AlertMatch
from claimkit.alerts.rules import METRICS, Comparison, Rule, apply_rules
from claimkit.errors import UnknownName
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


def test_without_a_rule_a_signal_is_as_it_was_rated():
    assert apply_rules(signal(), []) == (signal(), "")


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

    assert apply_rules(signal(20_000), [cheap, dear])[1] == "dear"
    assert apply_rules(signal(20_000), [dear])[0].severity is Severity.CRITICAL
    assert apply_rules(signal(500), [other, cheap, dear]) == (None, "cheap")
    assert apply_rules(signal(500), [other])[1] == ""


def test_the_end_of_something_is_never_held_back():
    nothing = rule(threshold=0.0, severity=None)

    assert apply_rules(signal(is_firing=False), [nothing])[0] is not None
    assert apply_rules(signal(), [nothing]) == (None, "r")


def test_a_rule_does_not_decide_about_what_a_signal_does_not_say():
    young = rule(metric="age_days", comparison=Comparison.AT_LEAST, threshold=10.0)

    assert young.takes(signal())
    assert not young.takes(signal(onset=dt.date(2026, 4, 3)))
    assert not young.takes(signal(onset=None))
    assert rule(metric="severity_rank", threshold=1.0).takes(signal())


def test_a_metric_that_nobody_knows_is_an_error_when_the_rule_is_made():
    with pytest.raises(UnknownName, match="did you mean 'dollars_per_month'"):
        rule(metric="dolars_per_month")
    assert sorted(METRICS) == ["age_days", "dollars_per_month", "severity_rank"]
