"""The Slack channel against receivers that misbehave, and its messages against Block Kit."""

from __future__ import annotations

import ipaddress
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimkit.errors import ConfigError
from claimkit.plugins import load_plugins
from claimkit.testing.conformance import ChannelUse, HttpChannelConformance
from claimkit.testing.factories import make_notification, make_notification_item
from claimkit.types import Severity
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import Limits
from claimkit_slack.plugin import SlackChannel, message_of

HOOK = "https://hooks.slack.com/services/T0417/B0731/marsupilami"
LOCAL = TargetPolicy(allow_http=True, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))


@pytest.fixture
def channel():
    return SlackChannel(
        hosts=frozenset({"127.0.0.1"}), policy=LOCAL, limits=Limits(total_seconds=0.4)
    )


class TestSlackChannel(HttpChannelConformance):
    @pytest.fixture
    def use(self, channel, receiver):
        url = receiver.url("/services/T0417/B0731/marsupilami")
        return ChannelUse(channel=channel, settings={"url": url})


# -- where it posts ------------------------------------------------------------------------


def test_the_plugin_registers_the_channel():
    plugins = load_plugins()

    assert isinstance(plugins.channels["slack"], SlackChannel)
    assert plugins.channels["slack"].secrets == {"url"}


def test_an_incoming_webhook_is_taken_as_it_is():
    assert SlackChannel().check({"url": HOOK}) == {"url": HOOK}


@pytest.mark.parametrize(
    "url",
    [
        HOOK.replace("https:", "http:"),
        HOOK.replace("hooks.slack.com", "hooks.slack.com.example.org"),
        HOOK.replace("hooks.slack.com", "hooks.slack.com@example.org"),
        HOOK.replace("hooks.slack.com", "127.0.0.1"),
        HOOK.replace("hooks.slack.com", "[::1]"),
        HOOK.replace("hooks.slack.com", "hooks.slack.com:8443"),
        HOOK.replace("hooks.slack.com", "hooks.slack.com."),
        HOOK.replace("/services/", "/"),
        HOOK + "#marsupilami",
        HOOK + " ",
        "hooks.slack.com/services/T0417/B0731/marsupilami",
    ],
)
def test_any_other_address_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError) as caught:
        SlackChannel().check({"url": url})

    assert str(caught.value).startswith("the setting 'url' ")
    assert "marsupilami" not in str(caught.value)


def test_settings_of_another_time_are_checked_again_before_anything_is_sent(channel):
    result = channel.send(make_notification(), {"url": HOOK})

    assert (result.is_sent, result.reason, result.is_permanent) == (False, "config_invalid", True)


# -- what it posts -------------------------------------------------------------------------


def test_what_slack_gets(receive_one):
    ((head, body),) = receive_one(make_notification())

    assert head.startswith(b"POST /services/T0417/B0731/marsupilami HTTP/1.1\r\n")
    assert json.loads(body) == {
        "text": "[high] MERIDIAN OF OHIO: denial rate",
        "blocks": [
            {
                "type": "header",
                "text": {
                    "type": "plain_text",
                    "text": "[high] MERIDIAN OF OHIO: denial rate",
                    "emoji": False,
                },
            },
            _section(
                ":large_orange_circle: *New* MERIDIAN OF OHIO denies 17 % of claims for missing "
                "authorization, up from 8 %\n"
                "<https://claims.example.org/alerts/alr_fantasio/|Open the alert>"
            ),
            _context("high · MERIDIAN OF OHIO · since 2026-03-02 · $18,250.00 a month"),
            _context("Northside Hospital · ntf_fantasio"),
        ],
    }


def test_an_end_is_told_as_one():
    over = make_notification_item(reason="resolved", severity=Severity.CRITICAL)
    message = message_of(make_notification([over]))

    assert message["text"].startswith("[over]")
    assert message["blocks"][1]["text"]["text"].startswith(":white_check_mark: *Over* ")


def test_what_is_not_known_is_left_out():
    bare = make_notification_item(payer="", summary="", onset=None, link="", dollars_per_month=0)
    message = message_of(make_notification([bare]))

    assert message["blocks"][1:3] == [
        _section(":large_orange_circle: *New* denial rate"),
        _context("high"),
    ]


@pytest.mark.parametrize("link", ["https://a.example/|x", "https://a.example/>", "x" * 1_001])
def test_an_address_that_would_not_stay_a_link_is_left_out(link):
    message = message_of(make_notification([make_notification_item(link=link)]))

    assert "Open the alert" not in json.dumps(message)


@pytest.mark.parametrize(
    ("alerts", "told"), [(20, []), (21, ["_and 1 more_"]), (60, ["_and 40 more_"])]
)
def test_more_alerts_than_fit_are_counted(alerts, told):
    items = [make_notification_item(alert=f"alr_{n}") for n in range(alerts)]
    blocks = message_of(make_notification(items))["blocks"]

    assert [one["text"]["text"] for one in blocks[41:-1]] == told
    assert len(blocks) == 42 + len(told)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    text=st.text(max_size=4_000) | st.text("&<>", max_size=4_000),
    link=st.text("&|<>a:/", max_size=1_200),
    alerts=st.integers(1, 55),
)
def test_whatever_is_told_block_kit_takes_it_and_nobody_is_mentioned(text, link, alerts):
    item = make_notification_item(summary=text, payer=text, kind=text, link=link)
    message = message_of(make_notification([item] * alerts, tenant_name=text))

    texts = [message["text"]]
    assert 1 <= len(message["blocks"]) <= 50
    for block in message["blocks"]:
        told = block["text"] if "text" in block else block["elements"][0]
        assert 1 <= len(told["text"]) <= (150 if block["type"] == "header" else 3_000)
        texts += [told["text"]] if told["type"] == "mrkdwn" else []
    for one in texts:
        # The only brackets are those of our own link.
        rest = re.sub(r"\n<[^<>|\n]+\|Open the alert>$", "", one)
        assert not set(rest) & set("<>")
        assert not re.search(r"&(?!amp;|lt;|gt;)", one)


@pytest.fixture
def receive_one(channel):
    from claimkit.testing.receivers import Receiver, answer, answering

    def send(notification):
        with Receiver(answering(answer(200, b"ok"))) as receiver:
            settings = {"url": receiver.url("/services/T0417/B0731/marsupilami")}
            assert channel.send(notification, settings).is_sent
        return receiver.requests

    return send


def _section(text):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _context(text):
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}
