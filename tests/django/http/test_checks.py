"""Limits that would not limit are found at start-up."""

from __future__ import annotations

import pytest

from claimkit_django.http.checks import check_middleware, check_rate_cache, check_rest

MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


def ids(found):
    return [one.id for one in found]


def test_the_defaults_are_fine():
    assert ids(check_rest()) == []
    assert ids(check_rate_cache()) == []


def test_a_rate_that_is_none_is_named_with_an_example(settings):
    settings.CLAIMKIT = {"REST": {"READ_RATE": "many"}}
    (found,) = check_rest()

    assert found.id == "claimkit_http.E001"
    assert found.msg == 'CLAIMKIT["REST"]["READ_RATE"]: \'many\' is not a rate.'
    assert "5/15m" in found.hint


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("TRUSTED_PROXIES", -1),
        ("MAX_BODY_BYTES", 0),
        ("IDEMPOTENCY_HOURS", 0),
        ("FORWARDED_HEADER", "X-Real-IP"),
    ],
)
def test_a_setting_out_of_range_is_named(settings, name, wrong):
    settings.CLAIMKIT = {"REST": {name: wrong}}
    (found,) = check_rest()

    assert found.id == "claimkit_http.E003"
    assert name in found.msg


def test_settings_that_cannot_be_read_are_somebody_elses_error(settings):
    settings.CLAIMKIT = {"REST": {"REED_RATE": "5/m"}}

    assert check_rest() == check_rate_cache() == []


def test_a_cache_that_is_not_there(settings):
    settings.CLAIMKIT = {"REST": {"RATE_CACHE": "redis"}}

    assert ids(check_rate_cache()) == ["claimkit_http.E002"]


def test_a_cache_that_does_not_count_atomically(settings):
    settings.CACHES = {
        "default": MEMORY,
        "slow": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
    }
    settings.CLAIMKIT = {"REST": {"RATE_CACHE": "slow"}}

    assert ids(check_rate_cache()) == ["claimkit_http.W001"]


def test_problems_before_their_request_id(settings):
    in_order = list(settings.MIDDLEWARE)
    settings.MIDDLEWARE = [in_order[1], in_order[0], *in_order[2:]]

    assert ids(check_middleware()) == ["claimkit_http.W002"]
    settings.MIDDLEWARE = in_order
    assert ids(check_middleware()) == []
