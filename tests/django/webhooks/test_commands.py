from __future__ import annotations

import datetime as dt
import json
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone

from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.management.commands import claimkit_deliver
from claimkit_django.webhooks.models import Delivery, Endpoint
from claimkit_django.webhooks.tasks import deliver_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(capsys):
    """Run a command of a tenant's webhooks and return the object that it prints."""

    def act(*arguments, tenant="northside"):
        call_command("claimkit_webhooks", *arguments, "--tenant", tenant, "--format", "json")
        return json.loads(capsys.readouterr().out)

    return act


def test_one_delivery_is_sent_again(northside, receive, add, stage, run):
    receiver = receive(204)
    add(northside, receiver.url())
    stage(northside, "upl_1", "upl_2")
    deliver_due()
    with enter(northside):
        uid = Delivery.objects.earliest("pk").uid

    assert run("replay", uid) == {"what": uid, "replayed": 1}
    assert run("replay", uid) == {"what": uid, "replayed": 0}
    assert deliver_due() == 1
    assert json.loads(receiver.requests[2][1])["data"]["upload"] == "upl_1"


def test_what_an_endpoint_missed_in_a_range_is_sent_again(northside, receive, add, stage, run):
    receiver = receive(410, 204)
    endpoint, _ = add(northside, receiver.url())
    stage(northside, "upl_1", "upl_2", "upl_3")
    deliver_due()
    now = timezone.now()
    with enter(northside):
        Endpoint.objects.update(enabled=True, disabled_reason="", held_until=None, width=100)
        oldest = Delivery.objects.earliest("pk")
        Delivery.objects.filter(pk=oldest.pk).update(created_at=now - dt.timedelta(days=3))
    days = [(now - dt.timedelta(days=number)).isoformat() for number in (4, 2)]

    ranged = run("replay", endpoint.uid, "--since", days[0], "--until", days[1])
    assert ranged["replayed"] == 1
    assert run("replay", endpoint.uid, "--since", days[0])["replayed"] == 2
    assert deliver_due() == 3
    assert run("replay", endpoint.uid, "--since", days[0])["replayed"] == 0
    assert run("replay", endpoint.uid, "--since", days[0], "--all")["replayed"] == 3


def test_an_endpoint_is_tried_and_shown(northside, receive, add, run, capsys):
    receiver = receive(204)
    endpoint, _ = add(northside, receiver.url(), event_types=["drift.detected"])

    assert run("ping", endpoint.uid) == {"endpoint": endpoint.uid, "pinged": True}
    call_command("claimkit_deliver", "--once", "--threads", "1", "--format", "json")
    assert json.loads(capsys.readouterr().out)["done"] == 1
    assert json.loads(receiver.requests[0][1])["type"] == "webhooks.ping"
    assert run("list") == [
        {
            "endpoint": endpoint.uid,
            "host": "127.0.0.1",
            "state": "sending",
            "failures": 0,
            "event_types": ["drift.detected"],
        }
    ]
    call_command("claimkit_webhooks", "list", "--tenant", "northside")
    assert capsys.readouterr().out == f"{endpoint.uid}  sending  127.0.0.1  drift.detected\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ping", "whe_0"], "no endpoint"),
        (["replay", "whd_0"], "no delivery"),
        (["replay", "whd_0", "--all"], "for endpoints"),
        (["replay", "whe_0"], "--since"),
        (["replay", "whe_0", "--since", "2026-04-12"], "no endpoint"),
        (["replay", "whe_0", "--since", "yesterday"], "invalid"),
    ],
)
def test_what_cannot_be_done_is_said(northside, arguments, told):
    with pytest.raises(CommandError, match=told):
        call_command("claimkit_webhooks", *arguments, "--tenant", "northside")


def test_endpoints_of_others_do_not_exist(northside, lakeview, add):
    endpoint, _ = add(lakeview, "http://127.0.0.1:9/")

    with pytest.raises(CommandError, match="no endpoint"):
        call_command("claimkit_webhooks", "ping", endpoint.uid, "--tenant", "northside")


def test_a_disabled_endpoint_is_not_tried(northside, add):
    endpoint, _ = add(northside, "http://127.0.0.1:9/")
    with enter(northside):
        Endpoint.objects.update(enabled=False, disabled_reason="gone")

    with pytest.raises(CommandError, match="disabled"):
        call_command("claimkit_webhooks", "ping", endpoint.uid, "--tenant", "northside")


def test_a_worker_whose_database_refuses_waits_longer_each_time(monkeypatch):
    """C9: it does not spin."""
    pauses = []

    class Stopping:
        def is_set(self):
            return len(pauses) == 4

        def wait(self, seconds):
            pauses.append(seconds)

    def refuse(*_, **__):
        raise DatabaseError("cannot execute UPDATE in a read-only transaction")

    threads = SimpleNamespace(Event=Stopping, current_thread=lambda: 1, main_thread=lambda: 2)
    monkeypatch.setattr(claimkit_deliver, "threading", threads)
    monkeypatch.setattr(claimkit_deliver, "deliver", refuse)
    monkeypatch.setattr(claimkit_deliver.connections, "close_all", lambda: None)
    call_command("claimkit_deliver")

    for pause, most in zip(pauses, (2, 4, 8, 16), strict=True):
        assert most / 2 <= pause <= most
