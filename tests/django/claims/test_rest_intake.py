"""FHIR over HTTP: taken like a file, followed by its status URL, told item by item."""

from __future__ import annotations

import datetime as dt
import json
import logging
from io import StringIO

import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.urls import include, path
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit.tenants import Role
from claimkit.types import TenantKey
from claimkit.webhooks.signing import SecretKey, sign
from claimkit_django.accounts.tokens import issue_token
from claimkit_django.claims import checks
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.models import Claim, Upload
from claimkit_django.claims.senders import find_sender
from claimkit_django.runtime import plugins
from claimkit_django.tenants.scope import enter

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

ROOT = "/api/v1/intake/fhir/"
SIGNED = f"{ROOT}signed/northside/epic/"
FHIR = "application/fhir+json"


@pytest.fixture(autouse=True)
def _no_one_counted_yet(settings, tmp_path):
    caches["default"].clear()
    settings.MEDIA_ROOT = tmp_path


def claim(number="PCN-7", **other):
    return {
        "resourceType": "Claim",
        "identifier": [{"value": number}],
        "status": "active",
        "use": "claim",
        "type": {"coding": [{"code": "professional"}]},
        "patient": {"display": "Marsupilami Franquin"},
        "created": "2026-01-12",
        "insurer": {"display": "LAKE MUTUAL"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/1"}}],
        "item": [
            {
                "sequence": 1,
                "productOrService": {"coding": [{"code": "99214"}]},
                "servicedDate": "2026-01-05",
                "net": {"value": 320, "currency": "USD"},
            }
        ],
        "total": {"value": 320, "currency": "USD"},
        **other,
    }


def bundle(*resources):
    return {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}


@pytest.fixture
def client(northside, make_member):
    client = APIClient()
    client.force_authenticate(make_member("ada", (northside, Role.ANALYST)))
    return client


def send(client, body, content_type=FHIR, where=ROOT, **headers):
    raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post(where, raw, content_type=content_type, headers=headers)


def finish(client, answer):
    """Run the import as a worker would, and return the status that the answer leads to."""
    run_import(TenantKey("northside"), answer.json()["uid"])
    return client.get(answer.headers["Location"]).json()


def code(answer):
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("body", "content_type", "claims"),
    [
        (claim(), FHIR, 1),
        (bundle(claim("A"), claim("B")), "application/json", 2),
        ("\n".join(json.dumps(claim(one)) for one in "ABC"), "application/fhir+ndjson", 3),
        ("\n".join(json.dumps(claim(one)) for one in "AB"), "application/x-ndjson", 2),
    ],
)
def test_a_resource_a_bundle_and_ndjson_are_taken(client, northside, body, content_type, claims):
    answer = send(client, body, content_type)
    done = finish(client, answer)

    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert answer.headers["Location"] == done["_links"]["self"]
    assert done["status"] == "success"
    assert done["claims_new"] == claims
    assert done["outcome"]["issue"] == [
        {
            "severity": "information",
            "code": "informational",
            "details": {"text": f"{claims} claims are in"},
        }
    ]
    with enter(northside):
        assert Claim.objects.count() == claims


def test_a_bad_entry_does_not_stop_the_others(client):
    bad = claim("B", total={"value": "a lot", "currency": "USD"}, item=[])
    done = finish(client, send(client, bundle(claim("A"), bad, claim("C"))))

    assert (done["status"], done["claims_new"], done["rows_rejected"]) == ("partial", 2, 1)
    outcome = done["outcome"]
    assert outcome["resourceType"] == "OperationOutcome"
    first, last = outcome["issue"]
    assert (first["severity"], first["code"]) == ("error", "invalid")
    assert first["diagnostics"].startswith("item 2: ")
    assert first["expression"][0].startswith("Claim")
    assert last["details"]["text"] == "2 claims are in"
    assert "Franquin" not in json.dumps(done)


def test_a_body_that_breaks_off_is_told_where_it_is_followed(client):
    whole = json.dumps(bundle(claim()))
    done = finish(client, send(client, whole[:-40]))

    assert done["status"] == "failed"
    assert done["outcome"]["issue"][0]["severity"] == "fatal"


def test_the_same_key_takes_a_body_once(client, northside):
    first = send(client, claim(), **{"idempotency-key": "k-1"})
    again = send(client, claim(), **{"idempotency-key": "k-1"})
    other = send(client, claim("X"), **{"idempotency-key": "k-1"})

    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert code(other) == (422, "idempotency_key_reused")
    with enter(northside):
        assert Upload.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "content_type", "told"),
    [
        (claim(), "text/xml", (415, "unsupported_media_type")),
        (b"", FHIR, (422, "file_empty")),
        (b"   ", FHIR, (422, "file_empty")),
        ({"hello": "world"}, FHIR, (422, "file_refused")),
        (b"ISA*00*", FHIR, (422, "file_refused")),
    ],
)
def test_what_is_no_fhir_is_refused_at_once(client, northside, body, content_type, told):
    assert code(send(client, body, content_type)) == told
    with enter(northside):
        assert not Upload.objects.exists()


def test_a_body_that_is_too_large_is_refused(client, northside, settings):
    settings.CLAIMKIT = {"CLAIMS": {"MAX_INTAKE_BYTES": 100}}

    assert code(send(client, claim())) == (413, "content_too_large")


