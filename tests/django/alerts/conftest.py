"""A mail server on this machine, and a route to it."""

from __future__ import annotations

import email
import email.policy
import socket

import pytest

from claimkit_django.alerts import models
from claimkit_django.alerts.channels import sealed
from claimkit_django.tenants.scope import enter


class Mailbox:
    """What a mail server took; ``refuse`` makes it refuse everything with this reply."""

    def __init__(self):
        self.mails = []
        self.recipients = []
        self.refuse = ""

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.recipients.append(envelope.rcpt_tos)
        self.mails.append(
            email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        )
        return "250 OK"


@pytest.fixture
def mail_through(settings):
    """Send mail to this port of this machine."""

    def use(port):
        backend = "django.core.mail.backends.smtp.EmailBackend"
        options = {"host": "127.0.0.1", "port": port, "timeout": 5}
        if hasattr(settings, "MAILERS"):
            settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
            return
        settings.EMAIL_BACKEND = backend
        for name, value in options.items():
            setattr(settings, f"EMAIL_{name.upper()}", value)

    return use


@pytest.fixture
def mailbox(mail_through):
    controllers = pytest.importorskip("aiosmtpd.controller")
    made = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = controllers.Controller(made, hostname="127.0.0.1", port=port)
    controller.start()
    mail_through(port)
    yield made
    controller.stop()


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
