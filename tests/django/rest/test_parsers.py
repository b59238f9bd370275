"""Bodies: each content type that a view reads, and no surprise inside."""

from __future__ import annotations

import json

import pytest
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from claimkit_django.rest.views import ApiView

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


class EchoView(ApiView):
    permission_classes = (AllowAny,)

    def post(self, request):
        return Response(request.data)


urlpatterns = [path("echo/", EchoView.as_view())]


def send(client, body, content_type="application/json"):
    return client.post("/echo/", body, content_type=content_type)


def test_json_and_forms_are_read(client):
    assert send(client, '{"name": "Zoë"}').json() == {"name": "Zoë"}
    assert client.post("/echo/", {"name": "form"}).json() == {"name": "form"}
    urlencoded = send(client, "name=plain", "application/x-www-form-urlencoded")
    assert urlencoded.json() == {"name": "plain"}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"a": 1, "a": 2}', "the body names a key twice"),
        (b'{"a": NaN}', "NaN is not a number that JSON has"),
        (b'{"a": -Infinity}', "-Infinity is not a number that JSON has"),
        (b'{"a": "\xff"}', "the body is not UTF-8"),
        (b'{"a": "\\ud800"}', "the body holds text that is not valid Unicode"),
        (b'{"ssn": 123-45', "the body is not JSON: line 1, column 12"),
        (b"[" * 65 + b"]" * 65, "the body is nested too deep"),
        (b"[" * 100_000, "the body is nested too deep"),
        (b"1" * 5_000, "the body is not JSON: a number is too long"),
    ],
)
def test_surprises_are_400_and_never_quoted(client, body, detail):
    answer = send(client, body)

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["detail"]) == ("parse_error", detail)


@pytest.mark.parametrize("body", [b'{"a\\u0000": 1}', b'{"a": ["b\\u0000"]}'])
def test_json_that_no_database_keeps_is_422(client, body):
    answer = send(client, body)

    assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable")
    assert answer.json()["errors"][0]["code"] == "null_characters_not_allowed"


def test_a_body_above_the_limit_is_413(client, settings):
    settings.CLAIMKIT = {"REST": {"MAX_BODY_BYTES": 20}}

    assert send(client, json.dumps({"a": "b"})).status_code == 200
    answer = send(client, json.dumps({"a": "b" * 20}))
    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
    form = "application/x-www-form-urlencoded"
    assert send(client, "a=b", form).status_code == 200
    assert send(client, "a=" + "b" * 20, form).json()["code"] == "content_too_large"


def test_fields_of_a_form_with_files_are_limited_by_django(client, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20
    answer = client.post("/echo/", {"a": "b" * 40})

    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")


@pytest.mark.parametrize("content_type", ["text/csv", "application/xml", "nonsense"])
def test_another_content_type_is_415(client, content_type):
    answer = send(client, b"a,b", content_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
