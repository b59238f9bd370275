"""Endpoints that must show that they want webhooks, and tenants that have very many of them."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from claimkit.errors import InvalidTarget
from claimkit.testing.receivers import answer
from claimkit.webhooks import parse_key, sign
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.addressing import fan_out
from claimkit_django.webhooks.endpoints import change_endpoint, confirm
from claimkit_django.webhooks.models import Delivery, Endpoint, Message
from claimkit_django.webhooks.receive import receive_webhooks
from claimkit_django.webhooks.tasks import deliver_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def _confirming(local):
    local(CONFIRM_ENDPOINTS=True)


def told(receiver):
    return [json.loads(body) for _, body in receiver.requests]


def kinds(receiver):
    return [one["type"] for one in told(receiver)]


def waiting(tenant):
    with enter(tenant):
        rows = Delivery.objects.filter(Delivery.live(), due_at__gt=timezone.now())
        return rows.count()


def again(endpoint):
    """Return an endpoint as it is now."""
    with enter(endpoint.tenant):
        return Endpoint.objects.get(pk=endpoint.pk)


def echo(receiver, sock):
    """Repeat the challenge as a receiver's own program would."""
    while receiver.read(sock):
        data = told(receiver)[-1]["data"]
        sock.sendall(answer(200, json.dumps({"challenge": data.get("challenge", "")}).encode()))


@pytest.mark.usefixtures("_confirming")
def test_a_receiver_that_repeats_the_challenge_gets_what_waited(northside, receive, add, stage):
    receiver = receive(echo)
    endpoint, _ = add(northside, receiver.url())
    stage(northside, "upl_1")
    assert waiting(northside) == 1

    # The ping confirms it; then what waited is due.
    assert deliver_due() == 2

    assert kinds(receiver) == ["webhooks.ping", "claims.imported"]
    assert again(endpoint).confirmed_at is not None
    stage(northside, "upl_2")
    assert deliver_due() == 1


@pytest.mark.usefixtures("_confirming")
def test_the_receiver_of_somebody_else_hears_nothing_but_pings(northside, receive, add, stage):
    """A43."""
    # It answers everybody, as many do, and knows nothing of the challenge.
    receiver = receive(200)
    endpoint, _ = add(northside, receiver.url())
    stage(northside, "upl_1")

    assert deliver_due() == 1
    assert kinds(receiver) == ["webhooks.ping"]
    assert again(endpoint).confirmed_at is None


@pytest.mark.usefixtures("_confirming")
def test_a_challenge_that_a_failure_repeats_confirms_nothing(northside, receive, add):
    def refuse(receiver, sock):
        while receiver.read(sock):
            sock.sendall(answer(404, told(receiver)[-1]["data"]["challenge"].encode()))

    endpoint, _ = add(northside, receive(refuse).url())
    deliver_due()
    assert again(endpoint).confirmed_at is None


@pytest.mark.usefixtures("_confirming")
def test_what_waits_for_days_is_given_up(northside, receive, add, stage):
    receiver = receive(200)
    add(northside, receiver.url())
    stage(northside, "upl_1")
    with enter(northside):
        Delivery.objects.update(due_at=timezone.now() - dt.timedelta(seconds=1))
    deliver_due()

    assert kinds(receiver) == ["webhooks.ping"]
    with enter(northside):
        (lost,) = Delivery.objects.filter(state="cancelled")
        assert (lost.reason, lost.message.event_type) == ("withdrawn", "claims.imported")


@pytest.mark.usefixtures("_confirming")
def test_a_person_confirms_with_what_the_receiver_was_sent(northside, receive, add, stage):
    receiver = receive(200)
    endpoint, _ = add(northside, receiver.url())
    stage(northside, "upl_1")
    deliver_due()
    with enter(northside), pytest.raises(InvalidTarget, match="not the challenge") as caught:
        confirm(again(endpoint), "chl_0000000000000000000000000a", using=USING)
    assert caught.value.code == "challenge_wrong"

    with enter(northside):
        confirm(again(endpoint), told(receiver)[0]["data"]["challenge"], using=USING)
    assert deliver_due() == 1
    assert kinds(receiver) == ["webhooks.ping", "claims.imported"]


