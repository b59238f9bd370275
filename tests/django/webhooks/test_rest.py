from __future__ import annotations

import datetime as dt
import ipaddress
import ssl

import pytest
from django.core.cache import caches
from django.urls import include, path
from rest_framework.test import APIClient

from claimkit.tenants import Role
from claimkit.testing.receivers import Receiver, answering, chattering
from claimkit.testing.receivers import answer as answer_of
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.models import Attempt, Delivery, Endpoint, EndpointKey
from claimkit_django.webhooks.schema import describe_webhooks
from claimkit_django.webhooks.tasks import deliver_due

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

ROOT = "/api/v1/webhooks/"


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def client_of(make_member):
    def make(tenant, role=Role.ADMIN):
        client = APIClient()
        client.force_authenticate(make_member(f"{role}@{tenant.key}", (tenant, role)))
        return client

    return make


def new(url, **values):
    return {"url": url, "event_types": ["claims.imported"], **values}


def test_an_endpoint_shows_its_key_once(northside, client_of):
    """A48."""
    client = client_of(northside)

    made = client.post(f"{ROOT}endpoints/", new("http://127.0.0.1:9/"), format="json")
    shown = client.get(f"{ROOT}endpoints/{made.data['uid']}/")
    listed = client.get(f"{ROOT}endpoints/")

    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    assert made.data["key"].startswith("whsec_")
    assert "key" not in shown.data
    bodies = (shown.content + listed.content).decode()
    assert made.data["key"] not in bodies
    assert shown.data["keys"][0]["fingerprint"] in bodies


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"url": "https://a:b@hooks.example.org/"}, "url", "target_invalid"),
        ({"url": "http://169.254.169.254/"}, "url", "blocked_address"),
        ({"event_types": ["claims.imprted"]}, "event_types", "unknown_name"),
        ({"event_types": ["webhooks.ping"]}, "event_types", "unknown_name"),
        ({"headers": {"Webhook-Signature": "v1,x"}}, "headers", "header_refused"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "headers", "header_refused"),
        ({"key_version": "v9"}, "key_version", "invalid_choice"),
    ],
)
def test_what_is_no_endpoint_is_refused_by_name(northside, client_of, values, field, code):
    """A44, A45."""
    answer = client_of(northside).post(
        f"{ROOT}endpoints/", new("http://127.0.0.1:9/") | values, format="json"
    )

    assert answer.status_code == (400 if code == "invalid_choice" else 422)
    assert [(one["attr"], one["code"]) for one in answer.json()["errors"]] == [(field, code)]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST])
def test_endpoints_are_for_admins(northside, client_of, role):
    client = client_of(northside, role)

    assert client.get(f"{ROOT}endpoints/").status_code == 403
    assert client.post(f"{ROOT}endpoints/", new("http://127.0.0.1:9/")).status_code == 403
    assert client.get(f"{ROOT}deliveries/").status_code == 403
    assert client.get(f"{ROOT}event-types/").status_code == 200


def test_what_belongs_to_others_does_not_exist(northside, lakeview, client_of, add, stage, receive):
    """A46."""
    endpoint, _ = add(northside, receive(204).url())
    stage(northside, "upl_1")
    with enter(northside):
        delivery = Delivery.objects.get()
    client = client_of(lakeview)

    for where in (f"endpoints/{endpoint.uid}/", f"deliveries/{delivery.uid}/"):
        assert client.get(ROOT + where).status_code == 404
    changed = client.patch(f"{ROOT}endpoints/{endpoint.uid}/", {}, headers={"If-Match": "*"})
    assert changed.status_code == 404
    for act in ("ping", "disable", "enable", "rotate-key"):
        assert client.post(f"{ROOT}endpoints/{endpoint.uid}/{act}/").status_code == 404
    assert client.post(f"{ROOT}deliveries/{delivery.uid}/replay/").status_code == 404
    assert client.get(f"{ROOT}deliveries/").json()["results"] == []


