"""System checks of the HTTP layer: limits that would not limit, middleware in the wrong place.

======================  =========================================================================
``claimkit_http.E001``  a rate in ``CLAIMKIT["REST"]`` is not a rate
``claimkit_http.E002``  ``CLAIMKIT["REST"]["RATE_CACHE"]`` is not one of ``CACHES``
``claimkit_http.E003``  a number or header in ``CLAIMKIT["REST"]`` is out of range
``claimkit_http.W001``  the cache that counts requests does not count atomically
``claimkit_http.W002``  middleware stands in the wrong order
``claimkit_http.E004``  every origin may use the cookies of the site's people
``claimkit_http.W003``  scripts of other origins cannot read headers of the API
``claimkit_http.W004``  a header is exposed that browsers never show to scripts
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

__all__ = ["EXPOSED", "register_checks"]

_RATES = ("read_rate", "write_rate", "anonymous_rate", "refused_rate")
#: Caches whose ``incr`` reads, adds and writes, so that requests at the same time count as one.
_NOT_ATOMIC = ("db.DatabaseCache", "filebased.FileBasedCache", "dummy.DummyCache")
#: First must be listed before second, and why.
_ORDER = (
    (
        "claimkit_django.http.request_ids.RequestIdMiddleware",
        "claimkit_django.http.problems.ProblemMiddleware",
        "Problems are told without the id of their request.",
    ),
    (
        "claimkit_django.http.security.SecurityHeadersMiddleware",
        "django.middleware.security.SecurityMiddleware",
        "Redirects to HTTPS leave without security headers.",
    ),
    (
        "claimkit_django.http.security.SecurityHeadersMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "CSRF failures leave without security headers.",
    ),
    (
        "claimkit_django.http.compression.CompressionMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "The ETag is made of bytes that the compression changes.",
    ),
    (
        "claimkit_django.http.compression.CompressionMiddleware",
        "claimkit_django.http.problems.ProblemMiddleware",
        "Problems are not compressed, and replace what was.",
    ),
)
#: What the API says in headers, for scripts of other origins to read.
EXPOSED = (
    *("API-Version", "Deprecation", "ETag", "Idempotency-Replayed", "Link", "Location"),
    *("RateLimit", "RateLimit-Policy", "Retry-After", "Sunset", "X-Request-ID"),
)
#: Browsers show these to no script, whatever is exposed.
_NEVER = frozenset({"set-cookie", "set-cookie2"})
_CORS = "corsheaders.middleware.CorsMiddleware"


def register_checks() -> None:
    """Register the checks of the HTTP layer; calling it again changes nothing."""
    checks.register(check_rest)
    checks.register(check_rate_cache)
    checks.register(check_middleware)
    checks.register(check_cors)


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
    """Return W002 for each pair of middleware in the wrong order."""
    listed = list(settings.MIDDLEWARE)
    return [
        checks.Warning(
            why,
            hint=f"List {first!r} before {second!r} in MIDDLEWARE.",
            id="claimkit_http.W002",
        )
        for first, second, why in _ORDER
        if first in listed and second in listed and listed.index(second) < listed.index(first)
    ]


def check_cors(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E004, W003 and W004 where django-cors-headers is set up to expose too much or little."""
    if _CORS not in settings.MIDDLEWARE:
        return []
    found: list[checks.CheckMessage] = []
    is_open = getattr(settings, "CORS_ALLOW_ALL_ORIGINS", False)
    if is_open and getattr(settings, "CORS_ALLOW_CREDENTIALS", False):
        found.append(
            checks.Error(
                "Pages of every origin may act with the cookies of the site's people.",
                hint="Name the origins in CORS_ALLOWED_ORIGINS.",
                id="claimkit_http.E004",
            )
        )
    exposed = {name.lower() for name in getattr(settings, "CORS_EXPOSE_HEADERS", ())}
    missing = [name for name in EXPOSED if name.lower() not in exposed]
    if missing and "*" not in exposed:
        found.append(
            checks.Warning(
                f"Scripts of other origins cannot read {', '.join(missing)}.",
                hint="CORS_EXPOSE_HEADERS = claimkit_django.http.checks.EXPOSED has them all.",
                id="claimkit_http.W003",
            )
        )
    if exposed & _NEVER:
        found.append(
            checks.Warning(
                f"No browser shows {', '.join(sorted(exposed & _NEVER))} to a script.",
                hint="Take it out of CORS_EXPOSE_HEADERS.",
                id="claimkit_http.W004",
            )
        )
    return found


def _rest() -> RestConfig | None:
    """Return the settings; None where the tenants room reports that they cannot be read."""
    try:
        return read_config().rest
    except ConfigError:
        return None
