"""Every layer answers errors in one shape."""

from __future__ import annotations

import pytest
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.http import Http404
from django.test import Client
from django.urls import include, path
from rest_framework import exceptions, serializers
from rest_framework.parsers import JSONParser
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from claimkit.errors import (
    FileRefused,
    InvalidWindow,
    StoreError,
    TenantForbidden,
    TenantRequired,
    TenantUnknown,
    UnknownName,
)
from claimkit.webhooks.signing import HOP
from claimkit_django.http.hops import site_id
from claimkit_django.http.problems import TYPES
from claimkit_django.rest.problems import problem_of
from claimkit_django.rest.views import ApiView

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


class LineSerializer(serializers.Serializer):
    paid = serializers.IntegerField()


class ClaimSerializer(serializers.Serializer):
    number = serializers.CharField(max_length=4)
    lines = LineSerializer(many=True)


class EchoView(ApiView):
    permission_classes = (AllowAny,)
    parser_classes = (JSONParser,)
    error: Exception | None = None

    def get(self, request):
        if self.error is not None:
            raise self.error
        return Response({})

    def post(self, request):
        claim = ClaimSerializer(data=request.data)
        claim.is_valid(raise_exception=True)
        return Response(claim.data)


class MembersView(EchoView):
    permission_classes = ApiView.permission_classes


urlpatterns = [
    path("echo/", EchoView.as_view()),
    path("members/", MembersView.as_view()),
    path("broken/", EchoView.as_view(error=ZeroDivisionError("secret-of-the-house"))),
    path("throttled/", EchoView.as_view(error=exceptions.Throttled(wait=12.2))),
    path("", include("claimkit_django.urls")),
]

MEMBERS = {"type", "title", "status", "detail", "code", "request_id", "errors"}


def problem(answer, status):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == MEMBERS
    assert body["status"] == status
    assert body["request_id"] == answer["X-Request-ID"]
    assert answer["Cache-Control"] == "no-store"
    return body


def test_a_problem_has_all_members_and_its_type_resolves(client):
    body = problem(client.get("/api/v1/nothing-here/"), 404)

    assert body["type"] == "http://testserver/api/v1/problems/not_found/"
    assert client.get(body["type"]).json()["code"] == "not_found"


@pytest.mark.parametrize("code", TYPES)
def test_the_type_of_every_problem_resolves(client, code):
    """Also by the prefix that a problem itself has, whatever the site mounts the API under."""
    told = client.get(f"/api/v1/problems/{code}/").json()

    assert (told["code"], told["title"]) == (code, TYPES[code].title)
    assert told["remedy"]


def test_validation_errors_have_dotted_paths(client):
    answer = client.post(
        "/echo/",
        {"number": "12345", "lines": [{"paid": 1}, {"paid": "x"}]},
        content_type="application/json",
    )

    assert problem(answer, 400)["errors"] == [
        {
            "code": "max_length",
            "attr": "number",
            "detail": "Ensure this field has no more than 4 characters.",
        },
        {"code": "invalid", "attr": "lines.1.paid", "detail": "A valid integer is required."},
    ]
    assert problem(answer, 400)["detail"].endswith("(and 1 more)")


def test_a_body_that_cannot_be_parsed(client):
    answer = client.post("/echo/", '{"number": ', content_type="application/json")

    assert problem(answer, 400)["code"] == "parse_error"


def test_a_content_type_that_is_not_read(client):
    answer = client.post("/echo/", "number=1", content_type="application/x-www-form-urlencoded")

    assert problem(answer, 415)["code"] == "unsupported_media_type"


def test_a_method_that_is_not_there(client):
    answer = client.delete("/echo/")

    assert problem(answer, 405)["code"] == "method_not_allowed"
    assert "POST" in answer["Allow"]


def test_an_accept_header_that_cannot_be_met_still_gets_a_problem(client):
    assert problem(client.get("/echo/", headers={"accept": "image/png"}), 406)


