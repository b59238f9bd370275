"""System checks of the accounts room.

=========================  ====================================================================
``claimkit_accounts.E001``  a setting of the accounts room cannot be used
``claimkit_accounts.E002``  the limits of sessions stand in the wrong place
``claimkit_accounts.W001``  sessions are kept in cookies, so nobody can end them
=========================  ====================================================================
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config
from claimkit_django.http.quotas import Rate

__all__ = ["register_checks"]

_RATES = (
    *("login_rate", "login_account_rate", "login_network_rate"),
    *("reset_rate", "reset_network_rate"),
)
_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_LIMITS = "claimkit_django.accounts.sessions.SessionLimitMiddleware"


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_settings)
    checks.register(check_middleware)
    checks.register(check_sessions, deploy=True)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 for each rate that is none, and each number out of range."""
    try:
        room = read_config().accounts
    except ConfigError:
        return []  # claimkit_tenants.E001 says so.
    wrong: list[tuple[str, str]] = []
    for name in _RATES:
        try:
            Rate.parse(getattr(room, name))
        except ConfigError as error:
            wrong.append((name, error.remedy))
    wrong += [
        (name, "Set it to 1 at least.")
        for name in ("reset_hours", "idle_minutes", "session_hours")
        if getattr(room, name) < 1
    ]
    return [
        checks.Error(
            f'CLAIMKIT["ACCOUNTS"]["{name.upper()}"] is {getattr(room, name)!r}.',
            hint=hint,
            id="claimkit_accounts.E001",
        )
        for name, hint in wrong
    ]


def check_middleware(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 where sessions would be limited before they are read, or after they are used."""
    listed = list(settings.MIDDLEWARE)
    if _LIMITS not in listed:
        return []
    at = listed.index(_LIMITS)
    if _SESSIONS in listed[:at] and _AUTHENTICATION not in listed[:at]:
        return []
    return [
        checks.Error(
            "SessionLimitMiddleware does not stand between sessions and authentication.",
            hint=f"List {_LIMITS!r} after {_SESSIONS!r} and before {_AUTHENTICATION!r}.",
            id="claimkit_accounts.E002",
        )
    ]


def check_sessions(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W001 where a session lives on in its cookie after its person signed out."""
    if not settings.SESSION_ENGINE.endswith("signed_cookies"):
        return []
    return [
        checks.Warning(
            "Sessions are kept in cookies: a copy of one works after its person signed out.",
            hint="Choose another SESSION_ENGINE, such as django.contrib.sessions.backends.db.",
            id="claimkit_accounts.W001",
        )
    ]
