"""Reads that need not be answered again, and changes that say what they are based on."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from claimkit.tenants import Role, use_tenant
from claimkit_django.claims.models import Claim
from claimkit_django.rest.conditional import content_etag, require_match
from claimkit_django.rest.views import ApiView

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


class GuardedView(ApiView):
    permission_classes = (AllowAny,)

    def put(self, request):
        require_match(request, content_etag("state", 1))
        return Response({})


urlpatterns = [path("guarded/", GuardedView.as_view()), path("", include("claimkit_django.urls"))]

CLAIMS = "/api/v1/claims/"
READS = [
    "uploads/",
    "claims/",
    "claims/payer-summary/",
    "claims/?payer=Aetna&page_size=2",
    "findings/",
    "drift/active/",
    "dashboard/",
    "runs/",
]


@pytest.mark.parametrize("address", READS)
def test_what_the_client_holds_is_not_made_again(world, address):
    client = world.north.client()
    first = client.get(f"/api/v1/{address}")
    with CaptureQueriesContext(connection) as queries:
        again = client.get(f"/api/v1/{address}", headers={"if-none-match": first["ETag"]})

    assert first["ETag"].startswith('W/"')
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again[name] == first[name]
    # session, user, membership with the state of the data
    assert len(queries) == 3, [one["sql"][:100] for one in queries]


def test_one_of_several_is_enough_and_strong_or_weak_does_not_matter(world):
    client = world.north.client()
    etag = client.get(CLAIMS)["ETag"]

    for sent in (f'"other", {etag}', etag.removeprefix("W/")):
        assert client.get(CLAIMS, headers={"if-none-match": sent}).status_code == 304
    for sent in ('"other"', "nonsense", "*"):
        assert client.get(CLAIMS, headers={"if-none-match": sent}).status_code == 200


def test_any_change_is_noticed(world):
    client = world.north.client()
    etag = client.get(CLAIMS)["ETag"]
    with use_tenant("northside"):
        Claim.objects.filter(pk=world.north.claims[0].pk).update(paid=7)
    answer = client.get(CLAIMS, headers={"if-none-match": etag})

    assert answer.status_code == 200
    assert answer["ETag"] != etag


def test_a_change_of_another_tenant_is_not(world):
    client = world.north.client()
    etag = client.get(CLAIMS)["ETag"]
    with use_tenant("southside"):
        Claim.objects.update(paid=7)

    assert client.get(CLAIMS, headers={"if-none-match": etag}).status_code == 304


def test_an_etag_is_of_one_person_role_and_question(world):
    member = world.north.tenant.memberships.get(user=world.north.people[Role.ANALYST])
    analyst = world.north.client(Role.ANALYST)
    tags = [
        analyst.get(CLAIMS)["ETag"],
        analyst.get(f"{CLAIMS}?page_size=2")["ETag"],
        world.north.client().get(CLAIMS)["ETag"],
        world.south.client(Role.ANALYST).get(CLAIMS)["ETag"],
    ]
    member.role = Role.VIEWER
    member.save()
    tags.append(analyst.get(CLAIMS)["ETag"])

    assert len(set(tags)) == len(tags)


def test_what_is_not_allowed_any_more_is_not_304(world):
    client = world.north.client()
    etag = client.get(CLAIMS)["ETag"]
    world.north.tenant.memberships.filter(user=world.north.people[Role.VIEWER]).delete()

    assert client.get(CLAIMS, headers={"if-none-match": etag}).status_code == 403


def test_errors_and_downloads_have_no_etag(world):
    analyst = world.north.client(Role.ANALYST)
    repair = analyst.get(f"/api/v1/uploads/{world.north.upload.uid}/repair/")

    assert "ETag" not in repair
    assert "ETag" not in analyst.get(f"{CLAIMS}clm_0/")
    assert analyst.get(f"{CLAIMS}?nonsense=1").get("ETag") is None


def test_answers_are_private_and_changes_are_not_stored(world):
    client = world.north.client(Role.ANALYST)

    assert client.get(CLAIMS)["Cache-Control"] == "private, no-cache"
    assert client.post("/api/v1/uploads/")["Cache-Control"] == "no-store"
    varies = set(client.get(CLAIMS)["Vary"].split(", "))
    assert varies >= {"Accept", "Authorization", "Cookie", "API-Version", "X-Tenant"}


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({}, 428, "precondition_required"),
        ({"if-match": '"another"'}, 412, "precondition_failed"),
        ({"if-match": "nonsense"}, 412, "precondition_failed"),
    ],
)
def test_a_change_must_be_based_on_what_is_there(client, sent, status, code):
    answer = client.put("/guarded/", headers=sent)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_change_of_what_is_there_passes_and_weak_is_not_enough(client):
    etag = content_etag("state", 1)

    assert client.put("/guarded/", headers={"if-match": f'"old", {etag}'}).status_code == 200
    assert client.put("/guarded/", headers={"if-match": "*"}).status_code == 200
    assert client.put("/guarded/", headers={"if-match": f"W/{etag}"}).status_code == 412
