"""What operators of a site set, and what waits in its outboxes."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from claimkit_django.alerts.models import Channel, Notification
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