def test_without_the_plugin_the_operator_is_named(client, settings):
    settings.CLAIMKIT = {"PLUGINS": {"DISABLED": ["fhir"]}}
    assert "fhir" not in plugins().readers

    answer = send(client, claim())

    assert code(answer) == (503, "unavailable")
    assert "claimkit-fhir" in answer.json()["detail"]


def test_a_token_is_enough_and_viewers_may_not(northside, make_member):
    _, token = issue_token(
        user=make_member("bot", (northside, Role.ANALYST)),
        tenant=northside,
        name="EHR",
        scope="write",
        expires_at=timezone.now() + dt.timedelta(days=1),
    )
    viewer = APIClient()
    viewer.force_authenticate(make_member("vic", (northside, Role.VIEWER)))

    assert send(viewer, claim()).status_code == 403
    assert send(APIClient(), claim()).status_code == 401
    assert send(APIClient(), claim(), authorization=f"Bearer {token}").status_code == 202


def test_nothing_of_the_body_is_logged_or_handed_to_tasks(client, caplog, monkeypatch):
    handed = []
    monkeypatch.setattr(
        "claimkit_django.claims.rest_intake.queue_import", lambda upload: handed.append(upload.uid)
    )
    with caplog.at_level(logging.DEBUG):
        answer = send(client, bundle(claim(), {"resourceType": "Claim", "x": "Franquin"}))
        finish(client, answer)

    assert handed == [answer.json()["uid"]]
    assert "Franquin" not in caplog.text
    assert "PCN-7" not in caplog.text


def test_fhir_can_be_all_that_a_client_accepts(client):
    assert send(client, claim(), accept=FHIR).headers["Content-Type"].startswith(FHIR)


# -- signed -----------------------------------------------------------------------------------


@pytest.fixture
def sender(northside, settings):
    settings.CLAIMKIT = {"CLAIMS": {"SIGNED_SENDERS": ["northside:epic"]}}
    return find_sender("northside", "epic")[0]


def signed(body, key, *, message="msg_1", at=None, where=SIGNED):
    raw = json.dumps(body).encode()
    headers = sign(message, at or timezone.now(), raw, [key])
    return send(APIClient(), raw, where=where, **headers)


def test_a_signed_webhook_is_taken_in_the_senders_tenant(sender, northside):
    answer = signed(claim(), sender.key)

    assert answer.status_code == 202
    with enter(northside):
        (upload,) = Upload.objects.all()
    assert (upload.actor, upload.source) == ("user:northside:epic", "fhir")


def test_a_webhook_that_is_repeated_is_taken_once(sender, northside):
    first, again = signed(claim(), sender.key), signed(claim(), sender.key)

    assert again.json() == first.json()
    with enter(northside):
        assert Upload.objects.count() == 1


@pytest.mark.parametrize("wrong", ["key", "old", "sender", "tenant", "unlisted", "former"])
def test_what_nobody_signed_who_may_is_refused(sender, northside, lakeview, settings, wrong):
    key, at, where = sender.key, timezone.now(), SIGNED
    if wrong == "key":
        key = SecretKey(b"marsupilami-marsupilami-marsupil")
    if wrong == "old":
        at -= dt.timedelta(hours=1)
    if wrong == "sender":
        where = f"{ROOT}signed/northside/cerner/"
    if wrong == "tenant":
        where = f"{ROOT}signed/lakeview/epic/"
    if wrong == "unlisted":
        settings.CLAIMKIT = {}
    if wrong == "former":
        settings.CLAIMKIT = {"CLAIMS": {"SIGNED_SENDERS": ["northside:epic:2"]}}

    assert code(signed(claim(), key, at=at, where=where)) == (401, "authentication_failed")
    with enter(northside):
        assert not Upload.objects.exists()


def test_a_body_that_was_changed_on_its_way_is_refused(sender):
    raw = json.dumps(claim()).encode()
    headers = sign("msg_1", timezone.now(), raw, [sender.key])

    assert send(APIClient(), raw + b" ", where=SIGNED, **headers).status_code == 401


def test_what_this_site_sent_itself_is_refused(sender):
    assert send(APIClient(), claim(), where=SIGNED, **{"webhook-hop": "1"}).status_code in {
        401,
        508,
    }


def test_the_key_of_a_sender_is_told_to_the_operator(sender):
    out = StringIO()
    call_command("claimkit_intake_key", "epic", tenant="northside", format="json", stdout=out)
    told = json.loads(out.getvalue())

    assert told["key"] == sender.key.text
    assert "whsec_" not in repr(sender)
    with pytest.raises(CommandError, match="list it first"):
        call_command("claimkit_intake_key", "cerner", tenant="northside")


@pytest.mark.parametrize("entry", ["northside", "northside:", ":epic", "n:e:0", "n:e:x", "n:a b"])
def test_a_sender_that_is_spelled_wrong_is_a_system_check(settings, entry):
    settings.CLAIMKIT = {"CLAIMS": {"SIGNED_SENDERS": [entry]}}

    (found,) = checks.check_limits()
    assert found.id == "claimkit_claims.E002"
