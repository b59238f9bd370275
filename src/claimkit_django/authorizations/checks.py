"""System checks of the authorizations room.

===============================  ==============================================================
``claimkit_authorizations.E001``  a setting of the authorizations room cannot be used
``claimkit_authorizations.W001``  without the claims room no units are counted
===============================  ==============================================================
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core import checks

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config

__all__ = ["register_checks"]


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_settings)
    checks.register(check_claims)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 for each setting that no check can work with."""
    try:
        room = read_config().authorizations
    except ConfigError:
        return []
    wrong = [
        f"['WARN_DAYS'] holds {one!r}, which is no number of days from 1 to 365"
        for one in room.warn_days
        if not (isinstance(one, str) and one.isdecimal() and 1 <= int(one) <= 365)
    ]
    wrong += [
        f"[{name.upper()!r}] must be above 0"
        for name in ("lead_days", "calendar_days", "max_import_bytes")
        if getattr(room, name) <= 0
    ]
    if not 0 < room.interval < 1:
        wrong.append("['INTERVAL'] must be above 0 and below 1")
    return [
        checks.Error(
            f"CLAIMKIT['AUTHORIZATIONS']{one}.",
            hint="Remove it to use the default.",
            id="claimkit_authorizations.E001",
        )
        for one in wrong
    ]


def check_claims(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W001 where nothing tells what was used."""
    if apps.is_installed("claimkit_django.claims"):
        return []
    return [
        checks.Warning(
            "Without the claims room, units are used only where people or files say so.",
            hint="Add claimkit_django.claims to INSTALLED_APPS.",
            id="claimkit_authorizations.W001",
        )
    ]
