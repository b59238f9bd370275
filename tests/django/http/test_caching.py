"""What is personal stays in the browser, and what a view says is kept."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.urls import path

pytestmark = pytest.mark.urls(__name__)


def plain(request):
    return HttpResponse("fine")


def own(request):
    return HttpResponse("fine", headers={"Cache-Control": "public, max-age=60"})


urlpatterns = [path("plain/", plain), path("own/", own)]


@pytest.fixture(autouse=True)
def _stack(settings):
    settings.MIDDLEWARE = ["claimkit_django.http.caching.PrivateCacheMiddleware"]


def test_answers_to_somebody_are_private(client, settings):
    by_token = client.get("/plain/", headers={"authorization": "Bearer ckl_x"})
    client.cookies[settings.SESSION_COOKIE_NAME] = "who-it-is"
    by_cookie = client.get("/plain/")

    for answer in (by_token, by_cookie):
        assert answer["Cache-Control"] == "private, no-cache"
        assert answer["Vary"] == "Authorization, Cookie"


def test_changes_and_errors_are_not_kept(client):
    assert client.post("/plain/")["Cache-Control"] == "no-store"
    assert client.get("/nowhere/")["Cache-Control"] == "no-store"


def test_strangers_and_views_of_their_own_mind_are_left_alone(client):
    assert "Cache-Control" not in client.get("/plain/")
    assert client.get("/own/", headers={"authorization": "x"})["Cache-Control"] == (
        "public, max-age=60"
    )
