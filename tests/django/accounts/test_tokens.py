"""Tokens: kept as digests, bound to one tenant, and never more than their person."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit_django.accounts.models import ApiToken
from claimkit_django.accounts.secrets import is_token, new_token
from claimkit_django.accounts.tokens import find_token, issue_token, revoke_tokens

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

urlpatterns = [path("", include("claimkit_django.urls"))]

TOKENS, CLAIMS = "/api/v1/tokens/", "/api/v1/claims/"


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def anna(northside, lakeview, make_member):
    return make_member("anna", (northside, "analyst"), (lakeview, "owner"))


def issue(user, tenant, scope="read", days=90):
    return issue_token(
        user=user,
        tenant=tenant,
        name="nightly",
        scope=scope,
        expires_at=timezone.now() + dt.timedelta(days=days),
    )


def bearer(text):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def signed_in(user, tenant):
    client = APIClient()
    client.force_login(user)
    client.credentials(HTTP_X_TENANT=tenant.key)
    return client


def test_a_token_has_a_prefix_and_a_checksum():
    text = new_token()

    assert (text[:4], len(text)) == ("ckl_", 53)
    assert is_token(text)
    swapped = text[:9] + ("a" if text[9] != "a" else "b") + text[10:]
    assert not is_token(swapped)
    assert new_token() != text


def test_only_a_digest_is_kept(anna, northside):
    row, text = issue(anna, northside)
    row.refresh_from_db()

    assert text.startswith(row.prefix)
    assert not any(text in str(value) for value in vars(row).values())


def test_a_token_is_for_one_tenant_whatever_the_header_asks_for(anna, northside, lakeview):
    _, text = issue(anna, northside)
    client = bearer(text)

    assert client.get(CLAIMS).status_code == 200
    elsewhere = client.get("/api/v1/memberships/", headers={"x-tenant": "lakeview"})
    # Anna owns Lakeview, and is an analyst at Northside.
    assert elsewhere.status_code == 403
    tenants = client.get("/api/v1/tenants/").json()["results"]
    assert [one["key"] for one in tenants] == ["northside"]


def test_reading_costs_three_queries_with_everything_checked(anna, northside):
    _, text = issue(anna, northside)
    client = bearer(text)
    client.get(CLAIMS)

    with CaptureQueriesContext(connection) as queries:
        assert client.get(CLAIMS).status_code == 200

    # token with person and tenant, membership with the state of the data, claims
    assert len(queries) == 3, [one["sql"][:100] for one in queries]


def test_a_scope_and_the_role_of_today_both_limit(anna, northside):
    _, reading = issue(anna, northside)
    _, writing = issue(anna, northside, scope="write")

    assert bearer(reading).post("/api/v1/runs/", {"as_of": "soon"}).status_code == 403
    assert bearer(writing).post("/api/v1/runs/", {"as_of": "soon"}).status_code == 400
    member = northside.memberships.get(user=anna)
    member.role = "viewer"
    member.save()
    assert bearer(writing).post("/api/v1/runs/", {"as_of": "soon"}).status_code == 403
    member.delete()
    assert bearer(reading).get(CLAIMS).status_code in {403, 404}


def end_it(row):
    ApiToken.objects.update(created_at=timezone.now() - dt.timedelta(days=2))
    ApiToken.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))


def revoke(row):
    revoke_tokens(row.user, now=timezone.now())


def deactivate(row):
    row.user.is_active = False
    row.user.save()


def close(row):
    row.tenant.active = False
    row.tenant.save()


@pytest.mark.parametrize("ending", [end_it, revoke, deactivate, close])
def test_an_ended_token_is_refused_like_any_wrong_one(anna, northside, ending):
    row, text = issue(anna, northside)
    ending(row)
    refused, wrong = bearer(text).get(CLAIMS), bearer(new_token()).get(CLAIMS)

    assert (refused.status_code, wrong.status_code) == (401, 401)
    assert refused.json()["detail"] == wrong.json()["detail"]


def test_the_last_use_is_noted_once_a_minute(anna, northside):
    row, text = issue(anna, northside)
    noon = timezone.now()
    for seconds in (0, 30, 59):
        find_token(text, now=noon + dt.timedelta(seconds=seconds))
    row.refresh_from_db()
    assert row.last_used_at == noon
    find_token(text, now=noon + dt.timedelta(seconds=61))
    row.refresh_from_db()

    assert row.last_used_at == noon + dt.timedelta(seconds=61)


def test_people_make_list_and_revoke_their_own(anna, northside, make_member):
    client = signed_in(anna, northside)
    made = client.post(TOKENS, {"name": "nightly", "scope": "write", "days": 30})
    body = made.json()

    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    assert bearer(body["token"]).get(CLAIMS).status_code == 200
    (listed,) = client.get(TOKENS).json()["results"]
    assert "token" not in listed
    assert listed["prefix"] == body["token"][:10]
    other = signed_in(make_member("otto", (northside, "owner")), northside)
    assert other.get(TOKENS).json()["results"] == []
    assert other.delete(made["Location"]).status_code == 404
    assert client.delete(made["Location"]).status_code == 204
    assert bearer(body["token"]).get(CLAIMS).status_code == 401
    assert client.get(made["Location"]).status_code == 404


def test_a_token_cannot_make_tokens(anna, northside):
    _, text = issue(anna, northside, scope="write")

    assert bearer(text).post(TOKENS, {"name": "another"}).status_code == 403


@pytest.mark.parametrize("asked", [{}, {"name": "x", "days": 0}, {"name": "x", "scope": "all"}])
def test_a_wrong_wish_names_the_field(anna, northside, asked):
    answer = signed_in(anna, northside).post(TOKENS, asked)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] in {"name", "days", "scope"}


def test_a_token_may_take_what_singles_out_a_patient_only_if_its_maker_says_so(anna, northside):
    client = signed_in(anna, northside)
    made = [
        client.post(TOKENS, {"name": "warehouse", **more}, format="json").json()["personal"]
        for more in ({}, {"personal": True})
    ]

    assert made == [False, True]
