"""Limits over HTTP: who is counted as whom, and what the answer says about it."""

from __future__ import annotations

import base64

import pytest
from django.urls import include, path
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.test import APIClient

from claimkit.tenants import Role
from claimkit_django.rest.views import ApiView
from claimkit_django.tenants.models import Membership

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


class GuardedView(ApiView):
    permission_classes = (AllowAny,)
    rates = {"POST": "2/15m"}

    def post(self, request):
        return Response({})


urlpatterns = [path("guarded/", GuardedView.as_view()), path("", include("claimkit_django.urls"))]

CLAIMS = "/api/v1/claims/"


def limit(settings, **rates):
    settings.CLAIMKIT = {"REST": rates}


def test_every_answer_says_what_is_left(world, settings):
    limit(settings, read_rate="3/15m")
    client = world.north.client()
    answers = [client.get(CLAIMS) for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one["RateLimit"].partition(";t=")[0] for one in answers] == [
        '"read";r=2',
        '"read";r=1',
        '"read";r=0',
        '"read";r=0',
    ]
    assert answers[0]["RateLimit-Policy"] == '"read";q=3;w=900'
    assert int(answers[-1]["Retry-After"]) >= 1
    assert answers[-1].json()["code"] == "throttled"


def test_people_and_tenants_are_counted_apart(world, settings):
    limit(settings, read_rate="1/1h")
    viewer, owner = world.north.client(), world.north.client(Role.OWNER)
    Membership.objects.create(
        tenant=world.south.tenant, user=world.north.people[Role.VIEWER], role="viewer"
    )
    here, there = ({"x-tenant": key} for key in ("northside", "southside"))

    assert viewer.get(CLAIMS, headers=here).status_code == 200
    assert viewer.get(CLAIMS, headers=here).status_code == 429
    assert viewer.get(CLAIMS, headers=there).status_code == 200
    assert owner.get(CLAIMS).status_code == 200


def test_reading_does_not_use_up_writing(world, settings):
    limit(settings, read_rate="1/1h", write_rate="1/1h")
    client = world.north.client(Role.ANALYST)

    assert client.get(CLAIMS).status_code == 200
    assert client.post("/api/v1/uploads/").status_code == 400
    assert client.post("/api/v1/uploads/").status_code == 429


def test_strangers_are_counted_by_network_whatever_they_write(db, settings):
    limit(settings, anonymous_rate="2/1h")
    client = APIClient()
    answers = [client.get("/api/v1/", headers={"x-forwarded-for": f"6.6.6.{n}"}) for n in range(3)]

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert client.get("/api/v1/", REMOTE_ADDR="198.51.100.7").status_code == 200


def test_strangers_behind_a_trusted_proxy_are_told_apart(db, settings):
    limit(settings, anonymous_rate="1/1h", trusted_proxies=1)
    client = APIClient()

    for address in ("203.0.113.1", "203.0.113.2"):
        assert client.get("/api/v1/", headers={"x-forwarded-for": address}).status_code == 200
    forged = client.get("/api/v1/", headers={"x-forwarded-for": "6.6.6.6, 203.0.113.1"})
    assert forged.status_code == 429


def test_guessing_credentials_ends_before_they_are_looked_at(world, settings):
    limit(settings, refused_rate="3/5m")
    client = APIClient()

    def sign_in(password):
        basic = base64.b64encode(f"owner@northside:{password}".encode()).decode()
        return client.get(CLAIMS, headers={"authorization": f"Basic {basic}"}).status_code

    assert [sign_in(f"guess-{number}") for number in range(4)] == [401, 401, 401, 429]
    assert sign_in("x") == 429


def test_a_view_may_limit_a_method_further(db):
    client = APIClient()

    assert [client.post("/guarded/").status_code for _ in range(3)] == [200, 200, 429]


def test_no_rate_is_no_limit_and_no_header(world, settings):
    limit(settings, read_rate="")

    assert "RateLimit" not in world.north.client().get(CLAIMS)
