from __future__ import annotations

import logging

import pytest

from claimkit.alerts.channels import LogChannel, as_text, check_names, subject_line
from claimkit.errors import ConfigError
from claimkit.testing.conformance import ChannelConformance, ChannelUse
from claimkit.testing.factories import make_notification, make_notification_item


class TestLogChannel(ChannelConformance):
    @pytest.fixture
    def use(self):
        return ChannelUse(channel=LogChannel())

    @pytest.fixture
    def arrived(self, caplog):
        return lambda: [(one.alert, one.reason) for one in caplog.records]


def test_the_subject_is_one_line_and_says_what_is_worst():
    item = make_notification_item()
    many = make_notification([make_notification_item(payer="a\r\nBcc: x"), item])
    over = make_notification([make_notification_item(reason="resolved")])

    assert subject_line(make_notification()) == "[high] MERIDIAN OF OHIO: denial rate"
    assert subject_line(many) == "[high] a Bcc: x: denial rate and 1 more"
    assert subject_line(over).startswith("[over]")


def test_the_text_tells_what_since_when_and_where_to_look():
    running = as_text(make_notification())
    over = as_text(make_notification([make_notification_item(reason="resolved")]))

    assert running.splitlines() == [
        "Northside Hospital",
        "",
        "New (high): MERIDIAN OF OHIO denies 17 % of claims for missing authorization, up from 8 %",
        "  since 2026-03-02",
        "  https://claims.example.org/alerts/alr_fantasio/",
    ]
    assert over.splitlines()[2].startswith("Over")


def test_every_kind_of_drift_is_called_what_it_is():
    """The trap of a mail that calls every drift a denial rate."""
    slower = make_notification_item(kind="decision_speed", summary="Aetna decides 9 days later.")
    text = as_text(make_notification([slower]))

    assert "denial" not in text.lower()


def test_the_log_names_the_alert_and_nothing_else(caplog):
    with caplog.at_level(logging.WARNING):
        result = LogChannel().send(make_notification(), {})

    (record,) = caplog.records
    assert result.is_sent
    assert (record.alert, record.severity) == ("alr_fantasio", "high")
    assert "MERIDIAN" not in record.getMessage()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "the setting 'url' of the channel is missing"),
        ({"url": "x", "ulr": "y"}, "the channel has no setting 'ulr'; did you mean 'url'?"),
        ({"url": "x", "tone": "y", "zork": 1}, "the channel has no setting 'zork'"),
    ],
)
def test_names_of_settings_are_checked(settings, message):
    with pytest.raises(ConfigError) as caught:
        check_names(settings, needed=["url"], optional=["tone"])

    assert str(caught.value) == message
