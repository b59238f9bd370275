"""What operators of a site set, and what waits in its outboxes."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from claimkit import events
from claimkit_django.alerts.models import Alert, Channel, Notification
from claimkit_django.drift.models import WatchRun
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.models import Delivery, Endpoint, Message

TOKEN = "marsupilami-" + "k" * 20


@pytest.fixture
def ops(settings):
    """Set values of the ops room, beside what the site has."""

    def configure(**values):
        settings.CLAIMKIT = {
            **settings.CLAIMKIT,
            "OPS": {"TOKENS": [TOKEN], "KEEP_SECONDS": 0.0, "CHECK_SECONDS": 20.0, **values},
        }

    configure()
    return configure


@pytest.fixture
def bearer():
    return {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def waiting():
    """Put a delivery of webhooks into a tenant's outbox, due for so many seconds."""

    def make(tenant, *, seconds=0, held=False, **values):
        now = timezone.now()
        with enter(tenant):
            lane = Endpoint.objects.create(
                url="https://hooks.example.org",
                held_until=now + dt.timedelta(hours=1) if held else None,
            )
            message = Message.objects.create(
                uid="msg_1", event_type="claims.imported", version=1, detail="thin",
                occurred_at=now, body=b"{}",
            ) if not Message.objects.exists() else Message.objects.first()  # fmt: skip
            due_at = now - dt.timedelta(seconds=seconds)
            return Delivery.objects.create(lane=lane, message=message, due_at=due_at, **values)

    return make


@pytest.fixture
def notification(northside):
    """Put a notification into northside's outbox, due for so many seconds."""

    def make(seconds):
        now = timezone.now()
        with enter(northside):
            channel = Channel.objects.create(name="Mail", kind="email")
            return Notification.objects.create(
                lane=channel,
                route="rte_1",
                planned_at=now,
                due_at=now - dt.timedelta(seconds=seconds),
            )

    return make


@pytest.fixture
def drifted():
    """Make an event of a drift of northside."""

    def make(kind):
        return getattr(events, kind)(
            tenant="northside", at=timezone.now(), finding="fp-1", signal="denial_rate",
            payer="Aetna", severity="high", onset=dt.date(2026, 3, 2), dollars_per_month=5_000_000,
            summary="Aetna denies more.",
        )  # fmt: skip

    return make


@pytest.fixture
def opened():
    """Open an alert of a tenant."""

    def make(tenant, severity, **values):
        now = timezone.now()
        with enter(tenant):
            return Alert.objects.create(
                fingerprint="fp-1", severity=severity, source="drift", kind="denial_rate",
                opened_at=now, seen_at=now, **values,
            )  # fmt: skip

    return make


@pytest.fixture
def watched():
    """Note that a tenant was watched so many days ago."""

    def make(tenant, *, days, status="success"):
        at = timezone.now() - dt.timedelta(days=days, minutes=1)
        with enter(tenant):
            return WatchRun.objects.create(
                status=status, started_at=at, heartbeat_at=at, finished_at=at,
                as_of=at.date(), error_code="" if status == "success" else "run_died",
            )  # fmt: skip

    return make
