"""System checks of the claims room.

=======================  ========================================================================
``claimkit_claims.E001``  a plugin that is required cannot be loaded
``claimkit_claims.E002``  a setting of the claims room is out of range
``claimkit_claims.W002``  a plugin was left out because it cannot be loaded
``claimkit_claims.W003``  the patient key can be guessed, or is the secret key (``check --deploy``)
``claimkit_claims.W001``  patient tokens hang on ``SECRET_KEY`` (``check --deploy``)
=======================  ========================================================================
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from claimkit.errors import ConfigError, PluginError
from claimkit_django.claims.senders import is_spelled_right
from claimkit_django.conf import read_config
from claimkit_django.runtime import plugins

__all__ = ["register_checks"]

#: Characters of a key, and different ones among them, below which it is no random secret.
_LEAST_KEY = 32
_LEAST_CHARACTERS = 10


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_plugins)
    checks.register(check_limits)
    checks.register(check_patient_key, deploy=True)


def check_plugins(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 where a required plugin cannot be loaded, W002 where another one was left out."""
    try:
        read_config()
    except ConfigError:
        return []  # claimkit_tenants.E001 says so.
    try:
        failed = plugins().failed
    except (PluginError, ConfigError) as error:
        return [
            checks.Error(
                f"Plugins cannot be loaded: {error.message}.",
                hint=error.remedy or "Run 'claimkit plugins' to see what is installed.",
                id="claimkit_claims.E001",
            )
        ]
    return [
        checks.Warning(
            f"A plugin was left out: {one.error.message}.",
            hint=one.error.remedy,
            id="claimkit_claims.W002",
        )
        for one in failed
    ]


def check_limits(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 for numbers that no import can work with."""
    try:
        claims = read_config().claims
    except ConfigError:
        return []
    wrong = [
        (name, "at least 1") for name in ("batch_size", "max_problems") if getattr(claims, name) < 1
    ]
    if claims.max_intake_bytes < 1:
        wrong.append(("max_intake_bytes", "at least 1"))
    if not all(map(is_spelled_right, claims.signed_senders)):
        wrong.append(("signed_senders", "a list of 'tenant:sender' or 'tenant:sender:2'"))
    if not 0 < claims.max_problem_share <= 1:
        wrong.append(("max_problem_share", "above 0 and at most 1"))
    return [
        checks.Error(
            f"CLAIMKIT['CLAIMS'][{name.upper()!r}] must be {wanted}.",
            hint="Remove it to use the default.",
            id="claimkit_claims.E002",
        )
        for name, wanted in wrong
    ]


def check_patient_key(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W001 where rotating ``SECRET_KEY`` changes every token, W003 where members could be guessed."""
    try:
        claims = read_config().claims
    except ConfigError:
        return []
    if claims.patient_key:
        return _guessable(claims.patient_key)
    return [
        checks.Warning(
            "Patient tokens are derived from SECRET_KEY: rotating it gives every patient a new one.",
            hint="Set CLAIMKIT['CLAIMS']['PATIENT_KEY'] to a long random secret of its own.",
            id="claimkit_claims.W001",
        )
    ]


def _guessable(key: str) -> list[checks.CheckMessage]:
    """Return W003 for a key that is short, made of few characters, or used for something else."""
    if len(key) >= _LEAST_KEY and len(set(key)) >= _LEAST_CHARACTERS and key != settings.SECRET_KEY:
        return []
    return [
        checks.Warning(
            "The patient key can be guessed, or is SECRET_KEY again: with it, member ids can be tested.",
            hint="Make one with secrets.token_urlsafe(32). It gives every patient a new token, so "
            "change it before claims are in.",
            id="claimkit_claims.W003",
        )
    ]
