"""From a signal over a route to real receivers on this machine, by the channels of plugins."""

from __future__ import annotations

import ipaddress
import json

import pytest
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS as USING
from django.utils import timezone

from claimkit.errors import ConfigError
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.webhooks.deliver import deliver
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import Limits
from claimkit_django.alerts import acts, notify
from claimkit_django.alerts.channels import WebhookChannel
from claimkit_django.alerts.models import Alert, Notification
from claimkit_django.alerts.notify import notify_due
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.endpoints import add_endpoint
from claimkit_django.webhooks.store import make_courier
from tests.alerting import report, signal, told

pytestmark = pytest.mark.django_db

LOCAL = TargetPolicy(allow_http=True, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
LIMITS = Limits(total_seconds=2.0)
KEY = "MARSUPILAMI0417HOUBA0731PALOMBIA"


@pytest.fixture
def receiver():
    with Receiver(answering(answer(202))) as made:
        yield made


@pytest.fixture
def use(monkeypatch):
    """Let workers know one kind of channel, with addresses on this machine."""
    return lambda channel: monkeypatch.setattr(notify, "kinds", lambda: {channel.name: channel})


def bodies(receiver):
    return [json.loads(body) for _, body in receiver.requests]


def again(tenant):
    """Let time pass until what failed is tried again."""
    with enter(tenant):
        Notification.objects.filter(state="due").update(due_at=timezone.now())
    return notify_due(using=USING)


@pytest.fixture
def paged(northside, receiver, use, add_channel, add_route):
    plugin = pytest.importorskip("claimkit_pagerduty.plugin")
    endpoints = {"us": receiver.url("/v2/enqueue")}
    use(plugin.PagerDutyChannel(endpoints=endpoints, policy=LOCAL, limits=LIMITS))
    channel = add_channel(northside, "Pager", "pagerduty", routing_key=KEY)
    return add_route(northside, channel)


def events(receiver):
    return [
        (one["event_action"], one["dedup_key"].rpartition(":")[2], one.get("payload", {}))
        for one in bodies(receiver)
    ]


def test_pagerduty_has_one_incident_per_episode(northside, paged, receiver):
    for severity, is_firing in (("medium", True), ("critical", True), ("low", False)):
        report(northside, signal(severity, is_firing=is_firing))
        notify_due(using=USING)
    report(northside, signal("high"))
    notify_due(using=USING)

    with enter(northside):
        uid = Alert.objects.get().uid
    assert [one["dedup_key"] for one in bodies(receiver)[:3]] == [f"claimkit:{uid}:1"] * 3
    told = [(action, episode, has.get("severity")) for action, episode, has in events(receiver)]
    assert told == [
        ("trigger", "1", "warning"),
        ("trigger", "1", "critical"),
        ("resolve", "1", None),
        ("trigger", "2", "error"),
    ]


def test_pagerduty_learns_of_an_end_that_a_person_says(northside, paged, receiver):
    report(northside, signal())
    notify_due(using=USING)
    with enter(northside):
        acts.resolve(Alert.objects.get().uid, actor="user:7", using=USING)
    notify_due(using=USING)

    assert [action for action, _, _ in events(receiver)] == ["trigger", "resolve"]


def test_half_a_notification_is_sent_again_and_opens_no_second_incident(northside, paged, receiver):
    receiver.script = answering(answer(202), answer(503), answer(202))
    report(northside, signal("high", number=1), signal("low", number=2))

    assert notify_due(using=USING).retried == 1
    assert again(northside).sent == 1
    keys = [one["dedup_key"] for one in bodies(receiver)]
    assert len(keys) == 4
    assert len(set(keys)) == 2


def test_nothing_is_triggered_after_its_end(northside, paged, receiver):
    """An incident that opens after its end would never be closed."""
    receiver.script = answering(answer(503), answer(202))
    report(northside, signal("high", number=1), signal("low", number=2))
    notify_due(using=USING)
    report(northside, signal(number=1, is_firing=False))
    notify_due(using=USING)
    again(northside)

    with enter(northside):
        ended = Alert.objects.get(fingerprint="fp-1").uid
    about = [(one["event_action"], ended in one["dedup_key"]) for one in bodies(receiver)[1:]]
    assert about == [("resolve", True), ("trigger", False)]


def test_slack_gets_a_message(northside, receiver, use, add_channel, add_route):
    plugin = pytest.importorskip("claimkit_slack.plugin")
    use(plugin.SlackChannel(hosts=frozenset({"127.0.0.1"}), policy=LOCAL, limits=LIMITS))
    url = receiver.url("/services/T0/B0/secret")
    add_route(northside, add_channel(northside, "Room", "slack", url=url))
    report(northside, signal("high"))

    assert notify_due(using=USING).sent == 1
    (message,) = bodies(receiver)
    assert message["text"] == "[high] Aetna: denial rate"
    assert "Aetna denies 21 % of MRI claims" in json.dumps(message)


@pytest.mark.slow
def test_apprise_tells_by_its_url(northside, receiver, use, add_channel, add_route):
    plugin = pytest.importorskip("claimkit_apprise.plugin")
    pytest.importorskip("apprise")
    use(plugin.AppriseChannel(schemes={"json"}))
    url = f"json://127.0.0.1:{receiver.port}/alerts"
    add_route(northside, add_channel(northside, "Other", "apprise", url=url))
    report(northside, signal("high"))

    assert notify_due(using=USING).sent == 1
    (message,) = bodies(receiver)
    assert message["title"] == "[high] Aetna: denial rate"
    assert message["type"] == "failure"


@pytest.mark.django_db(transaction=True)
def test_webhooks_go_through_their_own_outbox(
    northside, receiver, settings, add_channel, add_route
):
    settings.CLAIMKIT = {
        **settings.CLAIMKIT,
        "WEBHOOKS": {
            "ALLOW_HTTP": True,
            "ALLOWED_NETWORKS": ["127.0.0.0/8"],
            "CONFIRM_ENDPOINTS": False,
        },
    }
    with enter(northside):
        add_endpoint(url=receiver.url(), event_types=["alerts.notified"], using=USING)
    add_route(northside, add_channel(northside, "Hooks", "webhook"))
    report(northside, signal("high"))

    assert notify_due(using=USING).sent == 1
    assert deliver(make_courier(USING), threads=1).done == 1
    (body,) = bodies(receiver)
    with enter(northside):
        alert, notification = Alert.objects.get(), Notification.objects.get()
    assert body["type"] == "alerts.notified"
    assert body["data"] == {
        "version": 1,
        "alert": alert.uid,
        "kind": "denial_rate",
        "severity": "high",
        "notification": notification.uid,
        "episode": 1,
        "reason": "first",
    }
    assert told(northside)[-1] == "sent:first"


def test_a_site_without_webhooks_has_no_such_channel(monkeypatch):
    assert WebhookChannel().check({}) == {}

    monkeypatch.setattr(apps, "is_installed", lambda name: False)
    with pytest.raises(ConfigError, match="this site sends no webhooks"):
        WebhookChannel().check({})
