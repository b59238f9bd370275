"""Compressed where it gains, where it is wanted, and where it tells no secret."""

from __future__ import annotations

import gzip
import json

import pytest
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path

from claimkit_django.http.compression import accepts_gzip

pytestmark = pytest.mark.urls(__name__)

ROWS = [{"payer": "Aetna", "denied": number} for number in range(100)]


def rows(request):
    return JsonResponse(
        {"rows": ROWS}, headers={"ETag": request.GET.get("etag", '"strong"'), "Vary": "Cookie"}
    )


def short(request):
    return HttpResponse("a" * 499)


def picture(request):
    return HttpResponse(b"a" * 900, content_type="image/png")


def form(request):
    return HttpResponse(f"<form>{get_token(request)}{'a' * 900}</form>")


def stream(request):
    return StreamingHttpResponse(iter([b"a" * 900]))


def public(request):
    return HttpResponse("a" * 900, headers={"Cache-Control": "public, max-age=60"})


urlpatterns = [
    path(f"{view.__name__}/", view) for view in (rows, short, picture, form, stream, public)
]


@pytest.fixture(autouse=True)
def _stack(settings):
    settings.MIDDLEWARE = [
        "claimkit_django.http.compression.CompressionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ]


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("gzip", True),
        ("br, gzip;q=0.1", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *;q=1", False),
        ("br", False),
        ("", False),
        ("gzip;q=nonsense", False),
        ("identity", False),
    ],
)
def test_the_client_decides(header, wanted):
    assert accepts_gzip(header) == wanted


def get(client, where, **headers):
    return client.get(where, headers={"accept-encoding": "gzip", **headers})


def is_packed(answer):
    return answer.get("Content-Encoding") == "gzip"


def test_long_text_is_packed_and_the_etag_becomes_weak(client):
    answer = get(client, "/rows/")

    assert json.loads(gzip.decompress(answer.content)) == {"rows": ROWS}
    assert int(answer["Content-Length"]) == len(answer.content)
    assert answer["ETag"] == 'W/"strong"'
    assert answer["Vary"] == "Cookie, Accept-Encoding"
    assert get(client, '/rows/?etag=W/"weak"')["ETag"] == 'W/"weak"'
    assert get(client, "/rows/").content == answer.content


def test_who_does_not_want_it_is_told_that_it_varies(client):
    answer = client.get("/rows/", headers={"accept-encoding": "gzip;q=0"})

    assert not is_packed(answer)
    assert "Accept-Encoding" in answer["Vary"]
    assert answer["ETag"] == '"strong"'


@pytest.mark.parametrize("where", ["/short/", "/picture/", "/stream/", "/form/"])
def test_what_does_not_gain_or_carries_a_secret_is_not(client, where):
    assert not is_packed(get(client, where))


@pytest.mark.parametrize(
    ("site", "packed"),
    [
        ("same-origin", True),
        ("none", True),
        ("cross-site", False),
        ("same-site", False),
        ("", False),
    ],
)
def test_with_cookies_only_where_the_sites_own_pages_ask(client, settings, site, packed):
    client.cookies[settings.SESSION_COOKIE_NAME] = "who-it-is"

    assert is_packed(get(client, "/rows/", **{"sec-fetch-site": site})) == packed
    assert is_packed(get(client, "/public/", **{"sec-fetch-site": site}))


def test_with_a_token_always(client):
    assert is_packed(get(client, "/rows/", authorization="Bearer ckl_x"))
