"""Limits that hold when requests arrive together, and that say what is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import caches
from django.http import HttpResponse
from hypothesis import given
from hypothesis import strategies as st

from claimkit.errors import ConfigError
from claimkit_django.http.quotas import Quota, Rate, write_headers

NOON = 1_767_268_800.0


@pytest.fixture(autouse=True)
def _empty_cache():
    caches["default"].clear()


def per_quarter(limit=5):
    return Quota(name="sign-in", rate=Rate(limit=limit, seconds=900))


@pytest.mark.parametrize(
    ("text", "limit", "seconds"),
    [
        ("5/15m", 5, 900),
        ("100/h", 100, 3_600),
        ("10/minute", 10, 60),
        ("3 / 2 days", 3, 172_800),
        ("0/s", 0, 1),
    ],
)
def test_a_rate_has_any_period(text, limit, seconds):
    assert Rate.parse(text) == Rate(limit=limit, seconds=seconds)


def test_no_text_is_no_limit():
    assert Rate.parse("") is None


@pytest.mark.parametrize("text", ["5", "five/m", "5/fortnight", "5/0m", "-1/m", "5/m/s"])
def test_what_is_no_rate_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match="is not a rate"):
        Rate.parse(text)


def test_the_sixth_of_five_has_to_wait():
    quota = per_quarter()
    verdicts = [quota.take("mallory", now=NOON + second) for second in range(6)]

    assert [one.allowed for one in verdicts] == [True] * 5 + [False]
    assert [one.remaining for one in verdicts] == [4, 3, 2, 1, 0, 0]
    assert verdicts[-1].reset_seconds == 895
    assert quota.take("alice", now=NOON).allowed


def test_a_window_that_ends_does_not_give_twice_the_limit():
    quota = per_quarter()
    for _ in range(5):
        quota.take("mallory", now=NOON + 899)

    assert not quota.take("mallory", now=NOON + 901).allowed
    assert quota.take("mallory", now=NOON + 900 + 200).allowed


def test_what_was_refused_is_not_counted():
    quota = per_quarter()
    for _ in range(50):
        quota.take("mallory", now=NOON)

    assert quota.take("mallory", now=NOON + 900 + 181).allowed


def test_looking_takes_nothing_and_forgetting_gives_back():
    quota = per_quarter(limit=1)

    assert quota.look("alice", now=NOON).allowed
    assert quota.take("alice", now=NOON).allowed
    assert not quota.look("alice", now=NOON).allowed
    quota.forget("alice", now=NOON)
    assert quota.take("alice", now=NOON).allowed


@given(
    before=st.integers(0, 7),
    taken=st.integers(0, 9),
    limit=st.integers(1, 5),
    elapsed=st.integers(0, 59),
)
def test_after_the_told_wait_it_is_allowed_and_not_much_before(before, taken, limit, elapsed):
    caches["default"].clear()
    quota = Quota(name="read", rate=Rate(limit=limit, seconds=60))
    for _ in range(before):
        quota.take("bee", now=NOON - 1)
    now = NOON + elapsed
    verdict = [quota.take("bee", now=now) for _ in range(taken + 1)][-1]

    if not verdict.allowed:
        assert not quota.look("bee", now=now + max(0, verdict.wait_seconds - 2)).allowed
        assert quota.look("bee", now=now + verdict.wait_seconds).allowed


def test_two_hundred_at_once_take_exactly_fifty():
    quota = Quota(name="burst", rate=Rate(limit=50, seconds=60))
    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(lambda _: quota.take("crowd", now=NOON), range(200)))

    assert sum(one.allowed for one in verdicts) == 50


def test_a_cache_that_is_down_lets_everyone_in(settings, caplog):
    quota = Quota(name="read", rate=Rate(limit=1, seconds=60), cache="nowhere")

    assert quota.take("bee").allowed
    assert quota.take("bee").allowed
    assert "the cache does not answer" in caplog.text


def test_headers_tell_policy_rest_and_when_to_come_back():
    quota = per_quarter(limit=1)
    answer, refusal = HttpResponse(), HttpResponse(status=429)
    write_headers(answer, quota.take("bee", now=NOON + 100))
    write_headers(refusal, quota.take("bee", now=NOON + 100))

    assert answer["RateLimit-Policy"] == '"sign-in";q=1;w=900'
    assert answer["RateLimit"] == '"sign-in";r=0;t=800'
    assert "Retry-After" not in answer
    assert int(refusal["Retry-After"]) >= 800
