"""System checks of the automation room.

===========================  ==================================================================
``claimkit_automation.E001``  a setting of the automation room cannot be used
===========================  ==================================================================
"""

from __future__ import annotations

from typing import Any

from django.core import checks

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config

__all__ = ["register_checks"]


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_settings)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 for each number that no rule can work with."""
    try:
        room = read_config().automation
    except ConfigError:
        return []
    return [
        checks.Error(
            f"CLAIMKIT['AUTOMATION'][{name.upper()!r}] must be above 0.",
            hint="Remove it to use the default.",
            id="claimkit_automation.E001",
        )
        for name in ("action_seconds", "circuit_failures", "circuit_minutes", "max_rules")
        if getattr(room, name) <= 0
    ]
