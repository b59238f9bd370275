"""Errors of layers that know nothing of the API."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path

from claimkit_django.http.problems import TYPES, Problem, problem_for_status, problem_response


def refuse(request):
    raise PermissionDenied


def teapot(request):
    answer = HttpResponse("<h1>short and stout</h1>", status=418, headers={"X-Tea": "earl-grey"})
    answer.set_cookie("cup", "full")
    return answer


def read(request):
    return HttpResponse(request.POST.get("a", "") + str(len(request.body)))


def broken(request):
    raise ZeroDivisionError("secret-of-the-house")


def fine(request):
    return HttpResponse("fine")


urlpatterns = [
    path("api/v1/refused/", refuse),
    path("api/v1/teapot/", teapot),
    path("api/v1/fine/", fine),
    path("api/v1/read/", read),
    path("api/v1/broken/", broken),
    path("refused/", refuse),
    path("read/", read),
    path("", include("claimkit_django.urls")),
]


@pytest.mark.urls(__name__)
def test_html_errors_under_the_api_become_problems(client):
    answer = client.get("/api/v1/refused/")

    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "permission_denied"
    assert answer.json()["request_id"] == answer["X-Request-ID"]


@pytest.mark.urls(__name__)
def test_a_status_without_a_type_keeps_status_headers_and_cookies(client):
    answer = client.get("/api/v1/teapot/")

    assert answer.status_code == 418
    assert answer.json()["type"] == "about:blank"
    assert answer.json()["title"] == "I'm a Teapot"
    assert answer["X-Tea"] == "earl-grey"
    assert answer.cookies["cup"].value == "full"


@pytest.mark.urls(__name__)
def test_what_is_no_error_or_not_ours_is_left_alone(client):
    assert client.get("/api/v1/fine/").content == b"fine"
    assert client.get("/refused/")["Content-Type"].startswith("text/html")


FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def _guarded(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.csrf.CsrfViewMiddleware"]


@pytest.mark.urls(__name__)
@pytest.mark.usefixtures("_guarded")
@pytest.mark.parametrize("guarded", [False, True], ids=["in the view", "in the middleware"])
@pytest.mark.parametrize("kind", [FORM, "text/plain"])
def test_a_body_that_another_layer_finds_too_large_is_413(settings, guarded, kind):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20
    # Guarded, whoever looks for the token reads the form before the view does.
    client = Client(enforce_csrf_checks=guarded)
    client.cookies["csrftoken"] = "k" * 32
    sent = {"data": "a=" + "b" * 40, "content_type": kind}
    if guarded and kind != FORM:
        sent["headers"] = {"x-csrftoken": "k" * 32}
    answer = client.post("/api/v1/read/", **sent)
    short = Client().post("/api/v1/read/", data="a=b", content_type=FORM)

    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
    assert answer.json()["request_id"] == answer["X-Request-ID"]
    assert short.status_code == 200
    assert client.post("/read/", **sent).status_code == 400


@pytest.mark.urls(__name__)
def test_too_many_fields_are_413_too(settings, client):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2
    answer = client.post("/api/v1/read/", data="a=1&b=2&c=3", content_type=FORM)

    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")


@pytest.mark.urls(__name__)
@pytest.mark.usefixtures("_guarded")
def test_a_forged_form_a_wrong_address_and_a_bug_are_problems_too(caplog):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    answers = {
        "permission_denied": client.post("/api/v1/read/", data="a=b", content_type=FORM),
        "not_found": client.get("/api/v1/nothing/"),
        "server_error": client.get("/api/v1/broken/"),
    }

    for code, answer in answers.items():
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == code
        assert answer.json()["request_id"] == answer["X-Request-ID"]
        assert b"secret-of-the-house" not in answer.content


@pytest.mark.urls(__name__)
def test_a_refused_host_is_a_problem_and_not_a_link(settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    answer = Client().get("/api/v1/fine/", headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert answer.json()["type"] == "/api/v1/problems/bad_request/"
    assert b"evil.example" not in answer.content


@pytest.mark.urls("django.contrib.auth.urls")
def test_where_the_api_is_not_mounted_a_type_is_a_urn(rf):
    body = json.loads(problem_response(Problem.of("not_found"), rf.get("/")).content)

    assert body["type"] == "urn:claimkit:problem:not_found"


@pytest.mark.urls("django.contrib.auth.urls")
def test_where_the_api_is_not_mounted_errors_are_left_alone(client):
    assert client.get("/api/v1/refused/")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("code", TYPES)
def test_every_type_is_built_by_its_code(code):
    problem = Problem.of(code)

    assert problem.type.code == code
    assert problem.detail


def test_an_unknown_type_names_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'not_found'"):
        Problem.of("not_fond")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad_request"),
        (401, "not_authenticated"),
        (403, "permission_denied"),
        (500, "server_error"),
        (502, "http_502"),
    ],
)
def test_a_status_has_a_general_problem(status, code):
    problem = problem_for_status(status)

    assert (problem.type.status, problem.code) == (status, code)