def test_nobody_signed_in_is_401_with_a_challenge(client):
    answer = client.get("/members/")

    assert problem(answer, 401)["code"] == "not_authenticated"
    assert answer["WWW-Authenticate"]


def test_wrong_credentials_are_401(client):
    answer = client.get("/members/", headers={"authorization": "Basic bm9ib2R5OndyZWNr"})

    assert problem(answer, 401)["code"] == "authentication_failed"


def test_what_this_site_sent_itself_is_refused_before_anything_else(client):
    def send(hop):
        return client.post("/members/", {}, headers={HOP: hop})

    assert problem(send(site_id()), 508)["code"] == "loop_detected"
    assert problem(send("of another site"), 401)["code"] == "not_authenticated"


def test_a_throttled_call_says_when_to_come_back(client):
    answer = client.get("/throttled/")

    assert problem(answer, 429)["code"] == "throttled"
    assert answer["Retry-After"] == "13"


def test_an_unhandled_exception_says_nothing_about_itself(caplog):
    client = Client(raise_request_exception=False)
    answer = client.get("/broken/")

    assert problem(answer, 500)["code"] == "server_error"
    assert b"secret-of-the-house" not in answer.content
    assert any(record.exc_info for record in caplog.records)


def test_an_unhandled_exception_reaches_those_who_track_errors(client):
    with pytest.raises(ZeroDivisionError):
        client.get("/broken/")


def test_an_unsupported_version_is_refused_by_name(client):
    body = problem(client.get("/echo/", headers={"api-version": "9.9"}), 400)

    assert body["errors"][0]["attr"] == "API-Version"
    assert client.get("/echo/", headers={"api-version": "1.0"})["API-Version"] == "1.0"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_an_unknown_address_is_404_whatever_the_method(client, method):
    assert problem(getattr(client, method)("/api/v1/clams/"), 404)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404("clm_17 of northside"), 404, "not_found"),
        (PermissionDenied("row 17"), 403, "permission_denied"),
        (RequestDataTooBig("x"), 413, "content_too_large"),
        (SuspiciousOperation("x"), 400, "bad_request"),
        (TenantRequired("no tenant is in scope"), 403, "tenant_required"),
        (TenantForbidden("southside"), 404, "not_found"),
        (TenantUnknown("southside"), 404, "not_found"),
        (FileRefused("this is a PDF"), 422, "file_refused"),
        (UnknownName.of("reader", "x21", ["x12"]), 400, "unknown_name"),
        (InvalidWindow("the window is empty"), 400, "window_invalid"),
        (ValidationError("too long"), 400, "invalid"),
    ],
)
def test_exceptions_of_each_layer_have_their_problem(error, status, code):
    found = problem_of(error)

    assert (found.type.status, found.code) == (status, code)


TAKEN = {"name": [exceptions.ErrorDetail("it is taken", "unique")]}
MISSING = {"kind": [exceptions.ErrorDetail("this field is required", "required")]}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (exceptions.ValidationError(TAKEN), 422),
        (exceptions.ValidationError({"steps": [TAKEN, {}]}), 422),
        (exceptions.ValidationError(MISSING), 400),
        (exceptions.ValidationError(TAKEN | MISSING), 400),
        (exceptions.ValidationError([]), 400),
        (UnknownName.of("reader", "x21", ["x12"]), 422),
    ],
)
def test_what_the_schema_allows_and_the_site_refuses_is_422_where_a_body_was_sent(error, status):
    assert problem_of(error, writes=True).type.status == status
    # A parameter that is wrong is a bad request, whatever is wrong with it.
    assert problem_of(error).type.status == 400


@pytest.mark.parametrize("error", [TenantForbidden("southside"), Http404("southside")])
def test_what_is_hidden_is_not_told_in_the_detail(error):
    assert "southside" not in problem_of(error).detail


def test_a_fault_of_ours_is_no_problem_of_the_callers():
    assert problem_of(StoreError("the disk is full")) is None
    assert problem_of(RuntimeError("no")) is None
