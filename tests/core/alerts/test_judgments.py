from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.alerts.judgments import HALF_LIFE, Judgment, Verdict, noise_until, precision
from claimkit.types import Severity

NOW = dt.datetime(2026, 4, 14, 15, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def judged(
    verdict=Verdict.NOISE, actor="user:1", *, days=0, is_decisive=False, severity=Severity.CRITICAL
):
    return Judgment(
        verdict=verdict,
        actor=actor,
        at=NOW - days * DAY,
        severity=severity,
        is_decisive=is_decisive,
    )


def until(*judgments, severity=Severity.LOW, now=NOW):
    return noise_until(judgments, severity=severity, now=now)


def test_two_people_mute_for_one_half_life():
    assert until(judged(), judged(actor="user:2")) == NOW + HALF_LIFE


def test_one_person_does_not_and_one_who_may_decide_does():
    assert until(judged(), judged(days=1)) is None
    assert until(judged(is_decisive=True)) == NOW + HALF_LIFE


def test_one_real_lifts_what_was_said_before_it():
    noise = [judged(days=2), judged(actor="user:2", days=2)]

    assert until(*noise, judged(Verdict.REAL, "user:3", days=1)) is None
    assert until(*noise, judged(Verdict.REAL, "user:3", days=3)) is not None


def test_what_is_to_be_followed_up_has_no_weight():
    assert until(judged(), judged(Verdict.FOLLOW_UP, "user:2")) is None


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.CRITICAL])
def test_what_is_severe_is_never_muted(severity):
    assert until(judged(), judged(actor="user:2"), severity=severity) is None


def test_what_was_judged_mutes_nothing_that_is_worse():
    noise = [judged(actor=f"user:{number}", severity=Severity.LOW) for number in range(3)]

    assert until(*noise) is not None
    assert until(*noise, severity=Severity.MEDIUM) is None


def test_nothing_mutes_for_ever():
    """The trap of a judgment that silences for good."""
    noise = [judged(actor=f"user:{number}") for number in range(50)]

    end = until(*noise)
    assert end < NOW + 6 * HALF_LIFE
    assert until(*noise, now=end + DAY) is None


judgments = st.builds(
    judged,
    st.sampled_from(Verdict),
    st.sampled_from(["user:1", "user:2", "user:3"]),
    days=st.integers(0, 60),
    is_decisive=st.booleans(),
)


@given(st.lists(judgments, max_size=8), st.integers(1, 60))
def test_the_end_is_the_same_whenever_it_is_asked_for(said, days):
    """As long as nobody says more."""
    end = until(*said)
    later = NOW + days * DAY
    if end is None or later >= end:
        assert until(*said, now=later) is None or end is not None
        return

    assert abs(until(*said, now=later) - end) < dt.timedelta(seconds=1)


def test_precision():
    assert precision(7, 1) == 0.875
    assert precision(0, 0) is None
