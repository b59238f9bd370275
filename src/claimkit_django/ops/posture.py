"""How a site stands that people can reach: what Django's own ``check --deploy`` does not know of.

``DEBUG``, ``SECRET_KEY``, ``ALLOWED_HOSTS`` and cookies over HTTPS are Django's checks (``security.W…``);
these are about what claimkit stands on: the broker, the database, and what separates tenants in it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["check_broker", "check_databases", "check_row_security"]

_PLAIN: Final = {"redis": "rediss", "amqp": "amqps", "pyamqp": "amqps", "sentinel": "rediss"}
#: What software comes with, and what tutorials say.
_KNOWN_PASSWORDS: Final = frozenset(
    {
        "admin",
        "changeme",
        "change-me",
        "claimkit",
        "guest",
        "password",
        "postgres",
        "root",
        "secret",
    }
)
#: Of libpq: what encrypts whatever the server says.
_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})


def check_broker(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W004 where tasks travel in the clear, W005 where whoever reaches the broker gives orders."""
    url = urlsplit(str(getattr(settings, "CELERY_BROKER_URL", "") or ""))
    if url.scheme not in {*_PLAIN, *_PLAIN.values()}:
        return []
    found: list[checks.CheckMessage] = []
    if url.scheme in _PLAIN and not _is_here(url.hostname):
        found.append(
            checks.Warning(
                "Celery talks to its broker without TLS.",
                hint=f"Use {_PLAIN[url.scheme]}:// in CELERY_BROKER_URL.",
                id="claimkit_ops.W004",
            )
        )
    if not _is_here(url.hostname) and not _is_secret(url.password):
        found.append(
            checks.Warning(
                "The broker has no password, or one that everybody knows.",
                hint="Give the broker a password of its own, and put it into CELERY_BROKER_URL.",
                id="claimkit_ops.W005",
            )
        )
    return found


def check_databases(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W006 for a database that is reached in the clear, W007 for a password that is known."""
    return [one for alias in settings.DATABASES for one in _of_database(alias)]


def _of_database(alias: str) -> Iterator[checks.CheckMessage]:
    given: Mapping[str, Any] = settings.DATABASES[alias]
    if "postgresql" not in str(given.get("ENGINE", "")):
        return
    host = str(given.get("HOST") or "")
    options: Mapping[str, Any] = given.get("OPTIONS") or {}
    if options.get("service") or given.get("PASSFILE"):
        return  # Told elsewhere, where nobody can look from here.
    is_here = _is_here(host) or host.startswith("/")
    if not is_here and options.get("sslmode") not in _ENCRYPTED:
        yield checks.Warning(
            f"The connection to the database {alias!r} may go without TLS.",
            hint="Set 'sslmode': 'verify-full' in its OPTIONS, or at least 'require'.",
            id="claimkit_ops.W006",
        )
    password = str(given.get("PASSWORD") or "")
    if password.lower() in _KNOWN_PASSWORDS or (password and password == given.get("USER")):
        yield checks.Warning(
            f"The password of the database {alias!r} is one that everybody knows.",
            hint="Give the role a long random password.",
            id="claimkit_ops.W007",
        )


def check_row_security(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W008 where PostgreSQL could keep tenants apart itself, and is not asked to."""
    try:
        is_on = read_config().tenants.row_level_security
    except ConfigError:
        return []  # claimkit_tenants.E001 says so.
    on_postgresql = any("postgresql" in str(one["ENGINE"]) for one in settings.DATABASES.values())
    if is_on or not on_postgresql:
        return []
    return [
        checks.Warning(
            "Row-level security is off: only the code keeps tenants apart.",
            hint="Set CLAIMKIT['TENANTS']['ROW_LEVEL_SECURITY'] to True, and work as a role that "
            "owns no table.",
            id="claimkit_ops.W008",
        )
    ]


def _is_here(host: str | None) -> bool:
    """Whether a host is this machine; an empty one is a socket."""
    if not host or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_secret(password: str | None) -> bool:
    return bool(password) and str(password).lower() not in _KNOWN_PASSWORDS
