"""Authorizations over HTTP, and the calendar."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.cache import caches
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import include, path
from rest_framework.test import APIClient

from claimkit.claims.privacy import patient_token
from claimkit.tenants import Role
from claimkit.types import TenantKey
from claimkit_django.authorizations.models import Authorization
from claimkit_django.runtime import patient_key
from claimkit_django.tenants.scope import enter

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

ROOT = "/api/v1/authorizations/"
SENT = {
    "number": "A-417",
    "payer": "Aetna",
    "procedure": "g0151",
    "member_id": "W12345",
    "valid_from": "2026-01-01",
    "valid_until": "2026-04-30",
    "units_authorized": "24",
}


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def client(northside, make_member):
    client = APIClient()
    client.force_authenticate(make_member("ada", (northside, Role.ANALYST)))
    return client


#: Codes of what the schema says too: a 400. Anything else was understood, and is a 422.
MALFORMED = {
    "blank",
    "empty",
    "invalid",
    "invalid_choice",
    "max_length",
    "max_value",
    "min_value",
    "required",
}


def errors(answer):
    told = [(one["attr"], one["code"]) for one in answer.json()["errors"]]
    is_malformed = bool(MALFORMED & {code for _, code in told})
    assert answer.status_code == (400 if is_malformed else 422), answer.content
    return told


def test_one_is_added_and_the_member_is_not_kept(client, northside):
    made = client.post(ROOT, SENT, format="json")

    assert made.status_code == 201, made.content
    assert made.json()["procedure"] == "G0151"
    assert made.json()["has_patient"] is True
    assert "W12345" not in made.content.decode()
    with enter(northside):
        row = Authorization.objects.get()
    assert row.patient_token == patient_token("W12345", patient_key(TenantKey("northside")))
    assert row.patient_token not in made.content.decode()
    assert errors(client.post(ROOT, SENT, format="json")) == [("number", "unique")]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"valid_until": "2025-12-31"}, "valid_until"),
        ({"units_authorized": "0"}, "units_authorized"),
        ({"units_authorized": "100001"}, "units_authorized"),
        ({"units_stated": "-1"}, "units_stated"),
        ({"payer": ""}, "payer"),
    ],
)
def test_what_no_payer_gave_is_refused(client, wrong, field):
    ((attr, _),) = errors(client.post(ROOT, {**SENT, **wrong}, format="json"))

    assert attr == field


def test_a_change_says_what_it_is_based_on(client, northside, authorize):
    where = f"{ROOT}{authorize(northside).uid}/"
    read = client.get(where)
    change = {"units_stated": "3"}

    assert client.patch(where, change, format="json").status_code == 428
    done = client.patch(where, change, format="json", headers={"if-match": read["ETag"]})
    late = client.patch(where, change, format="json", headers={"if-match": read["ETag"]})

    assert done.json()["units_used"] == "3.000"
    assert done["ETag"] == client.get(where)["ETag"] != read["ETag"]
    assert late.status_code == 412


def test_a_change_cannot_take_anothers_number(client, northside, authorize):
    authorize(northside, "A-1")
    where = f"{ROOT}{authorize(northside, 'A-2').uid}/"
    answer = client.patch(where, {"number": "A-1"}, format="json", headers={"if-match": "*"})

    assert errors(answer) == [("number", "unique")]


def test_lists_are_filtered(client, northside, authorize):
    first = authorize(northside, "A-1")
    authorize(northside, "A-2", payer="Cigna", valid_until=dt.date(2026, 6, 30))
    later = authorize(northside, "A-3", valid_until=dt.date(2026, 7, 31))
    client.post(f"{ROOT}{first.uid}/renew/", {"renewal": later.uid}, format="json")

    def numbers(**asked):
        return [one["number"] for one in client.get(ROOT, asked).json()["results"]]

    assert numbers() == ["A-1", "A-2", "A-3"]
    assert numbers(payer="Cigna") == ["A-2"]
    assert numbers(ends_from="2026-06-30", ends_to="2026-07-31") == ["A-2"]
    assert numbers(renewed="true") == ["A-1"]
    assert numbers(renewed="false") == ["A-2", "A-3"]


def test_a_renewal_is_linked_once(client, northside, lakeview, authorize):
    first = authorize(northside, "A-1")
    later = authorize(northside, "A-2", valid_until=dt.date(2026, 7, 31))
    foreign = authorize(lakeview, "A-3", valid_until=dt.date(2026, 7, 31))

    def renew(by):
        return client.post(f"{ROOT}{first.uid}/renew/", {"renewal": by}, format="json")

    assert errors(renew(first.uid)) == [("renewal", "renewal_too_early")]
    assert errors(renew(foreign.uid)) == [("renewal", "does_not_exist")]
    assert renew(later.uid).json()["renewal"] == later.uid
    assert renew(later.uid).status_code == 409


def test_a_file_is_taken_and_its_problems_are_kept(client):
    text = "number,payer,cpt,start,end,units\nA-1,Aetna,97110,2026-01-01,2026-04-30,24\nA-2\n"
    file = SimpleUploadedFile("a.csv", text.encode())
    done = client.post(f"{ROOT}imports/", {"file": file}, format="multipart")

    assert done.status_code == 201, done.content
    assert (done.json()["new"], done.json()["rejected"]) == (1, 1)
    shown = client.get(done.json()["_links"]["self"]).json()
    assert [one["code"] for one in shown["problems"]] == ["cell_missing"]


def test_a_file_that_is_none_is_refused(client, settings):
    def send(text):
        file = SimpleUploadedFile("a.csv", text.encode())
        return client.post(f"{ROOT}imports/", {"file": file}, format="multipart")

    assert send("a,b\n1,2\n").status_code == 422
    settings.CLAIMKIT = {**settings.CLAIMKIT, "AUTHORIZATIONS": {"MAX_IMPORT_BYTES": 3}}
    assert send("a,b\n1,2\n").status_code == 400


def test_a_payer_has_one_lead_time(client):
    where = f"{ROOT}lead-times/"
    made = client.post(where, {"payer": "Aetna", "days": 21}, format="json")

    assert made.status_code == 201
    assert errors(client.post(where, {"payer": "Aetna", "days": 3}, format="json")) == [
        ("payer", "unique")
    ]
    assert errors(client.post(where, {"payer": "Cigna", "days": 0}, format="json")) == [
        ("days", "min_value")
    ]
    changed = client.patch(made.json()["_links"]["self"], {"days": 30}, format="json")
    assert changed.json()["days"] == 30
    assert client.delete(made.json()["_links"]["self"]).status_code == 204


@pytest.fixture
def feed(client, northside, authorize):
    authorize(northside, valid_until=dt.date.today() + dt.timedelta(days=9))
    return client.get(f"{ROOT}calendar/").json()["path"]


def test_a_calendar_program_reads_the_ends(feed, lakeview, authorize):
    authorize(lakeview, "B-1", payer="Cigna", valid_until=dt.date(2099, 1, 1))
    answer = APIClient().get(feed)
    text = answer.content.decode()
    day = dt.date.today() + dt.timedelta(days=9)

    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert "no-store" in answer["Cache-Control"]
    assert f"DTSTART;VALUE=DATE:{day:%Y%m%d}" in text
    assert "Aetna 97110" in text
    assert "A-417" not in text
    assert "Cigna" not in text


def test_an_address_ends_with_the_membership(feed, northside):
    northside.memberships.all().delete()

    assert APIClient().get(feed).status_code == 404


def test_an_address_that_was_altered_or_is_too_old_is_none(feed, settings):
    assert APIClient().get(feed.replace(".ics", "x.ics")).status_code == 404
    settings.CLAIMKIT = {**settings.CLAIMKIT, "AUTHORIZATIONS": {"CALENDAR_DAYS": -1}}
    assert APIClient().get(feed).status_code == 404
    assert APIClient().post(feed).status_code == 405
