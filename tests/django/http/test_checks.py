"""Limits that would not limit are found at start-up."""

from __future__ import annotations

import pytest

from claimkit_django.http.checks import (
    EXPOSED,
    check_cors,
    check_middleware,
    check_rate_cache,
    check_rest,
)

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


OURS = "claimkit_django.http."
DJANGOS = "django.middleware."


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"{OURS}request_ids.RequestIdMiddleware", f"{OURS}problems.ProblemMiddleware"),
        (f"{OURS}security.SecurityHeadersMiddleware", f"{DJANGOS}security.SecurityMiddleware"),
        (f"{OURS}security.SecurityHeadersMiddleware", f"{DJANGOS}csrf.CsrfViewMiddleware"),
        (f"{OURS}compression.CompressionMiddleware", f"{DJANGOS}http.ConditionalGetMiddleware"),
        (f"{OURS}compression.CompressionMiddleware", f"{OURS}problems.ProblemMiddleware"),
    ],
)
def test_middleware_in_the_wrong_order_is_named(settings, first, second):
    settings.MIDDLEWARE = [second, first]
    (found,) = check_middleware()

    assert found.id == "claimkit_http.W002"
    assert found.hint == f"List {first!r} before {second!r} in MIDDLEWARE."
    for fine in ([first, second], [first], [second]):
        settings.MIDDLEWARE = fine
        assert check_middleware() == []


def cors(settings, **told):
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware"]
    for name, value in told.items():
        setattr(settings, name, value)
    return ids(check_cors())


def test_cors_is_the_sites_business_until_it_is_there(settings):
    settings.CORS_ALLOW_ALL_ORIGINS = settings.CORS_ALLOW_CREDENTIALS = True

    assert check_cors() == []


def test_cors_for_everyone_with_cookies_is_an_error(settings):
    open_to_all = {"CORS_ALLOW_ALL_ORIGINS": True, "CORS_EXPOSE_HEADERS": EXPOSED}

    assert cors(settings, **open_to_all, CORS_ALLOW_CREDENTIALS=True) == ["claimkit_http.E004"]
    assert cors(settings, **open_to_all, CORS_ALLOW_CREDENTIALS=False) == []


def test_headers_that_scripts_cannot_read_are_named(settings):
    assert cors(settings) == ["claimkit_http.W003"]
    assert cors(settings, CORS_EXPOSE_HEADERS=[name.lower() for name in EXPOSED]) == []
    assert cors(settings, CORS_EXPOSE_HEADERS=[*EXPOSED, "Set-Cookie"]) == ["claimkit_http.W004"]
