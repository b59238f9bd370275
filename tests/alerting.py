"""Signals, and what was decided about them."""

from __future__ import annotations

import datetime as dt

from django.db import DEFAULT_DB_ALIAS as USING
from django.utils import timezone

from claimkit.alerts.lifecycle import AlertSignal, Subject
from claimkit.types import Severity, TenantKey
from claimkit_django.alerts import models
from claimkit_django.alerts.board import receive
from claimkit_django.tenants.scope import enter


def signal(severity="medium", *, number=1, is_firing=True, at=None, **values):
    subject = {
        "source": "drift",
        "kind": "denial_rate",
        "payer": "Aetna",
        "summary": "Aetna denies 21 % of MRI claims instead of 8 %.",
        "onset": dt.date(2026, 3, 2),
        "dollars_per_month": 4_821_050,
    }
    return AlertSignal(
        fingerprint=f"fp-{number}",
        is_firing=is_firing,
        severity=Severity(severity),
        at=at or timezone.now(),
        subject=Subject(**{**subject, **values}),
    )


def report(tenant, *signals, now=None):
    return receive(TenantKey(tenant.key), signals, now=now or timezone.now(), using=USING)


def told(tenant):
    """Return what was decided about the tenant's alerts, in order."""
    with enter(tenant):
        lines = models.AlertEntry.objects.order_by("pk").values_list("what", "reason")
        return [f"{what}:{reason}" if reason else what for what, reason in lines]
