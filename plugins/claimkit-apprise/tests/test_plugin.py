"""The Apprise channel against receivers that misbehave, and what it does not let through."""

from __future__ import annotations

import json
import logging

import pytest

from claimkit.errors import ConfigError
from claimkit.plugins import load_plugins
from claimkit.testing.conformance import ChannelUse, HttpChannelConformance
from claimkit.testing.factories import make_notification, make_notification_item
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.types import Severity
from claimkit_apprise.plugin import SCHEMES, AppriseChannel, allowed_schemes

#: One URL for each scheme that is allowed, as Apprise wants it.
URLS = {
    "discord": "discord://4174444/qwe-marsupilami",
    "gchat": "gchat://workspace/webhook-key/marsupilami",
    "opsgenie": "opsgenie://marsupilami-0417/?region=eu&tags=claims&priority=high",
    "pagertree": "pagertree://int_marsupilami",
    "pover": "pover://user123456789012345678901234567@tokentokentokentokentokentokent",
    "signl4": "signl4://marsupilami",
    "splunk": "splunk://billing@0417b5b2-9b26-4ee8-9f8a-4ad7ba6ae24f",
    "tgram": "tgram://123456789:abcdefg_hijklmnop/12315544",
    "twilio": "twilio://AC735c307c62944b5a57d8:e29dfbcebf390dee9d7@12025550100/12025550101",
    "victorops": "victorops://billing@0417b5b2-9b26-4ee8-9f8a-4ad7ba6ae24f",
}


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """Load Apprise before the time of a send is taken."""
    AppriseChannel().check({"url": URLS["tgram"]})


@pytest.fixture
def receiver():
    with Receiver(answering(answer(200))) as made:
        yield made


@pytest.fixture
def channel():
    return AppriseChannel(schemes={"json"}, most_seconds=0.5)


@pytest.fixture
def url(receiver):
    return receiver.url("/hook/marsupilami", scheme="json")


class TestAppriseChannel(HttpChannelConformance):
    knows_why = False

    @pytest.fixture
    def receiver(self, receiver):
        return receiver

    @pytest.fixture
    def use(self, channel, url):
        return ChannelUse(channel=channel, settings={"url": url})


# -- what is let through -------------------------------------------------------------------


def test_the_plugin_registers_the_channel():
    plugins = load_plugins()

    assert isinstance(plugins.channels["apprise"], AppriseChannel)
    assert plugins.channels["apprise"].secrets == {"url"}


def test_each_scheme_that_is_allowed_has_a_url():
    assert URLS.keys() == SCHEMES


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_a_service_that_is_allowed_is_taken(url):
    assert AppriseChannel().check({"url": url}) == {"url": url}


@pytest.mark.parametrize(
    "url",
    [
        *("json://127.0.0.1/marsupilami", "jsons://169.254.169.254/marsupilami"),
        *(
            "xml://192.168.4.17/marsupilami",
            "form://192.168.4.17/marsupilami",
            "apprise://192.168.4.17/marsu",
        ),
        *(
            "mailto://ada:marsupilami@192.168.4.17",
            "syslog://marsupilami",
            "rsyslog://192.168.4.17",
        ),
        *("dbus://", "gnome://", "windows://", "macosx://", "file:///etc/marsupilami"),
        *("https://discord.com/api/webhooks/4174444/marsupilami", "http://127.0.0.1/marsupilami"),
        *("JSON://127.0.0.1/marsupilami", " json://127.0.0.1", "DISCORD://4174444/marsupilami"),
        "discord://4174444/marsupilami json://127.0.0.1/",
        "discord://4174444/marsupilami\njson://127.0.0.1/",
        *("marsupilami", "://", "discord:", "discord://"),
    ],
)
def test_any_other_url_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError) as caught:
        AppriseChannel().check({"url": url})

    assert str(caught.value).startswith("the setting 'url' ")
    assert "marsupilami" not in str(caught.value)


@pytest.mark.parametrize(
    "parameters",
    [
        *("verify=no", "VERIFY=no", "redirect=yes", "template=/etc/passwd", "cto=9999", "rto=9999"),
        *("to=x&template=/etc/passwd", "to=x;template=/etc/passwd", "retry=99", "wait=99"),
        *("%74emplate=/etc/passwd", "+X-Header=y", "-x=y", ":x=y", "template", "=", "tz=x"),
        *("to=x?template=/etc/passwd", "&&to=x&;template=/etc/passwd", "to=x&verify"),
    ],
)
def test_parameters_that_reach_further_are_refused(parameters):
    with pytest.raises(ConfigError) as caught:
        AppriseChannel().check({"url": f"tgram://123456789:abcdefg_hijklmnop/1231/?{parameters}"})

    assert "passwd" not in str(caught.value)


def test_settings_of_another_time_are_checked_again_before_anything_is_sent(receiver, url):
    result = AppriseChannel().send(make_notification(), {"url": url})

    assert (result.is_sent, result.reason, result.is_permanent) == (False, "config_invalid", True)
    assert receiver.connections == 0


@pytest.mark.parametrize(
    ("environment", "schemes"),
    [
        ({}, SCHEMES),
        ({"CLAIMKIT_APPRISE_SCHEMES": " , "}, SCHEMES),
        ({"CLAIMKIT_APPRISE_SCHEMES": "TGRAM, json,"}, {"tgram", "json"}),
    ],
)
def test_the_environment_says_what_is_allowed(environment, schemes):
    assert allowed_schemes(environment) == schemes


# -- what is told --------------------------------------------------------------------------


def test_what_a_receiver_gets(channel, receiver, url):
    assert channel.send(make_notification(), {"url": url}).is_sent

    ((head, body),) = receiver.requests
    told = json.loads(body)
    assert head.startswith(b"POST /hook/marsupilami HTTP/1.1\r\n")
    assert told["title"] == "[high] MERIDIAN OF OHIO: denial rate"
    assert told["type"] == "failure"
    assert told["message"].splitlines()[0] == "Northside Hospital"
    assert told["message"].splitlines()[-1] == "ntf_fantasio"


@pytest.mark.parametrize(
    ("reason", "severity", "expected"),
    [
        ("first", Severity.CRITICAL, "failure"),
        ("repeated", Severity.MEDIUM, "warning"),
        ("step", Severity.LOW, "info"),
        ("resolved", Severity.CRITICAL, "success"),
    ],
)
def test_a_type_says_how_bad_it_is(channel, receiver, url, reason, severity, expected):
    item = make_notification_item(reason=reason, severity=severity)

    channel.send(make_notification([item]), {"url": url})

    assert json.loads(receiver.requests[0][1])["type"] == expected


def test_text_that_looks_like_more_stays_text(channel, receiver, url):
    payer = r"{{ 7 * 7 }} \n &amp; <b> :smile:"

    channel.send(make_notification([make_notification_item(payer=payer)]), {"url": url})

    assert payer in json.loads(receiver.requests[0][1])["title"]


def test_what_apprise_logs_for_its_developers_is_left_out(channel, receiver, url, caplog):
    receiver.script = answering(answer(500))

    with caplog.at_level(logging.DEBUG):
        channel.send(make_notification(), {"url": url})

    assert {one.levelname for one in caplog.records if one.name == "apprise"} == {"WARNING"}


@pytest.mark.parametrize(
    "url",
    [
        "tgram://marsupilami/417/",
        "discord://417/",
        "pover://marsupilami",
        "twilio://houba:marsupilami@1",
    ],
)
def test_a_token_that_is_none_is_not_logged(caplog, url):
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError):
        AppriseChannel().check({"url": url})

    assert caplog.records == []