@pytest.mark.usefixtures("_confirming")
def test_a_new_address_must_be_confirmed_and_nothing_is_lost_meanwhile(
    northside, receive, add, stage
):
    first, second = receive(echo), receive(echo)
    endpoint, _ = add(northside, first.url())
    deliver_due()
    stage(northside, "upl_1")

    with enter(northside):
        change_endpoint(again(endpoint), {"url": second.url()}, using=USING)
    assert again(endpoint).confirmed_at is None
    assert waiting(northside) == 1
    assert deliver_due() == 2

    assert kinds(first) == ["webhooks.ping"]
    assert kinds(second) == ["webhooks.ping", "claims.imported"]


@pytest.mark.usefixtures("_confirming")
def test_the_old_address_does_not_confirm_the_new_one(northside, receive, add):
    moved = receive(200)

    def move_meanwhile(receiver, sock):
        while receiver.read(sock):
            challenge = told(receiver)[-1]["data"]["challenge"]
            moves.append(challenge)
            sock.sendall(answer(200, challenge.encode()))

    moves = []
    endpoint, _ = add(northside, receive(move_meanwhile).url())
    with enter(northside):
        # As if the address changed while the ping was under way.
        Endpoint.objects.filter(pk=endpoint.pk).update(challenge="chl_of_the_new_address")
        change = Endpoint.objects.get(pk=endpoint.pk)
    deliver_due()
    assert moves
    assert again(endpoint).confirmed_at is None
    with enter(northside):
        change_endpoint(change, {"url": moved.url()}, using=USING)
    assert again(endpoint).challenge not in {"", *moves}


def test_our_receivers_repeat_the_challenge_and_the_view_does_not_see_it(northside):
    key = parse_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    seen = []

    @receive_webhooks(source="claimkit", keys=lambda: [key.text])
    def view(request, verified):
        seen.append(verified.message_id)
        return HttpResponse(status=204)

    def send(data, *, signed=True):
        body = json.dumps({"type": "webhooks.ping", "data": data}).encode()
        headers = sign("msg_1", timezone.now(), body if signed else b"other", [key])
        request = RequestFactory().post(
            "/hooks/", body, content_type="application/json", headers=headers
        )
        return view(request)

    assert json.loads(send({"challenge": "chl_marsupilami"}).content) == {
        "challenge": "chl_marsupilami"
    }
    assert send({"challenge": "chl_marsupilami"}, signed=False).status_code == 401
    assert seen == []
    # A ping of an endpoint that is confirmed is a webhook like others.
    assert send({"challenge": ""}).status_code == 204
    assert seen == ["msg_1"]


@pytest.fixture
def _few_inline(local):
    local(FAN_OUT_INLINE=3)


@pytest.mark.usefixtures("_few_inline")
def test_many_endpoints_are_addressed_by_workers(northside, receive, add, stage):
    """A50."""
    receiver = receive(204)
    for number in range(5):
        types = ["claims.imported"] if number else ["drift.detected"]
        add(northside, receiver.url(f"/{number}"), event_types=types)
    with CaptureQueriesContext(connection) as caught:
        stage(northside, "upl_1")
    ours = [one["sql"] for one in caught if '"claimkit_webhooks_' in one["sql"]]
    assert [one.split()[0] for one in ours] == ["SELECT", "INSERT"]
    with enter(northside):
        assert Delivery.objects.count() == 0
        assert Message.objects.filter(fan_out_after=0).count() == 2

    add(northside, receiver.url("/later"))
    assert deliver_due() == 4

    assert {head.split()[1] for head, _ in receiver.requests} == {b"/1", b"/2", b"/3", b"/4"}
    with enter(northside):
        assert Message.objects.filter(fan_out_after__isnull=False).count() == 0
    assert fan_out(USING, now=timezone.now()) == 0


@pytest.mark.usefixtures("_few_inline")
def test_fan_out_goes_on_where_it_stopped(northside, add, stage, monkeypatch):
    monkeypatch.setattr("claimkit_django.webhooks.addressing._BATCH", 2)
    for number in range(5):
        add(northside, f"http://127.0.0.1:9/{number}")
    stage(northside, "upl_1")

    written = []
    for _ in range(6):
        written.append(fan_out(USING, now=timezone.now()))
        with enter(northside):
            assert Delivery.objects.count() == sum(written)
    # The thin form in three batches, the full one, which nobody wants, in none.
    assert [one for one in written if one] == [2, 2, 1]
    with enter(northside):
        lanes = Delivery.objects.values_list("lane_id", flat=True)
        assert len(lanes) == len(set(lanes)) == 5
