"""System checks of the alerts room.

=======================  ======================================================================
``claimkit_alerts.E001``  ``cryptography`` is not installed: settings of channels cannot be kept
``claimkit_alerts.E002``  a setting of the alerts room cannot be used
``claimkit_alerts.W003``  mail is written to the console or nowhere although ``DEBUG`` is off
=======================  ======================================================================
"""

from __future__ import annotations

import importlib.util
from typing import Any

from django.conf import settings
from django.core import checks

from claimkit.errors import ConfigError
from claimkit.outbox import parse_wait
from claimkit_django.conf import read_config

__all__ = ["register_checks"]

_NOWHERE = ("console.EmailBackend", "dummy.EmailBackend", "filebased.EmailBackend")


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_cryptography)
    checks.register(check_settings)
    checks.register(check_mail, deploy=True)


def check_cryptography(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 where secrets could not be encrypted."""
    if importlib.util.find_spec("cryptography") is not None:
        return []
    return [
        checks.Error(
            "The package cryptography is not installed, so settings of channels cannot be kept.",
            hint="Install 'claimkit[webhooks]'.",
            id="claimkit_alerts.E001",
        )
    ]


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 for each setting that no worker can work with."""
    try:
        room = read_config().alerts
    except ConfigError:
        return []
    wrong = []
    for wait in room.retry_waits:
        try:
            parse_wait(wait)
        except ConfigError as error:
            wrong.append(f"['RETRY_WAITS']: {error.message}")
    wrong += [
        f"[{name.upper()!r}] must be above 0"
        for name in ("threads", "poll_seconds", "max_silence_days")
        if getattr(room, name) <= 0
    ]
    if room.reopen_days < 0:
        wrong.append("['REOPEN_DAYS'] must not be below 0")
    if room.page and "{uid}" not in room.page:
        wrong.append("['PAGE'] has no {uid}")
    return [
        checks.Error(
            f"CLAIMKIT['ALERTS']{one}.",
            hint="Remove it to use the default.",
            id="claimkit_alerts.E002",
        )
        for one in wrong
    ]


def check_mail(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W003 where people would never get a mail."""
    # Django 6.1 has MAILERS in the place of EMAIL_BACKEND.
    mailers: Any = getattr(settings, "MAILERS", None)
    backend = (
        settings.EMAIL_BACKEND
        if mailers is None
        else mailers.get("default", {}).get("BACKEND", "smtp")
    )
    if settings.DEBUG or not backend.endswith(_NOWHERE):
        return []
    return [
        checks.Warning(
            "The site's mail backend sends no mail, so nobody gets alerts by e-mail.",
            hint="Use the backend of SMTP, or of your provider.",
            id="claimkit_alerts.W003",
        )
    ]