def test_the_log_tells_attempts_and_can_be_replayed(northside, client_of, add, stage, receive):
    receiver = receive(204)
    endpoint, _ = add(northside, receiver.url())
    stage(northside, "upl_1")
    deliver_due()
    client = client_of(northside)

    (listed,) = client.get(f"{ROOT}deliveries/", {"endpoint": endpoint.uid}).json()["results"]
    shown = client.get(f"{ROOT}deliveries/{listed['uid']}/").json()
    again = client.post(f"{ROOT}deliveries/{listed['uid']}/replay/")

    assert (listed["state"], listed["event_type"]) == ("done", "claims.imported")
    assert [one["status"] for one in shown["attempts_made"]] == [204]
    assert again.json() == {"replayed": 1}
    assert deliver_due() == 1


def test_what_people_do_with_an_endpoint(northside, client_of, add, receive):
    receiver = receive(204)
    endpoint, _ = add(northside, receiver.url())
    client = client_of(northside)
    where = f"{ROOT}endpoints/{endpoint.uid}/"

    rotated = client.post(f"{where}rotate-key/", {"key_version": "v1a"}, format="json")
    assert (rotated.status_code, rotated.data["key"][:5]) == (201, "whsk_")
    assert rotated.data["keys"][0]["public"].startswith("whpk_")
    assert client.post(f"{where}ping/").status_code == 200
    assert deliver_due() == 1
    assert client.post(f"{where}disable/").json()["disabled_reason"] == "by_hand"
    assert client.post(f"{where}enable/").json()["enabled"] is True
    replayed = client.post(f"{where}replay/", {"since": "2026-01-01T00:00:00Z"}, format="json")
    assert replayed.json() == {"replayed": 0}
    with enter(northside):
        assert EndpointKey.objects.count() == 2


def test_event_types_come_with_their_schema(northside, client_of):
    answer = client_of(northside, Role.VIEWER).get(f"{ROOT}event-types/").json()

    assert {"claims.imported", "drift.detected"} <= {one["name"] for one in answer}
    assert "webhooks.ping" not in {one["name"] for one in answer}
    assert all(one["schema"]["properties"]["data"] for one in answer)


def test_a_change_is_based_on_what_was_read(northside, client_of):
    client = client_of(northside)
    made = client.post(f"{ROOT}endpoints/", new("http://127.0.0.1:9/"), format="json")
    where = f"{ROOT}endpoints/{made.data['uid']}/"
    read = client.get(where)

    def change(etag, **values):
        return client.patch(where, values, format="json", headers={"If-Match": etag})

    changed = change(read["ETag"], url="http://127.0.0.1:8/", event_types=["*"])
    stale = change(read["ETag"], description="Late")
    blind = client.patch(where, {"description": "Blind"}, format="json")

    assert (changed.status_code, stale.status_code, blind.status_code) == (200, 412, 428)
    assert changed["ETag"] == client.get(where)["ETag"] != read["ETag"]
    assert changed.json() == {
        **read.json(),
        "url": "http://127.0.0.1:8/",
        "event_types": ["*"],
    }


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"url": "http://169.254.169.254/"}, "url", "blocked_address"),
        ({"event_types": ["claims.imprted"]}, "event_types", "unknown_name"),
        ({"headers": {"Host": "x"}}, "headers", "header_refused"),
        ({"detail": "all"}, "detail", "invalid_choice"),
    ],
)
def test_a_change_that_makes_no_endpoint_changes_nothing(
    northside, client_of, add, values, field, code
):
    endpoint, _ = add(northside, "http://127.0.0.1:9/")
    client, where = client_of(northside), f"{ROOT}endpoints/{endpoint.uid}/"
    before = client.get(where)

    sent = {"description": "New", **values}
    answer = client.patch(where, sent, format="json", headers={"If-Match": before["ETag"]})

    assert [(one["attr"], one["code"]) for one in answer.json()["errors"]] == [(field, code)]
    assert client.get(where).json() == before.json()


