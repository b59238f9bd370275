"""System checks of the dashboard.

==========================  ==================================================================
``claimkit_dashboard.E001``  a setting of the dashboard cannot be used
``claimkit_dashboard.E002``  something that the pages build on is not installed
``claimkit_dashboard.W001``  the templates do not know who is signed in
==========================  ==================================================================
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config

__all__ = ["register_checks"]

_APPS = ("django.contrib.messages", "django.contrib.staticfiles", "claimkit_django.tenants")
_MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)
_PROCESSORS = (
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
)


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_settings)
    checks.register(check_site)
    checks.register(check_templates, checks.Tags.templates)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 for each number out of range."""
    try:
        room = read_config().dashboard
    except ConfigError:
        return []  # claimkit_tenants.E001 says so.
    ranges = {"page_size": (1, 500), "poll_seconds": (1, 60)}
    return [
        checks.Error(
            f'CLAIMKIT["DASHBOARD"]["{name.upper()}"] is {getattr(room, name)!r}.',
            hint=f"Set it to a whole number from {low} to {high}.",
            id="claimkit_dashboard.E001",
        )
        for name, (low, high) in ranges.items()
        if not low <= getattr(room, name) <= high
    ]


def check_site(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 for each app and each middleware that the pages need and the site lacks."""
    lacks = [(one, "INSTALLED_APPS") for one in _APPS if not apps.is_installed(one)]
    lacks += [(one, "MIDDLEWARE") for one in _MIDDLEWARE if one not in settings.MIDDLEWARE]
    return [
        checks.Error(
            f"The dashboard needs {name}.",
            hint=f"Add {name!r} to {where}.",
            id="claimkit_dashboard.E002",
        )
        for name, where in lacks
    ]


def check_templates(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W001 where no engine gives templates the request, the person and the messages."""
    templates: list[dict[str, Any]] = settings.TEMPLATES
    engines = [
        one.get("OPTIONS", {}).get("context_processors", [])
        for one in templates
        if one.get("BACKEND") == "django.template.backends.django.DjangoTemplates"
    ]
    if any(set(_PROCESSORS) <= {*known} for known in engines):
        return []
    return [
        checks.Warning(
            "The dashboard's templates do not know the request, the person or the messages.",
            hint=f"Add {', '.join(map(repr, _PROCESSORS))} to the context_processors of TEMPLATES.",
            id="claimkit_dashboard.W001",
        )
    ]
