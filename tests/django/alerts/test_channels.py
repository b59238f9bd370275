"""E-mail by a real mail server."""

from __future__ import annotations

import pytest

from claimkit.errors import ConfigError
from claimkit.testing.conformance import ChannelConformance, ChannelUse
from claimkit.testing.factories import make_notification
from claimkit_django.alerts.channels import EmailChannel, kinds, shown

TO = ["ada@example.org", "grace@example.org"]


class TestEmailChannel(ChannelConformance):
    @pytest.fixture
    def use(self, mailbox):
        return ChannelUse(channel=EmailChannel(), settings={"to": TO})

    @pytest.fixture
    def arrived(self, mailbox):
        return lambda: [mail["Message-ID"] for mail in mailbox.mails]


@pytest.fixture
def send():
    return lambda: EmailChannel().send(make_notification(), {"to": TO})


@pytest.mark.parametrize(
    ("reply", "reason", "is_permanent"),
    [
        ("550 no such mailbox", "recipients_refused", True),
        ("450 try again", "recipients_refused", False),
        ("421 closing", "recipients_refused", False),
    ],
)
def test_a_refusal_of_the_mail_server(mailbox, send, reply, reason, is_permanent):
    mailbox.refuse = reply

    result = send()

    assert (result.is_sent, result.reason) == (False, reason)
    assert result.is_permanent is is_permanent


def test_no_mail_server_is_tried_again(mail_through, send):
    mail_through(9)

    result = send()

    assert (result.is_sent, result.reason, result.is_permanent) == (False, "smtp_failed", False)
    assert result.retry_after


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "the setting 'to' of the channel is missing"),
        ({"to": "ada@example.org"}, 'e-mail has one setting, "to": a list of addresses'),
        ({"to": []}, "e-mail goes to 1 to 50 addresses"),
        ({"to": [f"a{n}@example.org" for n in range(51)]}, "e-mail goes to 1 to 50 addresses"),
        ({"to": ["Ada <ada@example.org>"]}, "an address is no e-mail address"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(ConfigError) as caught:
        EmailChannel().check(settings)

    assert str(caught.value) == message


def test_an_address_is_kept_once():
    assert EmailChannel().check({"to": [" ada@example.org", "ada@example.org"]}) == {"to": TO[:1]}


def test_a_kind_that_is_gone_shows_nothing():
    assert {"log", "email"} <= set(kinds())
    assert shown("email", {"to": TO}) == {"to": TO}
    assert shown("marsupilami", {"token": "houba"}) == {}
