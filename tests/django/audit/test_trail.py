"""What is written down: of whom, in which words, and what is not."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pytest
from django.core.cache import caches
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit.claims.ledger import claim_key
from claimkit.tenants import Role
from claimkit_django.accounts.models import ApiToken
from claimkit_django.accounts.tokens import issue_token
from claimkit_django.alerts.models import Channel, Route, Rule, Silence
from claimkit_django.audit.models import AuditEntry, AuditLink
from claimkit_django.claims.models import Claim, CsvTemplate, MappingVersion, RejectedRow, Upload
from claimkit_django.tenants.models import Membership, Tenant
from claimkit_django.tenants.scope import enter
from claimkit_django.trail import Actor, acting
from claimkit_django.webhooks import endpoints
from claimkit_django.webhooks.models import Endpoint

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.projects.urls"),
    pytest.mark.usefixtures("walls"),
]


@pytest.fixture(autouse=True)
def _nobody_entered_yet():
    caches["default"].clear()


def told(tenant, action):
    return list(AuditEntry.unscoped.filter(tenant=tenant, action=action).order_by("pk"))


def last(tenant, action):
    found = told(tenant, action)

    assert found, [one.action for one in AuditEntry.unscoped.all()]
    return found[-1]


@pytest.fixture
def anna(make_member, northside):
    return make_member("anna", (northside, Role.OWNER))


@pytest.fixture
def client(anna):
    client = APIClient()
    client.force_login(anna)
    return client


def test_a_request_tells_who_did_what_and_whence(client, anna, northside, make_member):
    bertram = make_member("bertram", (northside, Role.VIEWER))
    answer = client.get("/api/v1/memberships/bertram/")
    client.patch(
        "/api/v1/memberships/bertram/",
        {"role": "admin"},
        format="json",
        headers={"if-match": answer["ETag"]},
        REMOTE_ADDR="203.0.113.77",
    )
    entry = last(northside, "membership.changed")

    assert entry.actor == f"user:{anna.pk}"
    assert entry.via == "session"
    assert entry.network == "203.0.113.0/24"
    assert entry.target == f"user:{bertram.pk}"
    assert entry.changes == {"role": {"old": "viewer", "new": "admin"}}


def test_a_token_is_told_when_it_is_made_used_and_revoked(client, anna, northside):
    made = client.post("/api/v1/tokens/", {"name": "nightly", "scope": "write"}).json()
    program = APIClient(headers={"authorization": f"Bearer {made['token']}"})
    program.delete(f"/api/v1/tokens/{made['uid']}/")
    revoked = last(northside, "api_token.changed")

    assert last(northside, "api_token.made").target == made["uid"]
    assert last(northside, "api_token.made").via == "session"
    assert list(revoked.changes) == ["revoked_at"]
    assert (revoked.actor, revoked.via) == (f"user:{anna.pk}", f"token {made['uid']}")
    everything = json.dumps([one.changes for one in AuditEntry.unscoped.all()])
    assert made["token"] not in everything
    assert ApiToken.objects.get().digest not in everything


def test_settings_of_a_tenant_are_told(client, northside):
    answer = client.get("/api/v1/tenants/northside/")
    client.patch(
        "/api/v1/tenants/northside/",
        {"timezone": "America/Chicago"},
        format="json",
        headers={"if-match": answer["ETag"]},
    )
    entry = last(northside, "tenant.changed")

    assert entry.changes == {"timezone": {"old": "UTC", "new": "America/Chicago"}}
    assert entry.actor.startswith("user:")
    assert last(northside, "tenant.made").changes["key"] == {"old": None, "new": "northside"}


def test_an_endpoint_is_told_without_its_secrets(northside):
    with enter(northside):
        endpoint, key = endpoints.add_endpoint(
            url="https://hooks.example.org/in?token=tapirs",
            event_types=["*"],
            headers={"X-Key": "marsupilami"},
            using="default",
        )
        endpoints.change_endpoint(
            endpoint, {"url": "https://other.example.org/in?token=okapis"}, using="default"
        )
        endpoints.add_key(endpoint, using="default")
        endpoints.disable(endpoint, using="default")
    everything = json.dumps([one.changes for one in AuditEntry.unscoped.all()])
    changed, disabled = told(northside, "webhook_endpoint.changed")

    assert changed.changes["host"] == {"old": "hooks.example.org", "new": "other.example.org"}
    assert changed.changes["url"]["old"].startswith("digest:")
    assert disabled.changes["enabled"] == {"old": True, "new": False}
    assert len(told(northside, "webhook_key.made")) == 2
    assert len(told(northside, "webhook_key.changed")) == 1
    assert not [one for one in ("tapirs", "okapis", "marsupilami", key) if one in everything]


def test_who_is_told_of_alerts_is_told(northside):
    now = timezone.now()
    with enter(northside):
        channel = Channel.objects.create(name="Mail", kind="email", sealed_settings=b"tapirs")
        Channel.objects.filter(pk=channel.pk).update(sealed_settings=b"okapis")
        channel.delete()
        route = Route.objects.create(name="All")
        route.priority = 7
        route.save()
        Rule.objects.create(
            name="Dear",
            metric="dollars_per_month",
            comparison="at_least",
            threshold=Decimal("10000.00"),
            severity="critical",
        )
        Silence.objects.create(
            begins_at=now,
            ends_at=now + dt.timedelta(days=1),
            reason="Jane Doe's claims",
            actor="user:1",
        )
    everything = json.dumps([one.changes for one in AuditEntry.unscoped.all()])

    assert list(last(northside, "alert_channel.changed").changes) == ["sealed_settings"]
    assert last(northside, "alert_channel.removed").target == channel.uid
    assert last(northside, "alert_route.changed").changes == {"priority": {"old": 100, "new": 7}}
    assert last(northside, "alert_rule.made").changes["threshold"]["new"] == "10000.00"
    assert last(northside, "alert_silence.made").changes["reason"]["new"].startswith("digest:")
    assert "Jane" not in everything
    assert "tapirs" not in everything


def test_mappings_uploads_and_their_repair_files_are_told(client, anna, northside, make_upload):
    upload = make_upload(
        northside,
        name="Jane Doe.835",
        rows_rejected=1,
        status=Upload.Status.PARTIAL,
        started_at=timezone.now(),
        finished_at=timezone.now(),
        header=["Claim ID"],
    )
    with enter(northside):
        MappingVersion.objects.create(number=1)
        CsvTemplate.objects.create(name="export of the practice")
        RejectedRow.objects.create(
            upload=upload, ordinal=0, position=1, kind="csv", code="x", message="x", raw=["A1"]
        )
    answer = client.get(f"/api/v1/uploads/{upload.uid}/repair/")
    taken = last(northside, "repair_file.downloaded")

    assert answer.status_code == 200
    assert (taken.actor, taken.target) == (f"user:{anna.pk}", upload.uid)
    assert taken.changes == {"rows": {"old": None, "new": 1}}
    assert last(northside, "mapping.made").changes["number"]["new"] == 1
    assert last(northside, "csv_template.made")
    assert last(northside, "upload.made").changes["name"]["new"].startswith("digest:")
    assert "Jane" not in json.dumps([one.changes for one in AuditEntry.unscoped.all()])


def test_who_opens_or_looks_up_a_claim_is_told(client, anna, northside, settings):
    with enter(northside):
        claim = Claim.objects.create(
            claim_key=claim_key("A1007"),
            patient_control_number="A1007",
            listed_on=dt.date(2026, 3, 1),
        )
    where = f"/api/v1/claims/{claim.uid}/"
    etag = client.get(where)["ETag"]
    assert client.get(where, headers={"if-none-match": etag}).status_code == 304
    assert client.get("/api/v1/claims/").status_code == 200
    assert client.get("/api/v1/claims/clm_0/").status_code == 404
    for query in ("search=A1007", "patient_control_number=a1007"):
        assert client.get(f"/api/v1/claims/?{query}").status_code == 200
    (read,) = told(northside, "claim.read")
    looked_up = told(northside, "claim.looked_up")

    assert (read.actor, read.target, read.changes) == (f"user:{anna.pk}", claim.uid, {})
    assert [one.changes["rows"]["new"] for one in looked_up] == [1, 1]
    assert "A1007" not in json.dumps([one.changes for one in AuditEntry.unscoped.all()])
    settings.CLAIMKIT = {"AUDIT": {"READS": False}}
    client.get(where)
    assert len(told(northside, "claim.read")) == 1


def test_a_superuser_who_enters_is_told_to_the_tenant(django_user_model, northside):
    root = django_user_model.objects.create_superuser("root", password="x")
    client = APIClient()
    client.force_login(root)
    for _ in range(3):
        assert client.get("/api/v1/claims/", headers={"x-tenant": "northside"}).status_code == 200
    entered = told(northside, "tenant.entered_by_superuser")

    assert len(entered) == 1
    assert entered[0].actor == f"user:{root.pk}"
    with enter(northside):
        assert AuditEntry.objects.filter(pk=entered[0].pk).exists()


def test_rows_that_change_in_bulk_are_told_one_by_one(northside, lakeview, anna):
    rows = [
        issue_token(
            user=anna,
            tenant=tenant,
            name="nightly",
            scope="read",
            expires_at=timezone.now() + dt.timedelta(days=1),
        )[0]
        for tenant in (northside, lakeview, northside)
    ]
    ApiToken.objects.filter(user=anna).update(revoked_at=timezone.now())
    with enter(northside):
        made = Route.objects.bulk_create([Route(name="One"), Route(name="Two")])
        for one in made:
            one.priority = one.pk
        Route.objects.bulk_update(made, ["priority"])
        Route.objects.all().delete()

    told_of = {one.target for one in told(northside, "api_token.changed")}
    assert told_of == {rows[0].uid, rows[2].uid}
    assert {one.target for one in told(lakeview, "api_token.changed")} == {rows[1].uid}
    for verb in ("made", "changed", "removed"):
        found = told(northside, f"alert_route.{verb}")
        assert {one.target for one in found} == {one.uid for one in made}


def test_what_changes_nothing_tells_nothing(northside):
    with enter(northside):
        route = Route.objects.create(name="All")
        before = AuditEntry.objects.count()
        Route.objects.get(pk=route.pk).save()
        Route.objects.filter(pk=route.pk).update(priority=100)
        Endpoint.objects.filter(uid="whe_0").update(enabled=False)
        after = AuditEntry.objects.count()

    assert after == before


def test_what_is_not_audited_costs_no_query(northside, django_assert_num_queries):
    with enter(northside):
        endpoint = Endpoint.objects.create(url="https://hooks.example.org/", event_types=["*"])
        with django_assert_num_queries(1):
            Endpoint.objects.filter(pk=endpoint.pk).update(failures=1)


def test_entries_outlive_what_they_are_about(northside, anna):
    Membership.objects.filter(user=anna)
    anna_key = f"user:{anna.pk}"
    Membership.objects.create(
        tenant=northside, user=type(anna).objects.create_user("zoe"), role="owner"
    )
    anna.delete()
    removed = last(northside, "membership.removed")
    pk = northside.pk
    Tenant.objects.get(pk=pk).delete()
    kept = AuditEntry.unscoped.filter(tenant_id=pk)

    assert removed.target == anna_key
    assert kept.filter(action="tenant.removed", target="northside").count() == 1
    assert kept.filter(action="membership.made").count() == 2


def test_what_cannot_be_written_down_is_not_done(northside, monkeypatch):
    def fail(*args, **kwargs):
        raise DatabaseError("disk full")

    with enter(northside), monkeypatch.context() as patched, pytest.raises(DatabaseError):
        patched.setattr("claimkit_django.audit.record.timezone.now", fail)
        with transaction.atomic():
            Route.objects.create(name="All")

    with enter(northside):
        assert not Route.objects.exists()


def test_a_deed_that_is_rolled_back_leaves_no_entry(northside):
    with enter(northside):
        with transaction.atomic():
            Route.objects.create(name="All")
            transaction.set_rollback(True)
        assert not AuditEntry.objects.filter(action="alert_route.made").exists()


def test_outside_of_a_request_the_system_acts_or_who_is_named(northside):
    with enter(northside):
        Route.objects.create(name="One")
        with acting(Actor(key="user:7", via="command")):
            Route.objects.create(name="Two")
    one, two = told(northside, "alert_route.made")

    assert (one.actor, one.via) == ("system", "")
    assert (two.actor, two.via) == ("user:7", "command")


@pytest.mark.parametrize("model", [AuditEntry, AuditLink])
def test_rows_are_neither_changed_nor_deleted(northside, model, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True), enter(northside):
        Route.objects.create(name="All")
    table = model._meta.db_table
    for statement in (f"UPDATE {table} SET tenant_id = 7", f"DELETE FROM {table}"):
        with (
            pytest.raises(DatabaseError, match="neither changed nor deleted"),
            enter(northside),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    with pytest.raises(DatabaseError), transaction.atomic(), enter(northside):
        model.objects.all().delete()

    assert model.unscoped.exists()
