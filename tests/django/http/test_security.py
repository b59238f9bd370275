"""Security headers on every answer; what the site says itself wins."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.test import Client
from django.urls import path

from claimkit_django.http.security import DATA_POLICY, PAGE_POLICY

pytestmark = pytest.mark.urls(__name__)


def page(request):
    return HttpResponse("<p>fine</p>")


def own(request):
    return HttpResponse(
        "<p>own</p>",
        headers={
            "Content-Security-Policy": "default-src 'self'; frame-ancestors https://portal.example",
            "Referrer-Policy": "no-referrer",
        },
    )


def trying(request):
    return HttpResponse("x", headers={"Content-Security-Policy-Report-Only": "default-src 'none'"})


def refuse(request):
    raise PermissionDenied


urlpatterns = [
    path("page/", page),
    path("data/", lambda request: JsonResponse({})),
    path("own/", own),
    path("trying/", trying),
    path("refuse/", refuse),
]

ALWAYS = (
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Permissions-Policy",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Content-Security-Policy",
)


@pytest.fixture(autouse=True)
def _stack(settings):
    settings.MIDDLEWARE = [
        "claimkit_django.http.security.SecurityHeadersMiddleware",
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ]


@pytest.mark.parametrize(
    ("address", "status"),
    [("/page/", 200), ("/data/", 200), ("/refuse/", 403), ("/nowhere/", 404), ("/page", 301)],
)
def test_every_answer_has_them(client, address, status):
    answer = client.get(address)

    assert answer.status_code == status
    for name in ALWAYS:
        assert answer[name], name
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-XSS-Protection"] == "0"


def test_early_answers_have_them_too(settings):
    settings.SECURE_SSL_REDIRECT = True
    to_tls = Client().get("/page/")
    settings.SECURE_SSL_REDIRECT = False
    settings.ALLOWED_HOSTS = ["testserver"]
    bad_host = Client().get("/page/", headers={"host": "evil.example"})
    no_csrf = Client(enforce_csrf_checks=True).post("/page/")

    for answer, status in ((to_tls, 301), (bad_host, 400), (no_csrf, 403)):
        assert answer.status_code == status
        assert "'none'" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_pages_and_data_have_their_own_policy(client):
    assert client.get("/page/")["Content-Security-Policy"] == PAGE_POLICY
    assert client.get("/data/")["Content-Security-Policy"] == DATA_POLICY


def test_what_the_site_says_is_kept(client):
    answer = client.get("/own/")

    assert answer["Content-Security-Policy"].startswith("default-src 'self'")
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "X-Frame-Options" not in answer
    assert "Content-Security-Policy" not in client.get("/trying/")
