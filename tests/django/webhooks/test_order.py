"""Endpoints that ask for one webhook after the other."""

from __future__ import annotations

import json

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import transaction
from django.utils import timezone

from claimkit.events import AlertOpened, AlertResolved
from claimkit.types import TenantKey
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.endpoints import change_endpoint
from claimkit_django.webhooks.enqueue import replay_since
from claimkit_django.webhooks.models import Delivery, Message
from claimkit_django.webhooks.tasks import deliver_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def tell(northside):
    """Stage events of alerts, each in a transaction of its own."""

    def make(*told):
        for kind, alert in told:
            bus = make_bus(open_store(USING))
            with bus.transaction(transaction.atomic(using=USING)):
                bus.stage(
                    kind(
                        tenant=TenantKey(northside.key),
                        at=timezone.now(),
                        alert=alert,
                        kind="denial_rate",
                        severity="high",
                        payer="Palombia Health",
                        dollars_per_month=1_845_000,
                        summary="More denials.",
                    )
                )

    return make


def heard(receiver):
    told = [json.loads(body) for _, body in receiver.requests]
    return [(one["type"].removeprefix("alerts."), one["data"]["alert"]) for one in told]


def retry_now(tenant):
    with enter(tenant):
        Delivery.objects.filter(state="due").update(due_at=timezone.now())


def test_what_is_about_the_same_thing_waits_and_other_things_do_not(northside, receive, add, tell):
    receiver = receive(500, 204)
    add(northside, receiver.url(), order="subject")
    tell((AlertOpened, "alr_a"), (AlertOpened, "alr_b"), (AlertResolved, "alr_a"))

    deliver_due()
    assert heard(receiver) == [("opened", "alr_a"), ("opened", "alr_b")]
    deliver_due()
    assert len(receiver.requests) == 2
    retry_now(northside)
    deliver_due()

    assert heard(receiver)[2:] == [("opened", "alr_a"), ("resolved", "alr_a")]
    with enter(northside):
        assert set(Delivery.objects.values_list("state", flat=True)) == {"done"}
        assert set(Message.objects.values_list("subject", flat=True)) == {
            "alert:alr_a",
            "alert:alr_b",
        }


def test_everything_may_wait_for_everything(northside, receive, add, tell):
    receiver = receive(500, 204)
    add(northside, receiver.url(), order="all")
    told = [(AlertOpened, "alr_a"), (AlertOpened, "alr_b"), (AlertResolved, "alr_a")]
    tell(*told)

    deliver_due()
    assert heard(receiver) == [("opened", "alr_a")]
    retry_now(northside)
    deliver_due()

    names = {AlertOpened: "opened", AlertResolved: "resolved"}
    assert heard(receiver)[1:] == [(names[kind], alert) for kind, alert in told]


def test_one_that_was_given_up_lets_the_next_one_pass(northside, receive, add, tell, local):
    local(RETRY_WAITS=[])
    receiver = receive(500, 204)
    add(northside, receiver.url(), order="all")
    tell((AlertOpened, "alr_a"), (AlertResolved, "alr_a"))
    deliver_due()

    assert heard(receiver) == [("opened", "alr_a"), ("resolved", "alr_a")]
    with enter(northside):
        states = Delivery.objects.order_by("pk").values_list("state", flat=True)
        assert list(states) == ["dead", "done"]


def test_a_replay_keeps_the_order_of_what_happened(northside, receive, add, tell):
    receiver = receive(204)
    endpoint, _ = add(northside, receiver.url())
    since = timezone.now()
    told = [(AlertOpened, f"alr_{number}") for number in range(6)]
    tell(*told)
    deliver_due()
    with enter(northside):
        change_endpoint(endpoint, {"order": "all"}, using=USING)

    key = TenantKey(northside.key)
    assert replay_since(key, endpoint, since=since, only_failed=False, using=USING) == 6
    deliver_due()

    assert heard(receiver)[6:] == [("opened", alert) for _, alert in told]


def test_workers_that_address_many_endpoints_keep_the_order(northside, receive, add, tell, local):
    local(FAN_OUT_INLINE=1)
    receiver = receive(204)
    for number in range(3):
        add(northside, receiver.url(f"/{number}"), order="all")
    tell((AlertOpened, "alr_a"), (AlertResolved, "alr_a"))
    deliver_due()

    with enter(northside):
        assert set(Delivery.objects.values_list("queue", flat=True)) == {"*"}
    for number in range(3):
        path = f"/{number}".encode()
        mine = [json.loads(body)["type"] for head, body in receiver.requests if path in head[:9]]
        assert mine == ["alerts.opened", "alerts.resolved"]
