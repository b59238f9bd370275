"""The PagerDuty channel against receivers that misbehave, and its events against Events API v2."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimkit.errors import ConfigError
from claimkit.plugins import load_plugins
from claimkit.testing.conformance import ChannelUse, HttpChannelConformance
from claimkit.testing.factories import make_notification, make_notification_item
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.types import Severity
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import Limits
from claimkit_pagerduty.plugin import PagerDutyChannel, dedup_key_of, event_of

KEY = "MARSUPILAMI0417HOUBA0731PALOMBIA"
LOCAL = TargetPolicy(allow_http=True, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
TAKEN = answer(202, b'{"status":"success"}')

some = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@pytest.fixture
def receiver():
    with Receiver(answering(TAKEN)) as made:
        yield made


@pytest.fixture
def channel(receiver):
    return PagerDutyChannel(
        endpoints={"us": receiver.url("/v2/enqueue"), "eu": receiver.url("/eu/v2/enqueue")},
        policy=LOCAL,
        limits=Limits(total_seconds=0.4),
    )


@pytest.fixture
def events(receiver):
    return lambda: [json.loads(body) for _, body in receiver.requests]


class TestPagerDutyChannel(HttpChannelConformance):
    @pytest.fixture
    def receiver(self, receiver):
        return receiver

    @pytest.fixture
    def use(self, channel):
        return ChannelUse(
            channel=channel,
            settings={"routing_key": KEY, "region": "us", "severities": {"high": "critical"}},
        )

    @pytest.fixture
    def arrived(self, events):
        return lambda: [one["dedup_key"] for one in events()]


# -- settings ------------------------------------------------------------------------------


def test_the_plugin_registers_the_channel():
    plugins = load_plugins()

    assert isinstance(plugins.channels["pagerduty"], PagerDutyChannel)
    assert plugins.channels["pagerduty"].secrets == {"routing_key"}


def test_a_routing_key_is_enough():
    assert PagerDutyChannel().check({"routing_key": KEY}) == {
        "routing_key": KEY,
        "region": "us",
        "severities": {},
    }


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"routing_key": KEY[1:]}, "the setting 'routing_key' is no integration key"),
        ({"routing_key": KEY + "A"}, "the setting 'routing_key' is no integration key"),
        ({"routing_key": "é" * 32}, "the setting 'routing_key' is no integration key"),
        ({"region": "mars"}, "the setting 'region' must be 'us' or 'eu'"),
        ({"severities": ["high"]}, "the setting 'severities' must be an object"),
        ({"severities": {"high": "fatal"}}, "the setting 'severities' has something that is no"),
        ({"severities": {"fatal": "error"}}, "the setting 'severities' has something that is no"),
        ({"severities": {"high": ["error"]}}, "the setting 'severities' has something that is no"),
    ],
)
def test_settings_that_cannot_be_used(asked, told):
    with pytest.raises(ConfigError) as caught:
        PagerDutyChannel().check({"routing_key": KEY, **asked})

    assert str(caught.value).startswith(told)
    assert KEY[1:] not in str(caught.value)


def test_settings_of_another_time_are_checked_again_before_anything_is_sent(channel, receiver):
    result = channel.send(make_notification(), {"routing_key": KEY, "region": "mars"})

    assert (result.is_sent, result.reason, result.is_permanent) == (False, "config_invalid", True)
    assert receiver.connections == 0


# -- events --------------------------------------------------------------------------------


def test_what_pagerduty_gets(channel, receiver, events):
    assert channel.send(make_notification(), {"routing_key": KEY}).is_sent

    assert receiver.requests[0][0].startswith(b"POST /v2/enqueue HTTP/1.1\r\n")
    assert events() == [
        {
            "routing_key": KEY,
            "event_action": "trigger",
            "dedup_key": "claimkit:alr_fantasio:1",
            "client": "claimkit",
            "client_url": "https://claims.example.org/alerts/alr_fantasio/",
            "links": [
                {
                    "href": "https://claims.example.org/alerts/alr_fantasio/",
                    "text": "Open the alert",
                }
            ],
            "payload": {
                "summary": "MERIDIAN OF OHIO denies 17 % of claims for missing authorization, "
                "up from 8 %",
                "source": "Northside Hospital",
                "severity": "error",
                "component": "MERIDIAN OF OHIO",
                "class": "denial rate",
                "custom_details": {
                    "told_because": "New",
                    "notification": "ntf_fantasio",
                    "dollars_per_month": "18250.00",
                    "since": "2026-03-02",
                },
            },
        }
    ]


def test_events_of_another_region_go_there(channel, receiver):
    channel.send(make_notification(), {"routing_key": KEY, "region": "eu"})

    assert receiver.requests[0][0].startswith(b"POST /eu/v2/enqueue ")


def test_an_end_resolves_what_the_beginning_opened(channel, events):
    for reason in ("first", "repeated", "escalated", "resolved"):
        channel.send(
            make_notification([make_notification_item(reason=reason)]), {"routing_key": KEY}
        )

    assert [one["event_action"] for one in events()] == ["trigger"] * 3 + ["resolve"]
    assert len({one["dedup_key"] for one in events()}) == 1
    assert set(events()[-1]) == {"routing_key", "event_action", "dedup_key"}


def test_another_episode_is_another_incident():
    first, second = (
        event_of(make_notification_item(episode=episode), make_notification()) for episode in (1, 2)
    )

    assert first["dedup_key"] != second["dedup_key"]


@pytest.mark.parametrize(
    ("severity", "asked", "expected"),
    [
        (Severity.CRITICAL, {}, "critical"),
        (Severity.HIGH, {}, "error"),
        (Severity.MEDIUM, {}, "warning"),
        (Severity.LOW, {}, "info"),
        (Severity.HIGH, {"high": "critical"}, "critical"),
        (Severity.LOW, {"high": "critical"}, "info"),
    ],
)
def test_a_severity_is_theirs(channel, events, severity, asked, expected):
    item = make_notification_item(severity=severity)

    channel.send(make_notification([item]), {"routing_key": KEY, "severities": asked})

    assert events()[0]["payload"]["severity"] == expected


# -- several alerts ------------------------------------------------------------------------


@pytest.fixture
def three():
    names = ("alr_spirou", "alr_fantasio", "alr_spip")
    return make_notification([make_notification_item(alert=one) for one in names])


def test_each_alert_is_an_event_over_one_connection(channel, receiver, events, three):
    assert channel.send(three, {"routing_key": KEY}).is_sent

    assert [one["dedup_key"].split(":")[1] for one in events()] == [
        one.alert for one in three.items
    ]
    assert receiver.connections == 1


def test_an_event_that_is_refused_holds_no_other_up(channel, receiver, events, three):
    receiver.script = answering(TAKEN, answer(400), TAKEN)

    result = channel.send(three, {"routing_key": KEY})

    assert (result.is_sent, result.reason, result.is_permanent) == (False, "http_400", True)
    assert len(events()) == 3


def test_a_service_that_had_enough_is_asked_for_no_more(channel, receiver, events, three):
    receiver.script = answering(TAKEN, answer(429, Retry_After="30"), TAKEN)

    result = channel.send(three, {"routing_key": KEY})

    assert (result.reason, result.is_permanent) == ("http_429", False)
    assert result.retry_after.total_seconds() == 30
    assert len(events()) == 2


def test_what_may_pass_outlives_what_is_for_ever(channel, receiver, three):
    """The repetition must come, though one of its events will be refused again."""
    receiver.script = answering(answer(400), answer(503), TAKEN)

    result = channel.send(three, {"routing_key": KEY})

    assert (result.reason, result.is_permanent) == ("http_503", False)


def test_many_events_end_when_the_time_is_up(receiver, three):
    ticks = iter([0.0, 5.0, 21.0, 22.0])
    channel = PagerDutyChannel(
        endpoints={"us": receiver.url()}, policy=LOCAL, clock=lambda: next(ticks)
    )

    result = channel.send(three, {"routing_key": KEY})

    assert (result.is_sent, result.reason, result.is_permanent) == (False, "deadline", False)
    assert len(receiver.requests) == 1


# -- keys and lengths ----------------------------------------------------------------------

episodes = st.tuples(
    st.text("aé:~0", max_size=9).map(lambda tail: "x" * 240 + tail) | st.text(max_size=300),
    st.integers(0, 10**6),
)


@some
@given(episodes, episodes)
def test_keys_are_short_and_no_two_episodes_share_one(one, other):
    keys = {dedup_key_of(*one), dedup_key_of(*other)}

    assert all(len(key.encode("utf-8", "surrogatepass")) <= 255 for key in keys)
    assert len(keys) == len({one, other})


def test_a_key_that_was_cut_is_never_one_that_was_not():
    cut = dedup_key_of("x" * 300, 1)
    alert, _, _ = cut.removeprefix("claimkit:").rpartition(":")

    assert len(cut) == 255
    assert dedup_key_of(cut.removeprefix("claimkit:"), 1) != cut
    assert alert == ""


@some
@given(st.text(max_size=1_500), st.text(max_size=2_100))
def test_whatever_is_told_events_api_takes_it(text, link):
    item = make_notification_item(summary=text, payer=text, kind=text, link=link)
    event = event_of(item, make_notification([item], tenant_name=text))

    payload = event["payload"]
    assert 1 <= len(payload["summary"]) <= 1_024
    assert 1 <= len(payload["source"]) <= 255
    assert all(0 < len(one["href"]) <= 2_000 for one in event.get("links", ()))
    assert len(json.dumps(event)) < 512 * 1_024