def test_another_address_begins_with_a_clean_record(northside, client_of, add):
    endpoint, _ = add(northside, "http://127.0.0.1:9/")
    with enter(northside):
        Endpoint.objects.update(failures=7, failing_since=endpoint.created_at, width=1)
    client, where = client_of(northside), f"{ROOT}endpoints/{endpoint.uid}/"
    etag = client.get(where)["ETag"]

    same = client.patch(where, {"description": "New"}, format="json", headers={"If-Match": etag})
    moved = client.patch(
        where, {"url": "http://127.0.0.1:8/"}, format="json", headers={"If-Match": same["ETag"]}
    )

    assert (same.json()["failures"], moved.json()["failures"]) == (7, 0)


def test_only_an_owner_lets_payer_and_money_out(northside, client_of, add):
    """A45."""
    admin, owner = client_of(northside), client_of(northside, Role.OWNER)
    thin, _ = add(northside, "http://127.0.0.1:9/")
    where = f"{ROOT}endpoints/{thin.uid}/"
    anything = {"If-Match": "*"}

    def answers(client):
        made = new("http://127.0.0.1:9/", detail="full")
        return [
            client.post(f"{ROOT}endpoints/", made, format="json"),
            client.patch(where, {"detail": "full"}, format="json", headers=anything),
        ]

    refused = answers(admin)
    assert [one.status_code for one in refused] == [403, 403]
    assert {one.json()["code"] for one in refused} == {"permission_denied"}
    with enter(northside):
        assert list(Endpoint.objects.values_list("detail", flat=True)) == ["thin"]
    assert [one.status_code for one in answers(owner)] == [201, 200]
    assert owner.get(where).json()["detail"] == "full"


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"url": "http://127.0.0.1:8/"}, 403),
        ({"url": "http://127.0.0.1:8/", "detail": "full"}, 403),
        ({"headers": {"X-Account": "mine"}}, 403),
        ({"certificates": {}}, 403),
        ({"event_types": ["claims.imported", "drift.detected"]}, 403),
        ({"event_types": ["*"]}, 403),
        ({"event_types": ["claims.imported"], "description": "New"}, 200),
        ({"url": "http://127.0.0.1:9/", "detail": "full"}, 200),
        ({"url": "http://127.0.0.1:8/", "detail": "thin"}, 200),
    ],
)
def test_an_admin_leads_an_endpoint_that_hears_them_nowhere_else(
    northside, client_of, add, values, status
):
    endpoint, _ = add(
        northside, "http://127.0.0.1:9/", detail="full", event_types=["claims.imported"]
    )
    client, where = client_of(northside), f"{ROOT}endpoints/{endpoint.uid}/"

    changed = client.patch(where, values, format="json", headers={"If-Match": "*"})

    assert changed.status_code == status
    if status == 403:
        with enter(northside):
            assert Endpoint.objects.get().url == endpoint.url


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example.org/", "target_scheme"),
        ("https://hooks.example.org:25/", "target_port"),
        ("https://169.254.169.254/", "blocked_address"),
        ("https://[fd00:ec2::254]/", "blocked_address"),
        ("https://claims.example.org/api/v1/uploads/", "blocked_address"),
    ],
)
def test_what_is_no_public_https_address_is_refused(northside, client_of, settings, url, code):
    """A22, A23, A30, A49."""
    settings.CLAIMKIT = {}
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "claims.example.org"]
    answer = client_of(northside).post(f"{ROOT}endpoints/", new(url), format="json")

    assert [(one["attr"], one["code"]) for one in answer.json()["errors"]] == [("url", code)]


def test_a_webhook_that_is_led_back_is_refused(northside, receive, add, stage):
    """A49: under a name that is not ours: whoever it goes to passes it on to our own intake."""

    def pass_on(receiver, sock):
        receiver.read(sock)
        head, body = receiver.requests[-1]
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        headers = {name: text for name, text in lines.items() if name.startswith("webhook-")}
        taken = APIClient().post(
            "/api/v1/uploads/", body, content_type="application/json", headers=headers
        )
        sock.sendall(answer_of(taken.status_code))

    add(northside, receive(pass_on).url())
    stage(northside, "upl_1")
    deliver_due()

    with enter(northside):
        attempt = Attempt.objects.get()
        assert (attempt.status, attempt.reason) == (508, "http_status")


