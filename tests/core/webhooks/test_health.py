from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.config import WebhooksConfig
from claimkit.webhooks.health import Health, parse_retry_after

NOON = dt.datetime(2026, 4, 12, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def test_a_circuit_opens_after_failures_in_a_row_and_holds_longer_each_time():
    health, holds = Health(), []
    for _ in range(12):
        health = health.after_failure(NOON, limit=3)
        holds.append((health.held_until - NOON).total_seconds() if health.held_until else 0)

    assert holds == [0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert health.lane("a", limit=3).width == 1


def test_a_success_forgives_everything():
    health = Health().after_failure(NOON, limit=1)

    assert not health.is_clean
    assert health.after_success().is_clean
    assert health.after_success().lane("a", limit=1).width > 1


@pytest.mark.parametrize(("status", "held"), [(429, True), (503, True), (500, False), (404, False)])
def test_who_asks_for_time_is_given_it(status, held):
    health = Health().after_failure(NOON, limit=9, status=status, asked=dt.timedelta(minutes=7))

    assert (health.held_until == NOON + dt.timedelta(minutes=7)) == held


def test_days_of_nothing_but_failures_are_too_long():
    config = WebhooksConfig(disable_after_days=5.0)
    health = Health().after_failure(NOON, limit=9).after_failure(NOON + 4 * DAY, limit=9)

    assert not health.has_failed_too_long(NOON + 5 * DAY - dt.timedelta(seconds=1), config)
    assert health.has_failed_too_long(NOON + 5 * DAY, config)
    assert not Health().has_failed_too_long(NOON + 99 * DAY, config)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("120", 120), ("0", 0), ("86400", 86_400), ("99999999999999", 86_400)),
        ("Sun, 12 Apr 2026 12:05:00 GMT", 300),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Sun, 12 Apr 2099 12:05:00 GMT", 86_400),
        *(("-1", None), ("1e9", None), ("soon", None), ("", None), ("١٢", None), ("1.5", None)),
    ],
)
def test_what_retry_after_asks_for(text, seconds):
    """A41."""
    wait = parse_retry_after(text, NOON)

    assert (wait.total_seconds() if wait is not None else None) == seconds


@given(st.text(max_size=40))
def test_junk_is_no_error(text):
    wait = parse_retry_after(text, NOON)

    assert wait is None or dt.timedelta() <= wait <= DAY
