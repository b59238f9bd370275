"""From an event to a receiver, through real tables and real sockets."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from claimkit.errors import VerificationError
from claimkit.events import AlertOpened
from claimkit.ops.metrics import WEBHOOK_ENDPOINTS
from claimkit.types import TenantKey
from claimkit.webhooks import parse_key, verify
from claimkit.webhooks.deliver import deliver
from claimkit.webhooks.signing import HOP
from claimkit_django.http.hops import site_id
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.sealing import open_sealed
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.endpoints import add_key, change_endpoint, disable
from claimkit_django.webhooks.enqueue import ping, replay, replay_since
from claimkit_django.webhooks.models import Attempt, Delivery, Endpoint, EndpointKey, Message
from claimkit_django.webhooks.store import make_courier
from claimkit_django.webhooks.tasks import deliver_due
from claimkit_django.webhooks.vitals import gauges
from tests.projects.database import ROW_LEVEL_SECURITY

pytestmark = pytest.mark.django_db


def headers_of(head):
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])


def states(tenant):
    with enter(tenant):
        return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def test_an_event_arrives_signed(northside, receive, add, stage):
    receiver = receive(204)
    endpoint, key = add(northside, receiver.url(), headers={"X-Env": "marsupilami"})

    stage(northside, "upl_1")
    assert deliver(make_courier(USING)).done == 1

    ((head, body),) = receiver.requests
    headers = headers_of(head)
    told = verify(headers, body, [parse_key(key)], now=dt.datetime.now(dt.UTC))
    assert json.loads(body)["data"]["upload"] == "upl_1"
    assert headers["X-Env"] == "marsupilami"
    assert headers[HOP] == site_id()
    with enter(northside):
        delivery = Delivery.objects.get()
        attempt = Attempt.objects.get()
        assert (delivery.state, delivery.attempts) == ("done", 1)
        assert (attempt.number, attempt.status, attempt.reason) == (1, 204, "")
        assert Message.objects.get().uid == told.message_id
        assert EndpointKey.objects.get().last_used_at is not None
        assert endpoint.keys.get().fingerprint == attempt.key_fingerprints


def test_what_is_rolled_back_is_never_told(northside, receive, add, imported):
    """C1."""
    receiver = receive(204)
    add(northside, receiver.url())
    bus = make_bus(open_store(USING))

    with pytest.raises(ZeroDivisionError), bus.transaction(transaction.atomic(using=USING)):
        bus.stage(imported(northside, "upl_1"))
        raise ZeroDivisionError

    assert deliver(make_courier(USING)).done == 0
    assert states(northside) == []


def test_only_those_who_want_it_and_only_of_their_tenant(northside, lakeview, receive, add, stage):
    """A45."""
    receiver = receive(204)
    add(northside, receiver.url("/all"))
    add(northside, receiver.url("/imports"), event_types=["claims.imported"])
    add(northside, receiver.url("/drift"), event_types=["drift.detected"])
    add(lakeview, receiver.url("/lakeview"))

    stage(northside, "upl_1")
    deliver_due()

    heads = [head for head, _ in receiver.requests]
    assert sorted(head.split()[1] for head in heads) == [b"/all", b"/imports"]
    assert len({headers_of(head)["webhook-id"] for head in heads}) == 1
    assert states(lakeview) == []


def test_a_failure_is_kept_with_its_answer_sealed_and_tried_again(northside, receive, add, stage):
    def sorry(receiver, sock):
        receiver.read(sock)
        sock.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nsorry")

    add(northside, receive(sorry).url())
    stage(northside, "upl_1")
    assert deliver(make_courier(USING)).retried == 1

    with enter(northside):
        attempt = Attempt.objects.get()
        delivery = Delivery.objects.get()
        endpoint = Endpoint.objects.get()
        assert (attempt.status, attempt.reason) == (500, "http_status")
        assert b"sorry" not in bytes(attempt.sealed_response)
        assert open_sealed(attempt.sealed_response) == b"sorry"
        assert (delivery.state, delivery.reason) == ("due", "http_status")
        assert delivery.due_at > timezone.now()
        assert endpoint.failures == 1
        Delivery.objects.update(due_at=timezone.now())


def test_gone_disables_cancels_and_tells_the_others(northside, receive, add, stage):
    """A40."""
    gone, other = receive(410), receive(204)
    endpoint, _ = add(northside, gone.url(), event_types=["claims.imported"])
    add(northside, other.url(), event_types=["webhooks.endpoint_disabled"])

    stage(northside, "upl_1", "upl_2")
    deliver_due()
    stage(northside, "upl_3")
    deliver_due()

    ((_, body),) = other.requests
    assert len(gone.requests) == 1
    assert json.loads(body)["data"] == {
        "version": 1,
        "endpoint": endpoint.uid,
        "reason": "gone",
    }
    with enter(northside):
        row = Endpoint.objects.get(pk=endpoint.pk)
        assert (row.enabled, row.disabled_reason) == (False, "gone")
        mine = Delivery.objects.filter(lane=endpoint).order_by("pk")
        assert list(mine.values_list("state", flat=True)) == ["dead", "cancelled"]


def test_days_of_failures_disable_it_whoever_restarts(northside, receive, add, stage):
    """A42."""
    endpoint, _ = add(northside, receive(500).url())
    stage(northside, "upl_1")
    deliver_due()
    with enter(northside):
        since = timezone.now() - dt.timedelta(days=5)
        Endpoint.objects.update(failing_since=since)
        Delivery.objects.update(due_at=timezone.now())

    deliver_due()

    with enter(northside):
        assert Endpoint.objects.get(pk=endpoint.pk).disabled_reason == "failing"


def test_a_success_clears_the_record(northside, receive, add, stage):
    endpoint, _ = add(northside, receive(500, 204).url())
    stage(northside, "upl_1")
    deliver_due()
    with enter(northside):
        Delivery.objects.update(due_at=timezone.now())
    deliver_due()

    with enter(northside):
        row = Endpoint.objects.get(pk=endpoint.pk)
        assert (row.failures, row.failing_since, row.width) == (0, None, 100)
        assert [one.status for one in Attempt.objects.all()] == [500, 204]


def test_keys_are_sealed_and_replaced_with_an_overlap(northside, receive, add, stage):
    receiver = receive(204)
    endpoint, old = add(northside, receiver.url())
    with enter(northside):
        new = add_key(endpoint, using=USING)
        sealed = [bytes(one.sealed) for one in EndpointKey.objects.all()]
    stage(northside, "upl_1")
    deliver_due()

    head, body = receiver.requests[0]
    for key in (old, new):
        assert verify(headers_of(head), body, [parse_key(key)], now=dt.datetime.now(dt.UTC))
        assert all(key.encode() not in one for one in sealed)


def test_a_former_secret_of_the_site_still_opens_keys(northside, receive, add, stage, settings):
    receiver = receive(204)
    add(northside, receiver.url())
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-" + "x" * 50
    stage(northside, "upl_1")

    assert deliver_due() == 1


def test_a_replay_keeps_the_id_and_happens_once(northside, receive, add, stage):
    receiver = receive(204)
    add(northside, receiver.url())
    stage(northside, "upl_1")
    deliver_due()
    with enter(northside):
        rows = list(Delivery.objects.select_related("message"))

    key = TenantKey("northside")
    assert replay(key, rows, using=USING) == 1
    assert replay(key, rows, using=USING) == 0
    deliver_due()

    ids = [headers_of(head)["webhook-id"] for head, _ in receiver.requests]
    assert (len(ids), len(set(ids))) == (2, 1)


def test_what_was_missed_since_then_is_sent_once(northside, receive, add, stage):
    receiver = receive(410, 204)
    endpoint, _ = add(northside, receiver.url())
    since = timezone.now()
    stage(northside, "upl_1", "upl_2", "upl_3")
    deliver_due()
    with enter(northside):
        Endpoint.objects.update(enabled=True, disabled_reason="", held_until=None, width=100)
    key = TenantKey("northside")

    assert replay_since(key, endpoint, since=since, using=USING) == 3
    assert deliver_due() == 3
    assert replay_since(key, endpoint, since=since, using=USING) == 0
    assert replay_since(key, endpoint, since=since, only_failed=False, using=USING) == 3
    later = timezone.now() + dt.timedelta(hours=1)
    assert replay_since(key, endpoint, since=later, using=USING) == 0


def test_a_ping_goes_to_one_endpoint(northside, receive, add):
    receiver = receive(204)
    endpoint, _ = add(northside, receiver.url("/a"), event_types=["drift.detected"])
    add(northside, receiver.url("/b"))
    ping(TenantKey("northside"), endpoint, using=USING)
    deliver_due()

    ((head, body),) = receiver.requests
    assert head.split()[1] == b"/a"
    assert json.loads(body)["type"] == "webhooks.ping"


def test_a_disabled_endpoint_gets_nothing_more(northside, receive, add, stage):
    receiver = receive(204)
    endpoint, _ = add(northside, receiver.url())
    stage(northside, "upl_1")
    with enter(northside):
        disable(endpoint, using=USING)
    stage(northside, "upl_2")

    assert deliver_due() == 0
    assert (states(northside), receiver.requests) == (["cancelled"], [])


def test_full_data_are_asked_for(northside, receive, add, stage):
    receiver = receive(204)
    add(northside, receiver.url("/thin"))
    add(northside, receiver.url("/full"), detail="full")
    stage(northside, "upl_1")
    deliver_due()

    with enter(northside):
        assert sorted(Message.objects.values_list("detail", flat=True)) == ["full", "thin"]
        assert len(set(Message.objects.values_list("uid", flat=True))) == 1


def test_an_address_that_was_changed_by_hand_is_not_reached(
    northside, receive, add, stage, settings
):
    receiver = receive(204)
    add(northside, receiver.url())
    settings.CLAIMKIT = {"WEBHOOKS": {"THREADS": 1}}
    stage(northside, "upl_1")

    assert deliver_due() == 0
    assert receiver.connections == 0
    with enter(northside):
        assert Attempt.objects.get().reason == "target_invalid"


def test_the_command_says_what_it_did(northside, receive, add, stage, capsys):
    add(northside, receive(204).url())
    stage(northside, "upl_1")

    call_command("claimkit_deliver", "--once", "--threads", "1")

    assert capsys.readouterr().out.startswith("1 delivered, 0 to be tried again")


def test_enqueuing_takes_as_many_statements_as_there_are_forms(northside, add, stage):
    for number in range(12):
        add(northside, f"http://127.0.0.1:9/{number}")

    with CaptureQueriesContext(connection) as caught:
        stage(northside, "upl_1")

    # Other rooms listen too; these are ours: endpoints, message, deliveries. The system that this one
    # replaces asked 12 to dispatch one event.
    ours = [one["sql"] for one in caught if '"claimkit_webhooks_' in one["sql"]]
    assert [one.split()[0] for one in ours] == ["SELECT", "INSERT", "INSERT"]
    assert len(states(northside)) == 12


def test_a_batch_is_written_down_in_a_fixed_number_of_statements(
    northside, receive, add, stage, django_assert_max_num_queries
):
    add(northside, receive(204).url())
    stage(northside, *(f"upl_{number}" for number in range(20)))
    courier = make_courier(USING)
    (leases,) = courier.lease(1)

    # The system that this one replaces asked 10 for each delivery.
    with django_assert_max_num_queries(14):
        assert courier.serve(leases).done == 20
    courier.leave()


def test_two_tenants_may_tell_the_same_address_and_each_tells_its_own(
    northside, lakeview, receive, add, stage
):
    """A43."""
    receiver = receive(204)
    (_, key), (_, other) = add(northside, receiver.url()), add(lakeview, receiver.url())
    stage(northside, "upl_north")

    assert deliver_due() == 1
    ((head, body),) = receiver.requests
    headers = headers_of(head)
    assert json.loads(body)["data"]["upload"] == "upl_north"
    assert verify(headers, body, [parse_key(key)], now=timezone.now())
    with pytest.raises(VerificationError):
        verify(headers, body, [parse_key(other)], now=timezone.now())


@pytest.fixture
def detected():
    """Stage a drift, of which full data name payer and money."""

    def make(tenant):
        bus = make_bus(open_store(USING))
        with bus.transaction(transaction.atomic(using=USING)):
            bus.stage(
                AlertOpened(
                    tenant=TenantKey(tenant.key),
                    at=timezone.now(),
                    alert="alr_1",
                    kind="denial_rate",
                    severity="high",
                    payer="Palombia Health",
                    dollars_per_month=1_845_000,
                    summary="More denials.",
                )
            )

    return make


def test_an_endpoint_that_became_thin_is_sent_nothing_in_full(
    northside, receive, add, stage, detected
):
    """Not what was due, and no replay of what it had: it may lead elsewhere by now."""
    first, second = receive(204), receive(204)
    endpoint, _ = add(northside, first.url(), detail="full")
    detected(northside)
    assert deliver_due() == 1
    detected(northside)
    stage(northside, "upl_1")
    with enter(northside):
        change_endpoint(endpoint, {"detail": "thin", "url": second.url()}, using=USING)
        told = list(Delivery.objects.filter(state="done").select_related("message"))

    assert deliver_due() == 1
    assert replay(TenantKey(northside.key), told, using=USING) == 0
    ((_, body),) = second.requests
    assert b"Palombia" in first.requests[0][1]
    assert json.loads(body)["type"] == "claims.imported"
    with enter(northside):
        assert list(Delivery.objects.order_by("pk").values_list("state", "reason")) == [
            ("done", ""),
            ("cancelled", "withdrawn"),
            ("done", ""),
        ]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.org/", "target_invalid"),
        ("https://169.254.169.254/latest", "blocked_address"),
        ("https://[fd00:ec2::254]/", "blocked_address"),
        ("https://claims.example.org/api/v1/uploads/", "blocked_address"),
    ],
)
def test_an_address_that_was_written_by_hand_is_checked_before_it_is_used(
    northside, add, stage, settings, url, reason
):
    """A22, A23, A49."""
    add(northside, "http://127.0.0.1:9/")
    settings.CLAIMKIT = {"WEBHOOKS": {"THREADS": 1}}
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "claims.example.org"]
    with enter(northside):
        Endpoint.objects.update(url=url)
    stage(northside, "upl_1")

    assert deliver_due() == 0
    with enter(northside):
        assert Attempt.objects.get().reason == reason


@pytest.mark.skipif(
    connection.vendor != "postgresql" or ROW_LEVEL_SECURITY,
    reason="the clock is the host's own, or another role's",
)
def test_the_clocks_of_hosts_do_not_matter(northside, receive, add, stage):
    """C10: one that is an hour off signs, and finds due, what the database's clock says."""
    receiver = receive(204)
    add(northside, receiver.url())
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA ahead")
        for name in ("clock_timestamp", "statement_timestamp"):
            cursor.execute(
                f"CREATE FUNCTION ahead.{name}() RETURNS timestamptz LANGUAGE sql STABLE AS"
                f" 'SELECT pg_catalog.{name}() - make_interval(hours => 1)'"
            )
        cursor.execute("SET LOCAL search_path = ahead, pg_catalog, public")
    stage(northside, "upl_1")

    assert deliver_due() == 1
    sent_at = int(headers_of(receiver.requests[0][0])["webhook-timestamp"])
    assert abs(sent_at + 3_600 - timezone.now().timestamp()) < 60


def test_how_endpoints_fare_is_counted(northside, lakeview, add):
    for tenant in (northside, northside, northside, lakeview):
        add(tenant, "http://127.0.0.1:9/")
    with enter(northside):
        held, disabled, unconfirmed = Endpoint.objects.order_by("pk")
        later = timezone.now() + dt.timedelta(hours=1)
        Endpoint.objects.filter(pk=held.pk).update(held_until=later)
        Endpoint.objects.filter(pk=disabled.pk).update(enabled=False, disabled_reason="gone")
        Endpoint.objects.filter(pk=unconfirmed.pk).update(confirmed_at=None)

    told = {one.labels: one.value for one in gauges(USING) if one.series is WEBHOOK_ENDPOINTS}
    assert told == {("disabled",): 1, ("unconfirmed",): 1, ("held",): 1, ("sending",): 1}


def test_plugins_are_loaded_before_anything_is_leased(monkeypatch):
    """The first delivery would wait for it, seconds where there are many."""
    made = []
    monkeypatch.setattr("claimkit_django.webhooks.store.make_bus", made.append)
    courier = make_courier(USING)

    courier.arrive()
    courier.leave()

    assert len(made) == 1
