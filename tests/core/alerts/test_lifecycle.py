from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.alerts.lifecycle import (
    Alert,
    AlertSignal,
    AlertState,
    Change,
    Subject,
    Told,
    acknowledge,
    apply,
    forget,
    resolve,
)
from claimkit.errors import AlertConflict
from claimkit.types import Severity

T0 = dt.datetime(2026, 4, 12, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
WEEK = dt.timedelta(days=7)
SUBJECT = Subject(source="drift", kind="denial_rate", payer="Aetna")


def signal(severity=Severity.MEDIUM, *, at=T0, is_firing=True):
    return AlertSignal(
        fingerprint="fp-spirou", is_firing=is_firing, severity=severity, at=at, subject=SUBJECT
    )


def run(*signals, alert=None):
    change = Change.NOTHING
    for one in signals:
        alert, change = apply(alert, one, reopen_within=WEEK)
    return alert, change


def test_the_first_signal_opens():
    alert, change = run(signal())

    assert change is Change.OPENED
    assert (alert.state, alert.severity, alert.count, alert.episode) == ("open", "medium", 1, 1)


def test_the_same_again_only_counts():
    alert, change = run(signal(), signal(at=T0 + HOUR))

    assert change is Change.SEEN
    assert (alert.count, alert.seen_at, alert.opened_at) == (2, T0 + HOUR, T0)


def test_more_severe_is_an_escalation_and_less_severe_is_not():
    worse, escalated = run(signal(), signal(Severity.HIGH, at=T0 + HOUR))
    better, seen = run(signal(), signal(Severity.LOW, at=T0 + HOUR))

    assert (worse.severity, escalated) == (Severity.HIGH, Change.ESCALATED)
    assert (better.severity, seen) == (Severity.LOW, Change.SEEN)


def test_its_end_resolves_and_the_end_of_nothing_is_nothing():
    alert, change = run(signal(), signal(at=T0 + HOUR, is_firing=False))

    assert (alert.state, alert.resolved_at, change) == ("resolved", T0 + HOUR, Change.RESOLVED)
    assert run(signal(is_firing=False)) == (None, Change.NOTHING)
    assert run(signal(at=T0 + 2 * HOUR, is_firing=False), alert=alert) == (alert, Change.NOTHING)


@pytest.mark.parametrize(
    ("after", "expected", "episode"),
    [(WEEK, Change.REOPENED, 2), (WEEK + HOUR, Change.OPENED, 1)],
)
def test_it_opens_again_for_a_while_and_is_a_new_one_then(after, expected, episode):
    ended, _ = run(signal(), signal(at=T0 + HOUR, is_firing=False))
    again, change = run(signal(at=T0 + HOUR + after), alert=ended)

    assert (change, again.episode, again.told) == (expected, episode, {})


def test_an_acknowledged_alert_stays_so_while_it_is_seen():
    alert, _ = run(signal())
    seen, _ = run(signal(Severity.CRITICAL, at=T0 + HOUR), alert=acknowledge(alert))

    assert seen.state is AlertState.ACKNOWLEDGED
    with pytest.raises(AlertConflict):
        acknowledge(resolve(seen, at=T0 + HOUR))


def test_resolving_twice_is_resolving_once():
    alert = resolve(run(signal())[0], at=T0 + HOUR)

    assert resolve(alert, at=T0 + 2 * HOUR) == alert


def test_who_was_told_of_less_learns_of_more():
    alert, _ = run(signal())
    told = Alert(
        fingerprint="x",
        subject=SUBJECT,
        severity=Severity.HIGH,
        opened_at=T0,
        seen_at=T0,
        told={
            "a": Told(severity=Severity.LOW, at=T0, since=T0),
            "b": Told(severity=Severity.MEDIUM, at=T0, since=T0),
        },
    )

    assert not alert.is_escalated
    assert told.is_escalated


moments = st.integers(0, 72).map(lambda hours: T0 + hours * HOUR)
signals = st.builds(signal, st.sampled_from(Severity), at=moments, is_firing=st.booleans())


@given(st.lists(signals, max_size=12))
def test_in_whatever_order_counts_and_states_make_sense(sent):
    alert, changes = None, []
    for one in sent:
        alert, change = apply(alert, one, reopen_within=WEEK)
        changes.append(change)

    opened = changes.count(Change.OPENED) + changes.count(Change.REOPENED)
    resolved = changes.count(Change.RESOLVED)
    assert opened - resolved in {0, 1}
    if alert is None:
        assert not any(one.is_firing for one in sent)
        return
    assert alert.state.is_live == (opened > resolved)
    assert (alert.resolved_at is None) == alert.state.is_live
    assert alert.count <= len(sent)


@given(st.lists(st.builds(signal, st.sampled_from(Severity), at=moments), min_size=1), st.randoms())
def test_the_latest_decides_whatever_comes_first(sent, random):
    """While it fires; of several at one instant the one that comes last."""
    by_time = {one.at: one for one in sent}
    ordered = list(by_time.values())
    shuffled = random.sample(ordered, len(ordered))

    one, _ = run(*sorted(ordered, key=lambda one: one.at))
    other, _ = run(*shuffled)

    assert (one.severity, one.seen_at, one.count) == (other.severity, other.seen_at, other.count)


def test_forgetting_leaves_those_who_were_told():
    told = Told(severity=Severity.LOW, at=T0, since=T0, channels=("mail", "pager"))
    alert = replace(run(signal())[0], told={"a": told})

    assert forget(alert, "a", ["mail"]).told["a"].channels == ("pager",)
    assert forget(alert, "a", ["mail", "pager"]).told == {}


def test_what_opens_again_was_told_of_before_and_is_not_told_of_now():
    told = Told(severity=Severity.LOW, at=T0, since=T0, steps=2, channels=("mail",))
    ended = replace(resolve(run(signal())[0], at=T0 + HOUR), told={"a": told})
    again, _ = run(signal(Severity.CRITICAL, at=T0 + 2 * HOUR), alert=ended)

    assert (again.is_told, again.is_escalated) == (False, False)
    assert again.told == {"a": replace(told, is_over=True, steps=0)}
