"""A repeated POST is answered as the first time, and done once."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.core.cache import caches
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.urls import include, path
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit_django.claims.models import Upload
from claimkit_django.tenants.models import IdempotencyKey

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

urlpatterns = [path("", include("claimkit_django.urls"))]

UPLOADS = "/api/v1/uploads/"


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def anna(northside, make_member):
    client = APIClient()
    client.force_login(make_member("anna", (northside, "analyst")))
    return client


def send(client, key, body=b"claim id,billed\nA1,1.00\n", name="claims.csv"):
    file = SimpleUploadedFile(name, body)
    return client.post(
        UPLOADS, {"file": file}, format="multipart", headers={"idempotency-key": key}
    )


def test_the_same_key_and_body_get_the_first_answer(anna):
    first, again = send(anna, '"key-0001"'), send(anna, "key-0001")

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Upload.unscoped.count() == 1


def test_another_key_is_another_request(anna):
    send(anna, "key-0001")

    assert send(anna, "key-0002").status_code == 202
    assert Upload.unscoped.count() == 2


@pytest.mark.parametrize("change", [{"body": b"claim id,billed\nA2,1.00\n"}, {"name": "other.csv"}])
def test_another_body_under_the_same_key_is_refused(anna, change):
    send(anna, "key-0001")
    answer = send(anna, "key-0001", **change)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Upload.unscoped.count() == 1


def test_a_key_belongs_to_one_person(anna, northside, make_member):
    other = APIClient()
    other.force_login(make_member("otto", (northside, "analyst")))
    first = send(anna, "key-0001").json()

    assert send(other, "key-0001").json()["uid"] != first["uid"]


def test_a_refusal_is_not_kept_and_leaves_nothing(anna):
    refused = anna.post(UPLOADS, {}, format="multipart", headers={"idempotency-key": "key-0001"})

    assert refused.status_code == 400
    assert not IdempotencyKey.unscoped.exists()
    assert send(anna, "key-0001").status_code == 202


def test_an_error_after_the_work_undoes_it(anna, monkeypatch):
    def break_down(upload):
        raise ZeroDivisionError

    monkeypatch.setattr("claimkit_django.claims.rest_uploads.queue_import", break_down)
    anna.raise_request_exception = False
    assert send(anna, "key-0001").status_code == 500
    assert not Upload.unscoped.exists()
    monkeypatch.undo()

    assert send(anna, "key-0001").status_code == 202
    assert Upload.unscoped.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "späße", 'in"side'])
def test_what_is_no_key_is_a_400_that_says_so(anna, key):
    answer = send(anna, key)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "Idempotency-Key"


def test_keys_are_forgotten_after_a_day(anna):
    send(anna, "key-0001")
    IdempotencyKey.unscoped.update(created_at=timezone.now() - dt.timedelta(hours=25))

    assert "Idempotency-Replayed" not in send(anna, "key-0001")
    assert IdempotencyKey.unscoped.count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_at_once_have_one_effect(northside, make_member):
    user = make_member("anna", (northside, "analyst"))
    statuses = []
    start = threading.Barrier(6)

    def post():
        client = APIClient()
        client.force_authenticate(user)
        start.wait(30)
        statuses.append(send(client, "key-0001").status_code)
        connection.close()

    threads = [threading.Thread(target=post) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)

    assert Upload.unscoped.count() == 1
    assert set(statuses) <= {202, 409}
    assert 202 in statuses
