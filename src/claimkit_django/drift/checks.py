"""System checks of the drift room.

======================  =========================================================================
``claimkit_drift.E001``  the settings name a detector that nobody registered
``claimkit_drift.E002``  a setting of the drift room is out of range
======================  =========================================================================
"""

from __future__ import annotations

from typing import Any

from django.core import checks

from claimkit.drift.dimensions import DIMENSIONS, check_dimensions
from claimkit.errors import ConfigError, PluginError, UnknownName
from claimkit_django.conf import read_config
from claimkit_django.runtime import plugins

__all__ = ["register_checks"]


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_detectors)
    checks.register(check_limits)


def check_detectors(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 for each detector that is not registered, with the nearest name."""
    try:
        wanted = read_config().drift.detectors
        known = plugins().detectors
    except (ConfigError, PluginError):
        return []  # Told by the checks of the other rooms.
    return [
        checks.Error(
            f"CLAIMKIT['DRIFT']['DETECTORS']: {UnknownName.of('detector', name, known).message}.",
            hint="Run 'claimkit plugins' to see the detectors.",
            id="claimkit_drift.E001",
        )
        for name in wanted
        if name not in known
    ]


def check_limits(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 for numbers that no watch can work with."""
    try:
        drift = read_config().drift
    except ConfigError:
        return []
    wrong: list[tuple[str, str]] = []
    try:
        check_dimensions(drift.dimensions)
    except UnknownName:
        wrong.append(("dimensions", f"some of {', '.join(DIMENSIONS)}"))
    wrong += [(name, "above 0") for name in ("budget", "watch_budget") if getattr(drift, name) <= 0]
    if not 0 < drift.min_baseline_days <= drift.baseline_days:
        wrong.append(("min_baseline_days", "above 0 and at most BASELINE_DAYS"))
    if drift.dead_zone < 0:
        wrong.append(("dead_zone", "at least 0"))
    return [
        checks.Error(
            f"CLAIMKIT['DRIFT'][{name.upper()!r}] must be {wanted}.",
            hint="Remove it to use the default.",
            id="claimkit_drift.E002",
        )
        for name, wanted in wrong
    ]
