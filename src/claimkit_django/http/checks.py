"""System checks of the HTTP layer: limits that would not limit, middleware in the wrong place.

======================  =========================================================================
``claimkit_http.E001``  a rate in ``CLAIMKIT["REST"]`` is not a rate
``claimkit_http.E002``  ``CLAIMKIT["REST"]["RATE_CACHE"]`` is not one of ``CACHES``
``claimkit_http.E003``  a number or header in ``CLAIMKIT["REST"]`` is out of range
``claimkit_http.W001``  the cache that counts requests does not count atomically
``claimkit_http.W002``  the request id is not given first
======================  =========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config
from claimkit_django.http.quotas import Rate

if TYPE_CHECKING:
    from claimkit.config import RestConfig

__all__ = ["register_checks"]

_RATES = ("read_rate", "write_rate", "anonymous_rate", "refused_rate")
#: Caches whose ``incr`` reads, adds and writes, so that requests at the same time count as one.
_NOT_ATOMIC = ("db.DatabaseCache", "filebased.FileBasedCache", "dummy.DummyCache")
_REQUEST_ID = "claimkit_django.http.request_ids.RequestIdMiddleware"
_PROBLEMS = "claimkit_django.http.problems.ProblemMiddleware"


def register_checks() -> None:
    """Register the checks of the HTTP layer; calling it again changes nothing."""
    checks.register(check_rest)
    checks.register(check_rate_cache)
    checks.register(check_middleware)


def check_rest(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 and E003 for settings of the API that cannot be used."""
    rest = _rest()
    if rest is None:
        return []
    found: list[checks.CheckMessage] = []
    for name in _RATES:
        try:
            Rate.parse(getattr(rest, name))
        except ConfigError as error:
            found.append(
                checks.Error(
                    f'CLAIMKIT["REST"]["{name.upper()}"]: {error.message}.',
                    hint=f"{error.remedy}.",
                    id="claimkit_http.E001",
                )
            )
    wrong = [
        ("TRUSTED_PROXIES", rest.trusted_proxies < 0),
        ("MAX_BODY_BYTES", rest.max_body_bytes < 1),
        ("IDEMPOTENCY_HOURS", rest.idempotency_hours < 1),
        ("FORWARDED_HEADER", rest.forwarded_header.lower() not in _FORWARDED),
    ]
    found += [
        checks.Error(
            f'CLAIMKIT["REST"]["{name}"] is out of range.',
            hint="See the reference of settings.",
            id="claimkit_http.E003",
        )
        for name, is_wrong in wrong
        if is_wrong
    ]
    return found


_FORWARDED = ("x-forwarded-for", "forwarded")


def check_rate_cache(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 or W001 where requests would not be counted, or counted wrongly."""
    rest = _rest()
    if rest is None:
        return []
    if rest.rate_cache not in settings.CACHES:
        return [
            checks.Error(
                f'CLAIMKIT["REST"]["RATE_CACHE"] names {rest.rate_cache!r}, which is not in CACHES.',
                hint="Name one of the caches of the site.",
                id="claimkit_http.E002",
            )
        ]
    backend = settings.CACHES[rest.rate_cache].get("BACKEND", "")
    if not backend.endswith(_NOT_ATOMIC):
        return []
    return [
        checks.Warning(
            f"The cache {rest.rate_cache!r} does not count atomically; limits can be overrun.",
            hint='Name a Redis or Memcached cache in CLAIMKIT["REST"]["RATE_CACHE"].',
            id="claimkit_http.W001",
        )
    ]


def check_middleware(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W002 where an error could leave without a request id."""
    listed = list(settings.MIDDLEWARE)
    if (
        _REQUEST_ID in listed
        and _PROBLEMS in listed
        and listed.index(_PROBLEMS) < listed.index(_REQUEST_ID)
    ):
        return [
            checks.Warning(
                "Problems are told without the id of their request.",
                hint=f"List {_REQUEST_ID!r} before {_PROBLEMS!r} in MIDDLEWARE.",
                id="claimkit_http.W002",
            )
        ]
    return []


def _rest() -> RestConfig | None:
    """Return the settings; None where the tenants room reports that they cannot be read."""
    try:
        return read_config().rest
    except ConfigError:
        return None
