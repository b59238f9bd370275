"""Channels and routes."""

from __future__ import annotations

import pytest

from claimkit_django.alerts import models
from claimkit_django.alerts.channels import sealed
from claimkit_django.tenants.scope import enter


@pytest.fixture(autouse=True)
def _sealing():
    pytest.importorskip("cryptography", reason="settings of channels need the extra webhooks")


@pytest.fixture
def add_channel():
    def make(tenant, name="Billing", kind="log", **settings):
        with enter(tenant):
            return models.Channel.objects.create(
                name=name, kind=kind, sealed_settings=sealed(settings)
            )

    return make


@pytest.fixture
def add_route():
    def make(tenant, *channels, **values):
        values = {"name": "All", "interval_minutes": 0, **values}
        with enter(tenant):
            return models.Route.objects.create(channels=[one.uid for one in channels], **values)

    return make


@pytest.fixture
def mailed(northside, add_channel, add_route):
    """Northside's alerts go to one mailbox."""
    channel = add_channel(northside, "Revenue", "email", to=["ada@example.org"])
    return add_route(northside, channel)
