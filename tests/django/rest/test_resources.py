"""The resources over two real tenants."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from rest_framework.test import APIClient

from claimkit.tenants import Role, use_tenant
from claimkit_django.claims.mappings import apply_version, keep_rules
from claimkit_django.claims.models import Claim, Upload
from claimkit_django.tenants.models import Membership

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

urlpatterns = [path("", include("claimkit_django.urls"))]

ROOT = "/api/v1/"


def good(answer, status=200):
    assert answer.status_code == status, answer.content
    assert answer["API-Version"] == "1.0"
    assert answer["X-Request-ID"]
    return answer.json()


def bad(answer, status):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return answer.json()


def addresses(house):
    """Every address of one object of the house."""
    return [
        f"{ROOT}uploads/{house.upload.uid}/",
        f"{ROOT}uploads/{house.upload.uid}/repair/",
        f"{ROOT}claims/{house.claims[0].uid}/",
        f"{ROOT}findings/{house.finding.uid}/",
        f"{ROOT}runs/{house.run.uid}/",
    ]


LISTS = [
    "uploads/",
    "mappings/",
    "templates/",
    "claims/",
    "claims/payer-summary/",
    "findings/",
    "drift/active/",
    "drift/backtests/",
    "runs/",
]


# -- tenants and roles -------------------------------------------------------------------------


def test_tenants_are_mine_with_my_role(world):
    body = good(world.north.client(Role.ANALYST).get(f"{ROOT}tenants/"))

    assert body["results"] == [
        {
            "key": "northside",
            "name": "Northside",
            "timezone": "UTC",
            "role": "analyst",
            "_links": {"self": "/api/v1/tenants/northside/"},
        }
    ]
    assert good(world.north.client().get(f"{ROOT}tenants/northside/"))["role"] == "viewer"


def test_another_tenant_is_not_there(world):
    assert bad(world.north.client().get(f"{ROOT}tenants/southside/"), 404)


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "post", "options"])
def test_objects_of_another_tenant_are_not_there_for_any_method(world, method):
    owner = world.north.client(Role.OWNER)
    for theirs in addresses(world.south):
        uid = theirs.split("/")[4]
        nobodys = theirs.replace(uid, f"{uid[:-1]}{'1' if uid[-1] == '0' else '0'}")

        answer, unknown = getattr(owner, method)(theirs), getattr(owner, method)(nobodys)

        assert answer.status_code == unknown.status_code
        assert answer.status_code == 404 or method not in {"get", "head"}
        assert answer.content.replace(answer["X-Request-ID"].encode(), b"") == (
            unknown.content.replace(unknown["X-Request-ID"].encode(), b"")
        )


@pytest.mark.parametrize("listing", LISTS)
def test_lists_are_of_one_tenant(world, listing):
    north = world.north.client(Role.OWNER).get(ROOT + listing)
    south = world.south.client(Role.OWNER).get(ROOT + listing)

    good(north)
    good(south)
    for own, other in ((north, world.south), (south, world.north)):
        for secret in (other.upload.uid, other.finding.uid, other.claims[0].uid, f"{other.key}-0"):
            assert secret.encode() not in own.content


def test_another_tenants_names_are_not_filters(world):
    body = bad(world.north.client().get(f"{ROOT}claims/?payer=Humana"), 400)

    assert body["errors"][0]["attr"] == "payer"


def test_a_cursor_of_another_tenant_shows_nothing_of_it(world):
    following = good(world.south.client().get(f"{ROOT}claims/?page_size=2"))["_links"]["next"]

    body = good(world.north.client().get(following))

    assert {row["patient_control_number"][:9] for row in body["results"]} <= {"northside"}


@pytest.mark.parametrize("listing", [*LISTS, "tenants/"])
def test_nobody_signed_in_gets_401(db, listing):
    assert bad(APIClient().get(ROOT + listing), 401)["code"] == "not_authenticated"


def test_a_member_of_nothing_is_told_so(db):
    client = APIClient()
    client.force_login(get_user_model().objects.create_user("stranger"))

    assert bad(client.get(f"{ROOT}claims/"), 403)["code"] == "tenant_required"
    assert good(client.get(f"{ROOT}tenants/"))["results"] == []


def test_a_member_of_several_must_choose(world):
    user = world.north.people[Role.VIEWER]
    Membership.objects.create(tenant=world.south.tenant, user=user, role="analyst")
    client = world.north.client()

    assert bad(client.get(f"{ROOT}claims/"), 403)["code"] == "tenant_required"
    for house in (world.north, world.south):
        body = good(client.get(f"{ROOT}claims/", headers={"x-tenant": house.key}))
        assert {row["patient_control_number"][:9] for row in body["results"]} == {house.key}


def test_choosing_a_tenant_of_others_is_404(world):
    answer = world.north.client(Role.OWNER).get(f"{ROOT}claims/", headers={"x-tenant": "southside"})

    assert bad(answer, 404)["code"] == "not_found"


def test_an_inactive_tenant_is_closed(world):
    world.north.tenant.active = False
    world.north.tenant.save()

    assert bad(world.north.client().get(f"{ROOT}claims/"), 403)["code"] == "tenant_required"


def test_basic_credentials_enter_the_tenant_too(world):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Basic b3duZXJAbm9ydGhzaWRlOng=")

    assert len(good(client.get(f"{ROOT}claims/"))["results"]) == 6


@pytest.mark.parametrize("role", Role)
def test_every_role_reads_and_analysts_upload(world, role):
    client = world.north.client(role)
    for listing in LISTS:
        good(client.get(ROOT + listing))
    file = SimpleUploadedFile("claims.csv", b"claim id,billed\nA1,1.00\n")
    sent = client.post(f"{ROOT}uploads/", {"file": file}, format="multipart")
    repair = client.get(f"{ROOT}uploads/{world.north.upload.uid}/repair/")

    if role is Role.VIEWER:
        assert bad(sent, 403)["code"] == "permission_denied"
        assert bad(repair, 403)["code"] == "permission_denied"
    else:
        good(sent, 202)
        assert repair.status_code == 200


# -- claims ------------------------------------------------------------------------------------


def test_a_claim_shows_names_words_and_exact_money(world):
    body = good(world.north.client().get(f"{ROOT}claims/{world.north.claims[1].uid}/"))

    assert body["payer"] == "Cigna"
    assert body["procedure_group"] == "Imaging: MRI"
    assert body["outcome"] == "paid"
    assert body["charge"] == "1234.56"
    assert body["allowed"] == "1100.00"
    assert body["facility"] == ""


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("payer=Aetna", [4, 2, 0]),
        ("outcome=denied", [3, 0]),
        ("procedure_group=Imaging: MRI&outcome=paid&payer=Cigna", [5, 1]),
        ("decided_from=2026-03-05", [5, 4]),
        ("decided_to=2026-03-02", [1, 0]),
        ("decided_from=2026-03-02&decided_to=2026-03-03", [2, 1]),
        ("patient_control_number=northside-3", [3]),
        ("patient_control_number=nobody", []),
        ("ordering=listed_on&page_size=2", [0, 1]),
        ("", [5, 4, 3, 2, 1, 0]),
    ],
)
def test_documented_filters_work(world, query, numbers):
    body = good(world.north.client().get(f"{ROOT}claims/?{query}"))

    found = [int(row["patient_control_number"][-1]) for row in body["results"]]
    assert found == numbers


def test_a_misspelt_payer_is_named_with_the_nearest(world):
    body = bad(world.north.client().get(f"{ROOT}claims/?payer=Aetnna"), 400)

    assert body["errors"][0]["detail"] == "no claim has this name; did you mean 'Aetna'?"


def test_a_list_costs_the_same_whatever_its_length(world):
    client = world.north.client()
    counts = []
    for size in (1, 6):
        with CaptureQueriesContext(connection) as queries:
            assert len(good(client.get(f"{ROOT}claims/?page_size={size}"))["results"]) == size
        counts.append(len(queries))

    # session, user, membership with the state of the data, claims; names once per process
    assert counts[1] <= counts[0] <= 5


#: Address, statements beside signing in, and those of the system that this one replaces. Its health
#: check asked 1, of which none can be spared: readiness is to ask the database; ``livez`` asks none
#: (ops/test_views.py). What it asked for webhooks is beside ours in webhooks/test_deliveries.py.
QUERIES = [
    # The first is the membership, with its tenant and the state of the data.
    ("claims/", 2, 5),
    ("claims/{claim}/", 2, 4),
    ("claims/payer-summary/", 2, 4),
    ("dashboard/", 4, 7),
    ("drift/active/", 2, 6),
    ("findings/", 2, 5),
    ("memberships/", 2, None),
    ("reports/", 2, 5),
    ("runs/", 2, None),
    ("tenants/", 1, None),
    ("uploads/", 2, 5),
    ("uploads/{upload}/", 3, None),
]


def test_reads_ask_two_fifths_less_than_what_they_replace():
    assert [one for one in QUERIES if one[2] and one[1] > 0.6 * one[2]] == []


#: What it asked while a copy of the answer, up to five minutes old, lay in its cache.
WARM = {"claims/payer-summary/": 3, "dashboard/": 3}


@pytest.mark.parametrize("address", WARM)
def test_asking_again_for_what_has_not_changed_costs_one_statement(world, address):
    """There is no stale copy: one statement says that nothing has changed."""
    client = APIClient()
    client.force_authenticate(world.north.people[Role.VIEWER])
    etag = client.get(ROOT + address)["ETag"]

    with CaptureQueriesContext(connection) as seen:
        answer = client.get(ROOT + address, headers={"if-none-match": etag})

    assert answer.status_code == 304
    assert len(seen) == 1 <= 0.6 * WARM[address]


@pytest.mark.parametrize(("address", "queries", "_original"), QUERIES)
def test_a_read_has_a_query_budget_beside_signing_in(world, address, queries, _original):
    client = APIClient()
    client.force_authenticate(world.north.people[Role.OWNER])
    where = ROOT + address.format(claim=world.north.claims[0].uid, upload=world.north.upload.uid)
    client.get(where)

    with CaptureQueriesContext(connection) as seen:
        good(client.get(where))

    # Opening a claim is an entry of the trail besides, which what it replaces did not keep.
    asked = [one["sql"][:120] for one in seen if "claimkit_audit_auditentry" not in one["sql"]]
    assert len(asked) == queries, asked
    assert len(seen) - len(asked) == ("{claim}" in address)


def test_search_finds_a_number_or_a_payer(world):
    client = world.north.client()

    def found(text):
        rows = good(client.get(f"{ROOT}claims/?search={text}"))["results"]
        return [int(row["patient_control_number"][-1]) for row in rows]

    assert found("NORTHSIDE-3") == [3]
    assert found("cig") == [5, 3, 1]
    assert found("hum") == []


# -- figures -----------------------------------------------------------------------------------


def test_payers_are_summed_and_paged_by_size(world):
    client = world.north.client()
    body = good(client.get(f"{ROOT}claims/payer-summary/"))
    by_denied = good(client.get(f"{ROOT}claims/payer-summary/?ordering=-denied&page_size=1"))
    second = good(client.get(by_denied["_links"]["next"]))

    first = {row["payer"]: row for row in body["results"]}["Aetna"]
    assert first == {
        "payer": "Aetna",
        "decided": 3,
        "denied": 1,
        "denial_rate": 0.3333,
        "charge": "3703.68",
        "paid": "2001.00",
        "first_decided_on": "2026-03-01",
        "last_decided_on": "2026-03-05",
        "_links": {
            "claims": "/api/v1/claims/?payer=Aetna",
            "findings": "/api/v1/findings/?payer=Aetna",
        },
    }
    payers = [row["payer"] for page in (by_denied, second) for row in page["results"]]
    assert sorted(payers) == ["Aetna", "Cigna"]
    assert second["_links"]["next"] is None


@pytest.mark.parametrize(
    ("query", "sums"),
    [
        ("payer=Cigna", {"Cigna": 3}),
        ("procedure_group=Imaging: MRI", {"Aetna": 3, "Cigna": 3}),
        ("decided_from=2026-03-04", {"Aetna": 1, "Cigna": 2}),
        ("decided_to=2026-03-01", {"Aetna": 1}),
        ("decided_from=2026-03-07", {}),
    ],
)
def test_payer_sums_follow_the_filters(world, query, sums):
    body = good(world.north.client().get(f"{ROOT}claims/payer-summary/?{query}"))

    assert {row["payer"]: row["decided"] for row in body["results"]} == sums


def test_payer_sums_do_not_know_the_payers_of_others(world):
    body = bad(world.north.client().get(f"{ROOT}claims/payer-summary/?payer=Humana"), 400)

    assert body["errors"][0]["attr"] == "payer"


def test_the_dashboard_tells_what_the_cube_and_the_findings_say(world):
    world.north.make_finding("resolved", dollars=99_000_000)
    body = good(world.north.client().get(f"{ROOT}dashboard/"))

    assert body["as_of"] == "2026-03-06"
    assert body["now"] == {
        "decided": 6,
        "denied": 2,
        "denial_rate": 0.3333,
        "charge": "7407.36",
        "paid": "4002.00",
    }
    assert body["before"]["denial_rate"] is None
    assert len(body["weeks"]) == 26
    assert body["weeks"][-1] == {"starts_on": "2026-02-28", "decided": 6, "denied": 2}
    assert body["open_findings"] == {"low": 0, "medium": 0, "high": 1, "critical": 0}
    assert (body["at_risk_per_month"], body["held_up_per_month"]) == ("48210.00", "0.00")
    assert body["watched_at"]


def test_a_new_tenant_has_a_dashboard_too(make_member, lakeview):
    client = APIClient()
    client.force_authenticate(make_member("lara", (lakeview, "viewer")))
    body = good(client.get(f"{ROOT}dashboard/"))

    assert (body["as_of"], body["weeks"], body["watched_at"]) == (None, [], None)
    assert body["now"]["decided"] == 0


# -- runs --------------------------------------------------------------------------------------


def test_runs_are_listed_and_started_by_analysts(world, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "claimkit_django.drift.rest_runs.queue_watch",
        lambda tenant, *, as_of: asked.append((tenant, as_of)),
    )
    analyst = world.north.client(Role.ANALYST)

    assert bad(world.north.client().post(f"{ROOT}runs/"), 403)
    body = good(analyst.post(f"{ROOT}runs/", {"as_of": "2026-04-06"}), 202)
    assert asked == [("northside", dt.date(2026, 4, 6))]
    listed = good(analyst.get(body["_links"]["collection"]))["results"]
    assert [one["uid"] for one in listed] == [world.north.run.uid]
    assert bad(analyst.post(f"{ROOT}runs/", {"as_of": "soon"}), 400)["errors"][0]["attr"] == "as_of"
    assert good(analyst.get(f"{ROOT}runs/?status=failed"))["results"] == []


# -- members -----------------------------------------------------------------------------------


def members(client):
    rows = good(client.get(f"{ROOT}memberships/"))["results"]
    return {row["user"]: row["role"] for row in rows}


def test_admins_see_and_change_members(world):
    admin = world.north.client(Role.ADMIN)
    get_user_model().objects.create_user("newcomer@elsewhere")
    added = admin.post(f"{ROOT}memberships/", {"user": "newcomer@elsewhere", "role": "viewer"})
    where = added["Location"]
    changed = admin.patch(where, {"role": "analyst"}, headers={"if-match": added["ETag"]})

    assert good(added, 201)["role"] == "viewer"
    assert good(changed)["role"] == "analyst"
    assert members(admin)["newcomer@elsewhere"] == "analyst"
    stale = admin.patch(where, {"role": "viewer"}, headers={"if-match": added["ETag"]})
    assert bad(stale, 412)["code"] == "precondition_failed"
    assert bad(admin.patch(where, {"role": "viewer"}), 428)["code"] == "precondition_required"
    gone = admin.delete(where, headers={"if-match": admin.get(where)["ETag"]})
    assert gone.status_code == 204
    assert bad(admin.get(where), 404)


def test_nobody_grants_or_removes_above_their_own_role(world):
    admin, owner = world.north.client(Role.ADMIN), f"{ROOT}memberships/owner@northside/"
    etag = {"if-match": admin.get(owner)["ETag"]}
    get_user_model().objects.create_user("newcomer")

    assert bad(admin.patch(owner, {"role": "viewer"}, headers=etag), 403)
    assert bad(admin.delete(owner, headers=etag), 403)
    assert bad(admin.post(f"{ROOT}memberships/", {"user": "newcomer", "role": "owner"}), 403)
    assert "newcomer" not in members(admin)


def test_the_last_owner_stays(world):
    owner, where = world.north.client(Role.OWNER), f"{ROOT}memberships/owner@northside/"
    etag = {"if-match": owner.get(where)["ETag"]}

    assert bad(owner.patch(where, {"role": "viewer"}, headers=etag), 409)["code"] == "conflict"
    assert bad(owner.delete(where, headers=etag), 409)["code"] == "conflict"


def test_a_member_is_not_added_twice_and_a_stranger_not_at_all(world):
    admin = world.north.client(Role.ADMIN)

    twice = admin.post(f"{ROOT}memberships/", {"user": "viewer@northside", "role": "owner"})
    assert bad(twice, 409)
    nobody = bad(admin.post(f"{ROOT}memberships/", {"user": "nobody", "role": "viewer"}), 422)
    assert nobody["errors"][0]["code"] == "unknown_user"
    assert members(admin)["viewer@northside"] == "viewer"


def test_members_of_others_are_not_there(world):
    admin = world.north.client(Role.OWNER)

    assert bad(admin.get(f"{ROOT}memberships/viewer@southside/"), 404)
    assert not any(name.endswith("@southside") for name in members(admin))


def test_admins_rename_their_tenant(world):
    admin, where = world.north.client(Role.ADMIN), f"{ROOT}tenants/northside/"
    etag = admin.get(where)["ETag"]
    changed = admin.patch(where, {"name": "Northside East"}, headers={"if-match": etag})

    assert good(changed)["name"] == "Northside East"
    assert bad(admin.patch(where, {"name": "x"}, headers={"if-match": etag}), 412)
    now = {"if-match": changed["ETag"]}
    wrong = bad(admin.patch(where, {"timezone": "Mars/Olympus"}, headers=now), 422)
    assert wrong["errors"][0]["attr"] == "timezone"
    assert good(admin.patch(where, {"key": "mine"}, headers=now))["key"] == "northside"
    analyst = world.north.client(Role.ANALYST)
    assert bad(analyst.patch(where, {"name": "x"}, headers={"if-match": "*"}), 403)
    stranger = world.south.client(Role.OWNER)
    assert bad(stranger.patch(where, {"name": "x"}, headers={"if-match": "*"}), 404)


# -- findings ----------------------------------------------------------------------------------


def test_active_drift_is_open_and_ranked_by_money(world):
    world.north.make_finding("resolved", dollars=99_000_000)
    world.north.make_finding("open", dollars=10_000_000)
    client = world.north.client()

    active = good(client.get(f"{ROOT}drift/active/"))
    everything = good(client.get(f"{ROOT}findings/"))
    ended = good(client.get(f"{ROOT}findings/?state=resolved"))

    assert [row["dollars_per_month"] for row in active["results"]] == ["100000.00", "48210.00"]
    assert len(everything["results"]) == 3
    assert [row["dollars_per_month"] for row in ended["results"]] == ["990000.00"]


def test_a_finding_has_its_evidence_and_leads_to_its_claims(world):
    client = world.north.client()
    body = good(client.get(f"{ROOT}findings/{world.north.finding.uid}/"))

    assert body["evidence"] == {"observed": [0.08, 0.21]}
    assert body["interval"] == [0.09, 0.17]
    assert good(client.get(body["_links"]["claims"]))["results"]


@pytest.mark.parametrize(
    ("query", "found"),
    [("severity=high", 1), ("severity=low", 0), ("payer=Aetna", 1), ("onset_from=2026-03-03", 0)],
)
def test_findings_are_filtered(world, query, found):
    body = good(world.north.client().get(f"{ROOT}drift/active/?{query}"))

    assert len(body["results"]) == found


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.ANALYST, 200)])
def test_analysts_take_a_level_as_normal(world, role, status):
    client = world.north.client(role)
    address = f"{ROOT}findings/{world.north.finding.uid}/accept/"

    answer = client.post(address)

    assert answer.status_code == status
    state = good(client.get(f"{ROOT}findings/{world.north.finding.uid}/"))["state"]
    assert state == ("accepted" if status == 200 else "open")


def test_a_finding_is_accepted_once(world):
    client = world.north.client(Role.ANALYST)
    address = f"{ROOT}findings/{world.north.finding.uid}/accept/"

    body = good(client.post(address))
    again = bad(client.post(address), 409)

    person = world.north.people[Role.ANALYST]
    assert (body["state"], body["accepted_by"]) == ("accepted", f"user:{person.pk}")
    assert again["type"].endswith("/problems/conflict/")
    assert again["code"] == "finding_unknown"
    assert good(client.get(f"{ROOT}drift/active/"))["results"] == []


def test_a_finding_of_another_tenant_cannot_be_accepted(world):
    client = world.north.client(Role.ANALYST)

    bad(client.post(f"{ROOT}findings/{world.south.finding.uid}/accept/"), 404)


# -- backtests ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_backtest_is_queued_and_can_be_followed(world, monkeypatch):
    monkeypatch.setattr("claimkit_django.drift.tasks.shared_task", None)
    client = world.north.client(Role.ANALYST)
    asked = {"start": "2025-07-01", "end": "2026-03-31", "knowledge": "then", "every_days": 14}

    answer = client.post(f"{ROOT}drift/backtests/", asked, format="json")

    body = good(answer, 202)
    assert (body["status"], body["months"]) == ("queued", [])
    done = good(client.get(answer["Location"]))
    assert (done["status"], done["percent"], done["alerts"]) == ("success", 100, 0)
    assert done["alerts_per_month"] is None
    assert len(done["months"]) == 9
    assert (done["start"], done["end"]) == ("2025-07-01", "2026-03-31")


@pytest.mark.parametrize(
    ("asked", "attr"),
    [
        ({"start": "2026-02-02", "end": "2026-01-01"}, "start"),
        ({"knowledge": "tomorrow"}, "knowledge"),
        ({"every_days": 0}, "every_days"),
    ],
)
def test_a_backtest_of_nothing_names_the_field(world, asked, attr):
    client = world.north.client(Role.ANALYST)

    body = bad(
        client.post(f"{ROOT}drift/backtests/", asked, format="json"),
        422 if attr == "start" else 400,
    )

    assert [one["attr"] for one in body["errors"]] == [attr]


def test_viewers_read_backtests_and_ask_for_none(world):
    client = world.north.client(Role.VIEWER)

    assert good(client.get(f"{ROOT}drift/backtests/"))["results"] == []
    bad(client.post(f"{ROOT}drift/backtests/", {}, format="json"), 403)


# -- uploads -----------------------------------------------------------------------------------


def test_an_upload_is_accepted_and_can_be_followed(world):
    client = world.north.client(Role.ANALYST)
    content = b"claim id,billed\nA1,1.00\n"
    answer = client.post(
        f"{ROOT}uploads/", {"file": SimpleUploadedFile("q1.csv", content)}, format="multipart"
    )

    body = good(answer, 202)
    assert answer["Location"] == body["_links"]["self"]
    assert answer["Cache-Control"] == "no-store"
    assert body["name"] == "q1.csv"
    assert body["progress"]["bytes_total"] == len(content)
    good(client.get(answer["Location"]))
    with use_tenant("northside"):
        upload = Upload.objects.get(uid=body["uid"])
        assert upload.file.read() == content
        assert upload.actor == f"user:{world.north.people[Role.ANALYST].pk}"


@pytest.mark.parametrize(
    ("payload", "attr"),
    [
        ({}, "file"),
        ({"file": "not a file"}, "file"),
        ({"file": SimpleUploadedFile("a.csv", b"x"), "reader": "x21"}, "reader"),
    ],
)
def test_a_bad_upload_names_the_field(world, payload, attr):
    client = world.north.client(Role.ANALYST)
    answer = client.post(f"{ROOT}uploads/", payload, format="multipart")

    # There may be such a reader elsewhere; what is no file is no file anywhere.
    assert bad(answer, 422 if attr == "reader" else 400)["errors"][0]["attr"] == attr


def test_an_upload_that_is_not_multipart_is_415(world):
    client = world.north.client(Role.ANALYST)
    answer = client.post(f"{ROOT}uploads/", {"file": "x"}, format="json")

    assert bad(answer, 415)["code"] == "unsupported_media_type"


def test_a_broken_multipart_body_is_400(world):
    client = world.north.client(Role.ANALYST)
    answer = client.post(f"{ROOT}uploads/", b"no boundary here", content_type="multipart/form-data")

    assert bad(answer, 400)["code"] == "parse_error"


def test_what_was_rejected_is_shown_without_the_row(world):
    client = world.north.client()
    answer = client.get(f"{ROOT}uploads/{world.north.upload.uid}/")

    body = good(answer)
    assert [one["position"] for one in body["problems"]] == [17, 18]
    assert body["progress"] == {"done": True, "percent": 100, "bytes_done": 10, "bytes_total": 10}
    assert b"A1007" not in answer.content


def test_the_repair_file_has_the_rows_and_runs_nothing(world):
    client = world.north.client(Role.ANALYST)
    answer = client.get(f"{ROOT}uploads/{world.north.upload.uid}/repair/")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    assert answer["Cache-Control"] == "no-store"
    first, second = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (first["Claim ID"], first["Billed"]) == ("A1007", "'=HYPERLINK(0)")
    assert second["Billed"].endswith("-12..5")
    told = set(second.values())
    assert {"18", "Billed", "the amount is not a number", "Correct it"} <= told


@pytest.mark.parametrize("accept", ["text/csv", "*/*", "application/json"])
def test_the_repair_file_is_offered_to_who_accepts_it(world, accept):
    client = world.north.client(Role.ANALYST)
    answer = client.get(
        f"{ROOT}uploads/{world.north.upload.uid}/repair/", headers={"accept": accept}
    )

    assert answer.status_code == 200


def test_uploads_are_filtered_by_status(world):
    client = world.north.client()

    assert good(client.get(f"{ROOT}uploads/?status=success"))["results"] == []
    assert len(good(client.get(f"{ROOT}uploads/?status=partial"))["results"]) == 1


@pytest.mark.parametrize(
    ("where", "sent", "attr"),
    [
        ("templates/", {"name": 88_713, "header": ["Acct", "Billed"]}, "name"),
        ("templates/", {"name": "Northside", "header": ["Acct", 88_713]}, "header.1"),
        ("alerts/{alert}/judge/", {"verdict": "expected", "reason": 88_713}, "reason"),
        (
            "alerts/silences/",
            {"fingerprint": 1.5, "ends_at": "2030-01-01T00:00:00Z"},
            "fingerprint",
        ),
        ("drift/risk/", {"claims": [{"reference": 88_713}]}, "claims.0.reference"),
        ("tokens/", {"name": 88_713, "scope": "read"}, "name"),
    ],
)
def test_a_number_is_no_text(world, where, sent, attr):
    world.north.furnish()
    client = world.north.client(Role.ADMIN)

    answer = client.post(ROOT + where.format(alert=world.north.alert.uid), sent, format="json")

    assert attr in [one["attr"] for one in bad(answer, 400)["errors"]]


@pytest.mark.parametrize(
    ("where", "sent", "attr"),
    [
        ("automation/rules/{rule}/", {"conditions": [{"fact": "payer"}]}, "conditions.0.operator"),
        ("alerts/routes/{route}/", {"steps": [{"after_minutes": 30}]}, "steps.0.channels"),
    ],
)
def test_a_part_is_whole_where_the_rest_is_left_as_it_is(world, where, sent, attr):
    world.north.furnish()
    client = world.north.client(Role.ADMIN)
    address = ROOT + where.format(rule=world.north.automation_rule.uid, route=world.north.route.uid)

    answer = client.patch(address, sent, format="json", headers={"if-match": "*"})

    assert bad(answer, 400)["errors"] == [
        {"code": "required", "detail": "This field is required.", "attr": attr}
    ]


@pytest.mark.parametrize("where", ["uploads/", "authorizations/imports/", "drift/contracts/"])
def test_an_empty_file_is_understood_and_refused(world, where):
    sent = {"file": SimpleUploadedFile("empty.csv", b"")}

    answer = world.north.client(Role.ADMIN).post(ROOT + where, sent, format="multipart")

    assert [one["code"] for one in bad(answer, 422)["errors"]] == ["empty_file"]


def test_a_reader_that_a_form_leaves_empty_is_found_out(world, monkeypatch):
    monkeypatch.setattr("claimkit_django.claims.rest_uploads.queue_import", lambda _upload: None)
    sent = {"file": SimpleUploadedFile("era.835", b"ISA*00*"), "reader": ""}

    answer = world.north.client(Role.ANALYST).post(f"{ROOT}uploads/", sent, format="multipart")

    assert good(answer, 202)["reader"] == ""


@pytest.mark.parametrize(
    ("instant", "status"),
    [("1041-09-07T02:58:33-19:34", 200), ("0001-01-01T00:00:00+14:00", 400)],
)
@pytest.mark.parametrize(
    "where", ["automation/executions/?at_from=", "webhooks/deliveries/?created_to="]
)
def test_a_zone_that_no_database_knows_is_a_zone(world, where, instant, status):
    """PostgreSQL refuses more than 15:59 from UTC."""
    client = world.north.client(Role.OWNER)

    answer = client.get(f"/api/v1/{where}{instant.replace('+', '%2B')}")

    assert answer.status_code == status, answer.content


# -- the whole ---------------------------------------------------------------------------------


def links_of(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "_links":
                yield from (one for one in inner.values() if one)
            else:
                yield from links_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from links_of(inner)


def walk(client):
    """Follow every link from the root; return the addresses, each of which is there."""
    seen, todo = set(), {ROOT}
    while todo:
        address = todo.pop()
        seen.add(address)
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert address.startswith("/")
        if answer["Content-Type"].startswith("application/json"):
            todo |= set(links_of(answer.json())) - seen
    return seen


@pytest.mark.parametrize("role", Role)
def test_every_link_that_a_role_is_shown_resolves(world, role):
    for house in (world.north, world.south):
        house.furnish()

    seen = walk(world.north.client(role))

    assert len(seen) > 40
    assert (f"{ROOT}memberships/" in seen) == role.includes(Role.ADMIN)
    assert (f"{ROOT}exports/" in seen) == role.includes(Role.ANALYST)
    assert (f"{ROOT}uploads/{world.north.upload.uid}/repair/" in seen) == role.includes(
        Role.ANALYST
    )


def test_the_root_leads_to_every_listing(world):
    world.north.furnish()
    client = world.north.client(Role.OWNER)
    document = client.get(
        f"{ROOT}schema/", headers={"accept": "application/vnd.oai.openapi+json"}
    ).json()
    readable = {
        where
        for where, methods in document["paths"].items()
        if "get" in methods and "{" not in where
    }

    assert readable - walk(client) == set()


def test_who_chose_no_tenant_is_shown_all_that_there_may_be(world):
    Membership.objects.create(
        tenant=world.south.tenant, user=world.north.people[Role.VIEWER], role=Role.VIEWER.value
    )
    client = APIClient()
    client.force_authenticate(world.north.people[Role.VIEWER])

    assert "audit" in client.get(ROOT).json()["_links"]
    assert "audit" not in client.get(ROOT, headers={"x-tenant": "northside"}).json()["_links"]
    assert "audit" in APIClient().get(ROOT).json()["_links"]


def test_a_deleted_row_is_404(world):
    with use_tenant("northside"):
        uid = world.north.claims[0].uid
        Claim.objects.all().delete()

    assert bad(world.north.client().get(f"{ROOT}claims/{uid}/"), 404)


# -- mappings ----------------------------------------------------------------------------------

RULE = {"subject": "payer", "match": "exact", "value": "Cigna", "target": "Cigna Healthcare"}


def test_rules_are_tried_put_in_force_and_brought_back(world, django_capture_on_commit_callbacks):
    client = world.north.client(Role.ANALYST)

    tried = good(client.post(f"{ROOT}mappings/preview/", {"rules": [RULE]}, format="json"))
    with django_capture_on_commit_callbacks(execute=False) as callbacks:
        answer = client.post(
            f"{ROOT}mappings/", {"rules": [RULE], "note": "as they write it"}, format="json"
        )
    kept = good(answer, 202)

    assert tried == {"statements": 0, "names": 0, "renamings": []}
    assert (kept["number"], kept["status"], kept["rules"]) == (1, "queued", [RULE])
    assert answer["Location"] == kept["_links"]["self"]
    queued = [one for one in callbacks if "queue_mapping" in getattr(one, "__qualname__", "")]
    assert len(queued) == 1
    assert bad(client.post(f"{kept['_links']['self']}restore/"), 409)
    apply_version("northside", kept["uid"])
    assert good(client.get(kept["_links"]["self"]))["status"] == "applied"
    again = good(client.post(f"{kept['_links']['self']}restore/"), 202)
    assert (again["number"], again["restores"]) == (2, 1)
    assert [one["number"] for one in good(client.get(f"{ROOT}mappings/"))["results"]] == [2, 1]
    assert good(client.get(f"{ROOT}mappings/suggestions/")) == {"results": []}


def test_rules_in_a_circle_are_refused(world):
    back = {**RULE, "value": "Cigna Healthcare", "target": "Cigna"}
    for where in ("mappings/", "mappings/preview/"):
        answer = world.north.client(Role.ANALYST).post(
            f"{ROOT}{where}", {"rules": [RULE, back]}, format="json"
        )

        assert "circle" in bad(answer, 422)["errors"][0]["detail"]


def test_viewers_read_rules_and_write_none(world):
    viewer = world.north.client()

    assert good(viewer.get(f"{ROOT}mappings/"))["results"] == []
    bad(viewer.post(f"{ROOT}mappings/", {"rules": [RULE]}, format="json"), 403)


def test_versions_of_another_tenant_are_not_there(world):
    with use_tenant("southside"):
        theirs = keep_rules([])

    owner = world.north.client(Role.OWNER)
    bad(owner.get(f"{ROOT}mappings/{theirs.uid}/"), 404)
    bad(owner.post(f"{ROOT}mappings/{theirs.uid}/restore/"), 404)


# -- templates ---------------------------------------------------------------------------------

TEMPLATE = {
    "name": "monthly",
    "header": ["Acct", "Plan Nm", "Svc Dt", "Tot Chg", "Pd", "Pd Dt"],
    "columns": {
        "Acct": "claim_id",
        "Plan Nm": "payer_name",
        "Svc Dt": "service_date",
        "Tot Chg": "billed",
        "Pd": "paid",
        "Pd Dt": "paid_date",
    },
    "date_order": "dmy",
    "nulls": ["n/a"],
}


def test_a_template_is_saved_changed_and_removed(world):
    client = world.north.client(Role.ANALYST)

    saved = good(client.post(f"{ROOT}templates/", TEMPLATE, format="json"), 201)
    where = saved["_links"]["self"]

    assert {name: saved[name] for name in TEMPLATE} == TEMPLATE
    assert bad(client.post(f"{ROOT}templates/", TEMPLATE, format="json"), 422)["errors"][0] == {
        "code": "unique",
        "detail": "there is a template of this name",
        "attr": "name",
    }
    changed = good(client.patch(where, {"date_order": "mdy"}, format="json"))
    assert (changed["date_order"], changed["nulls"]) == ("mdy", ["n/a"])
    assert [one["uid"] for one in good(client.get(f"{ROOT}templates/"))["results"]] == [
        saved["uid"]
    ]
    bad(world.south.client(Role.OWNER).delete(where), 404)
    bad(world.north.client().delete(where), 403)
    assert client.delete(where).status_code == 204
    bad(client.get(where), 404)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"columns": {"Acct": "claim_id"}}, 422, "no column holds"),
        ({"columns": {**TEMPLATE["columns"], "Other": "status"}}, 422, "has no column"),
        ({"columns": {**TEMPLATE["columns"], "Acct": "ssn"}}, 400, "not a valid choice"),
        ({"header": []}, 400, "may not be empty"),
        ({"date_order": "ymd"}, 400, "not a valid choice"),
    ],
)
def test_a_template_with_which_no_file_could_be_read_is_refused(world, changes, status, message):
    client = world.north.client(Role.ANALYST)

    answer = client.post(f"{ROOT}templates/", {**TEMPLATE, **changes}, format="json")

    assert message in bad(answer, status)["errors"][0]["detail"]


# -- quality -----------------------------------------------------------------------------------


def test_an_upload_says_what_is_unusual_and_is_released_by_analysts(world):
    with use_tenant("northside"):
        Upload.objects.filter(pk=world.north.upload.pk).update(
            holds_alerts=True,
            quality={
                "profile": {},
                "compared": 5,
                "holds": True,
                "issues": [{"code": "quality_mix", "message": "unusual", "holds": True}],
            },
        )
    where = f"{ROOT}uploads/{world.north.upload.uid}/"

    seen = good(world.north.client().get(where))
    bad(world.north.client().post(f"{where}release/"), 403)
    bad(world.south.client(Role.OWNER).post(f"{where}release/"), 404)
    released = good(world.north.client(Role.ANALYST).post(f"{where}release/"))

    assert (seen["holds_alerts"], seen["quality"]) == (
        True,
        {
            "compared": 5,
            "issues": [{"code": "quality_mix", "message": "unusual", "holds": True}],
        },
    )
    assert released["holds_alerts"] is False
    assert set(released["quality"]["released"]) == {"by", "at"}
