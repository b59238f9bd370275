"""System checks of the ops room.

====================  ========================================================================
``claimkit_ops.E001``  a setting of the ops room cannot be used
``claimkit_ops.E002``  a token is short enough to be guessed
``claimkit_ops.E003``  a channel for alerts of the site cannot be used
``claimkit_ops.W001``  nobody but staff may see metrics and health details
``claimkit_ops.W002``  requests are to be counted, and ``prometheus-client`` is not installed
``claimkit_ops.W003``  middleware before the one that counts answers requests that it never sees
``claimkit_ops.W004``  tasks travel to the broker without TLS (``check --deploy``)
``claimkit_ops.W005``  the broker has no password, or a known one (``check --deploy``)
``claimkit_ops.W006``  a database is reached without TLS (``check --deploy``)
``claimkit_ops.W007``  a database has a known password (``check --deploy``)
``claimkit_ops.W008``  row-level security is off on PostgreSQL (``check --deploy``)
``claimkit_ops.W009``  a table that is cut by month has no partition for the next month
``claimkit_ops.W010``  a class goes by whole months only, and its table is not cut by month
====================  ========================================================================
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.db import DEFAULT_DB_ALIAS

from claimkit.errors import ClaimkitError, ConfigError, did_you_mean
from claimkit_django.conf import read_config
from claimkit_django.ops import months, posture
from claimkit_django.ops.metrics import is_installed
from claimkit_django.ops.platform import channels
from claimkit_django.vitals import health_checks

if TYPE_CHECKING:
    from claimkit.config import OpsConfig

__all__ = ["register_checks"]

_LEAST_TOKEN = 16
_MIDDLEWARE = "claimkit_django.ops.middleware.MetricsMiddleware"
_TENANT_LABELS = ("", "key", "hash")


def register_checks() -> None:
    """Register the checks of this room; called once, when the app is ready."""
    checks.register(check_settings)
    checks.register(check_tokens)
    checks.register(check_channels)
    checks.register(check_access, deploy=True)
    checks.register(check_metrics)
    checks.register(months.check_months, checks.Tags.database)
    checks.register(posture.check_broker, deploy=True)
    checks.register(posture.check_databases, deploy=True)
    checks.register(posture.check_row_security, deploy=True)


def check_settings(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 for each setting that cannot be used."""
    room = _room()
    if room is None:
        return []
    wrong = [
        f"[{name.upper()!r}] must be above 0"
        for name in ("check_seconds", "outbox_lag_seconds", "alert_window_minutes")
        if getattr(room, name) <= 0
    ]
    wrong += [
        f"[{name.upper()!r}] must not be below 0"
        for name in ("keep_seconds", "workers", "alert_repeat_hours")
        if getattr(room, name) < 0
    ]
    if not 0 <= room.disk_free_percent <= 50:
        wrong.append("['DISK_FREE_PERCENT'] must be from 0 to 50")
    if room.tenant_label not in _TENANT_LABELS:
        wrong.append("['TENANT_LABEL'] must be empty, 'key' or 'hash'")
    wrong += [
        f"['READY']: no check is called {one!r}{did_you_mean(one, _names())}"
        for one in room.ready
        if one not in _names()
    ]
    for one in room.allowed_networks:
        try:
            ip_network(one)
        except ValueError:
            wrong.append(f"['ALLOWED_NETWORKS']: {one!r} is not a network such as '192.0.2.0/24'")
    return [
        checks.Error(
            f"CLAIMKIT['OPS']{one}.",
            hint="Remove it to use the default.",
            id="claimkit_ops.E001",
        )
        for one in wrong
    ]


def check_tokens(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 where a token is short."""
    room = _room()
    if room is None or all(len(one) >= _LEAST_TOKEN for one in room.tokens):
        return []
    return [
        checks.Error(
            f"A token in CLAIMKIT['OPS']['TOKENS'] has fewer than {_LEAST_TOKEN} characters.",
            hint="Make one with secrets.token_urlsafe(32).",
            id="claimkit_ops.E002",
        )
    ]


def check_channels(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E003 where operators could not be told."""
    if _room() is None:
        return []
    try:
        channels()
    except ClaimkitError as error:
        return [
            checks.Error(
                f"CLAIMKIT['OPS']['ALERT_CHANNELS']: {error}.",
                hint='Write a kind and its settings, like: email {"to": ["ops@example.org"]}',
                id="claimkit_ops.E003",
            )
        ]
    return []


def check_access(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W001 where no program could read metrics."""
    room = _room()
    if room is None or room.tokens or room.allowed_networks:
        return []
    return [
        checks.Warning(
            "Only staff can see metrics and health details; a Prometheus server cannot sign in.",
            hint="Set CLAIMKIT['OPS']['TOKENS'] or ['ALLOWED_NETWORKS'].",
            id="claimkit_ops.W001",
        )
    ]


def check_metrics(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W002 and W003 where requests would not be counted, or not all of them."""
    listed = list(settings.MIDDLEWARE)
    if _MIDDLEWARE not in listed:
        return []
    found: list[checks.CheckMessage] = []
    if not is_installed():
        found.append(
            checks.Warning(
                "The package prometheus-client is not installed, so nothing is counted.",
                hint="Install 'claimkit[metrics]'.",
                id="claimkit_ops.W002",
            )
        )
    if listed[0] != _MIDDLEWARE:
        found.append(
            checks.Warning(
                "Requests that earlier middleware answers are not counted.",
                hint=f"List {_MIDDLEWARE!r} first in MIDDLEWARE.",
                id="claimkit_ops.W003",
            )
        )
    return found


def _names() -> set[str]:
    found = {one.name.partition(":")[0] for one in health_checks(DEFAULT_DB_ALIAS)}
    # Whether these are there depends on other settings.
    return found | {"row_security", "broker", "workers"}


def _room() -> OpsConfig | None:
    try:
        return read_config().ops
    except ConfigError:
        return None  # claimkit_tenants.E001 says so.
