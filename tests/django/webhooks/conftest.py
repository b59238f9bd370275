"""Endpoints that listen on this machine, and a worker for them."""

from __future__ import annotations

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import transaction

from claimkit.events import ClaimsImported
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.types import SystemClock, TenantKey
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.endpoints import add_endpoint

_LOCAL = {
    "ALLOW_HTTP": True,
    "CONFIRM_ENDPOINTS": False,
    "ALLOWED_NETWORKS": ["127.0.0.0/8"],
    "ATTEMPT_SECONDS": 2.0,
    "CONNECT_SECONDS": 1.0,
    "THREADS": 1,
}


@pytest.fixture(autouse=True)
def local(settings):
    """Let webhooks go to this machine; returns what changes more of their settings."""
    pytest.importorskip("cryptography", reason="keys of endpoints need the extra webhooks")

    def change(**values):
        settings.CLAIMKIT = {**settings.CLAIMKIT, "WEBHOOKS": {**_LOCAL, **values}}

    change()
    return change


@pytest.fixture
def receive():
    receivers = []

    def start(*answers):
        script = answers[0] if callable(answers[0]) else answering(*map(answer, answers))
        receivers.append(Receiver(script))
        return receivers[-1]

    yield start
    for one in receivers:
        one.close()


@pytest.fixture
def add():
    """Add an endpoint of a tenant; returns it with its key."""

    def make(tenant, url, **values):
        with enter(tenant):
            values.setdefault("event_types", ["*"])
            return add_endpoint(url=url, using=USING, **values)

    return make


@pytest.fixture
def stage(imported):
    """Stage imports of a tenant, each in a transaction of its own."""

    def make(tenant, *uploads):
        for upload in uploads:
            bus = make_bus(open_store(USING))
            with bus.transaction(transaction.atomic(using=USING)):
                bus.stage(imported(tenant, upload))

    return make


@pytest.fixture
def imported():
    """Make the event of a file that is in."""

    def make(tenant, upload):
        return ClaimsImported(
            tenant=TenantKey(tenant.key),
            at=SystemClock().now(),
            upload=upload,
            new=3,
            changed=2,
            same=1,
            rejected=0,
        )

    return make
