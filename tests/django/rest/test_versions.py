"""Versions by header, and what should not be used any more."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import include, path
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from claimkit_django.http.versions import Deprecation
from claimkit_django.rest.views import ApiView

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

ENDS = Deprecation(
    since=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    sunset=dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC),
    successor="/api/v1/claims/",
)


class OldView(ApiView):
    permission_classes = (AllowAny,)
    tag = "meta"
    deprecation = ENDS

    def get(self, request):
        return Response({}, headers={"Link": '</next>; rel="next"'})


urlpatterns = [path("old/", OldView.as_view()), path("", include("claimkit_django.urls"))]


def test_the_current_version_answers_and_may_be_asked_for(client):
    for headers in ({}, {"api-version": "1.0"}):
        answer = client.get("/api/v1/", headers=headers)
        assert (answer.status_code, answer["API-Version"]) == (200, "1.0")
        assert "Deprecation" not in answer


@pytest.mark.parametrize("asked", ["2.0", ""])
def test_another_version_is_refused_with_what_there_is(client, asked):
    answer = client.get("/api/v1/", headers={"api-version": asked})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["detail"].endswith("supported: 1.0")


def test_what_ends_says_since_when_until_when_and_what_instead(client):
    answer = client.get("/old/")

    assert answer["Deprecation"] == "@1767225600"
    assert answer["Sunset"] == "Wed, 01 Jul 2026 12:00:00 GMT"
    assert answer["Link"] == ('</next>; rel="next", </api/v1/claims/>; rel="successor-version"')


def test_a_version_may_end_too(client, monkeypatch):
    monkeypatch.setattr("claimkit_django.http.versions.DEPRECATED", {"1.0": ENDS})

    assert client.get("/api/v1/")["Sunset"] == "Wed, 01 Jul 2026 12:00:00 GMT"


def test_the_schema_says_so_as_well(client):
    schema = client.get("/api/v1/schema/?format=json").json()

    assert schema["paths"]["/old/"]["get"]["deprecated"] is True
    assert "deprecated" not in schema["paths"]["/api/v1/claims/"]["get"]


def test_nothing_ends_before_it_is_announced():
    with pytest.raises(ValueError, match="before its end is announced"):
        Deprecation(since=ENDS.sunset, sunset=ENDS.since)


def test_the_type_of_a_problem_is_a_page_for_people(client):
    page = client.get("/api/v1/problems/not_found/", headers={"accept": "text/html"})

    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert b"<h1>There is no such thing here</h1>" in page.content
    told = client.options("/api/v1/problems/not_found/?format=html")
    assert (told.status_code, told["Content-Type"]) == (200, "text/html; charset=utf-8")
    unknown = client.get("/api/v1/problems/nonsense/", headers={"accept": "text/html"})
    assert (unknown.status_code, unknown["Content-Type"]) == (404, "application/problem+json")