def test_headers_and_answers_are_shown_nowhere(northside, client_of, stage, receive, caplog):
    """A37, A47."""
    said = b"HTTP/1.1 500 No\r\nContent-Length: 29\r\n\r\n<script>palombia()</script>\r\n"
    receiver = receive(chattering(said))
    client = client_of(northside)
    sent = new(receiver.url(), headers={"Authorization": "Bearer marsupilami"})
    made = client.post(f"{ROOT}endpoints/", sent, format="json")
    stage(northside, "upl_1")
    deliver_due()

    (listed,) = client.get(f"{ROOT}deliveries/").json()["results"]
    pages = [
        made,
        client.get(f"{ROOT}endpoints/{made.data['uid']}/"),
        client.get(f"{ROOT}deliveries/{listed['uid']}/"),
    ]
    shown = " ".join([*(one.content.decode() for one in pages), caplog.text])
    assert b"Bearer marsupilami" in receiver.requests[0][0]
    assert pages[2].json()["attempts_made"][0]["status"] == 500
    assert not [word for word in ("marsupilami", "palombia") if word in shown]
    with enter(northside):
        assert b"marsupilami" not in bytes(Endpoint.objects.get().sealed_headers)


@pytest.fixture(scope="module")
def pem():
    """Return a certificate with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "claims.example.org")])
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    built = built.add_extension(x509.SubjectAlternativeName([here]), critical=False)
    built = built.not_valid_before(now).not_valid_after(now + dt.timedelta(days=9))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(encoding, form, serialization.NoEncryption())
    return (built.sign(key, hashes.SHA256()).public_bytes(encoding) + private).decode()


def test_certificates_of_an_endpoint_are_used_kept_sealed_and_removed(
    northside, client_of, pem, receive, stage, tmp_path
):
    (tmp_path / "pem").write_text(pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    # It is ours too: the receiver asks who connects.
    tls.load_verify_locations(tmp_path / "pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    client, receiver = client_of(northside), Receiver(answering(answer_of(204)), tls=tls)
    sent = new(receiver.url(scheme="https"), certificates={"authority": pem, "client": pem})
    with receiver:
        made = client.post(f"{ROOT}endpoints/", sent, format="json")
        stage(northside, "upl_1")
        assert deliver_due() == 1
    where = f"{ROOT}endpoints/{made.data['uid']}/"
    with enter(northside):
        sealed = bytes(Endpoint.objects.get().sealed_tls)

    shown = client.get(where)
    assert (made.data["has_certificates"], len(receiver.requests)) == (True, 1)
    assert b"PRIVATE KEY" not in sealed + made.content + shown.content
    anything = {"If-Match": shown["ETag"]}
    removed = client.patch(where, {"certificates": {}}, format="json", headers=anything)
    assert removed.json()["has_certificates"] is False


def test_the_order_of_an_endpoint(northside, client_of):
    client, sent = client_of(northside), new("http://127.0.0.1:9/")

    made = client.post(f"{ROOT}endpoints/", {**sent, "order": "subject"}, format="json")
    refused = client.post(f"{ROOT}endpoints/", {**sent, "order": "latest"}, format="json")

    assert made.json()["order"] == "subject"
    assert (refused.status_code, refused.json()["errors"][0]["attr"]) == (400, "order")


def test_certificates_that_are_none_are_refused_by_name(northside, client_of):
    sent = new("http://127.0.0.1:9/", certificates={"authority": "marsupilami"})
    answer = client_of(northside).post(f"{ROOT}endpoints/", sent, format="json")

    assert [(one["attr"], one["code"]) for one in answer.json()["errors"]] == [
        ("certificates", "certificate_invalid")
    ]


def test_receivers_are_told_where_webhooks_come_from(local):
    local(EGRESS_ADDRESSES=["203.0.113.7", "203.0.113.8"])

    told = describe_webhooks({}, None, None, None)["webhooks"]

    assert {one["post"]["description"] for one in told.values()} == {
        "Sent from 203.0.113.7, 203.0.113.8."
    }
