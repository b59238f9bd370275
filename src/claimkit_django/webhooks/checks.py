"""System checks of the webhooks room.

=========================  =====================================================================
``claimkit_webhooks.E001``  ``cryptography`` is not installed: keys of endpoints cannot be kept
``claimkit_webhooks.E002``  a setting of the webhooks room cannot be used
``claimkit_webhooks.E003``  endpoints without TLS or inside networks are allowed in production
=========================  =====================================================================
"""

from __future__ import annotations

import importlib.util
from typing import Any

from django.conf import settings
from django.core import checks

from claimkit.errors import ConfigError
from claimkit.outbox import parse_wait
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import parse_proxy
from claimkit_django.conf import read_config

__all__ = ["register_checks"]


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_cryptography)
    checks.register(check_settings)
    checks.register(check_production)


def check_cryptography(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 where secrets could not be encrypted."""
    if importlib.util.find_spec("cryptography") is not None:
        return []
    return [
        checks.Error(
            "The package cryptography is not installed, so keys of endpoints cannot be kept.",
            hint="Install 'claimkit[webhooks]'.",
            id="claimkit_webhooks.E001",
        )
    ]


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 for each setting that no worker can work with."""
    try:
        room = read_config().webhooks
    except ConfigError:
        return []
    wrong = []
    for wait in room.retry_waits:
        try:
            parse_wait(wait)
        except ConfigError as error:
            wrong.append(f"['RETRY_WAITS']: {error.message}")
    try:
        TargetPolicy.of(room)
    except ConfigError as error:
        wrong.append(f": {error.message}")
    try:
        if room.proxy:
            parse_proxy(room.proxy)
    except ConfigError as error:
        wrong.append(f"['PROXY']: {error.message}")
    wrong += [
        f"[{name.upper()!r}] must be above 0"
        for name in ("batch_size", "threads", "circuit_failures", "attempt_seconds", "poll_seconds")
        if getattr(room, name) <= 0
    ]
    return [
        checks.Error(
            f"CLAIMKIT['WEBHOOKS']{one}.",
            hint="Remove it to use the default.",
            id="claimkit_webhooks.E002",
        )
        for one in wrong
    ]


def check_production(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E003 where a setting for development is on although ``DEBUG`` is off."""
    try:
        room = read_config().webhooks
    except ConfigError:
        return []
    if settings.DEBUG or not room.allow_http:
        return []
    return [
        checks.Error(
            "CLAIMKIT['WEBHOOKS']['ALLOW_HTTP'] is for development only.",
            hint="Remove it, or set DEBUG where you develop.",
            id="claimkit_webhooks.E003",
        )
    ]
