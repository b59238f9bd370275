"""Reports, schedules and exports over HTTP, as people of each role see them."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.cache import caches
from django.urls import include, path
from django.utils import timezone
from rest_framework.test import APIClient

from claimkit.tenants import Role
from claimkit.types import TenantKey
from claimkit_django.accounts.tokens import issue_token
from claimkit_django.reports.exports import prune_exports, run_export
from claimkit_django.reports.models import ExportRun, ReportRun, ReportSchedule
from claimkit_django.reports.runs import run_report
from claimkit_django.tenants.scope import enter
from tests.reporting import FEBRUARY, make

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

REPORTS, SCHEDULES, EXPORTS = (
    "/api/v1/reports/",
    "/api/v1/reports/schedules/",
    "/api/v1/exports/",
)


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def client_of(make_member):
    def sign_in(tenant, role=Role.ANALYST):
        client = APIClient()
        client.force_authenticate(make_member(f"{role}@{tenant.key}", (tenant, role)))
        return client

    return sign_in


#: Codes of what the schema says too: a 400. Anything else was understood, and is a 422.
MALFORMED = {
    "blank",
    "empty",
    "invalid",
    "invalid_choice",
    "max_length",
    "max_value",
    "min_value",
    "required",
}


def errors(answer):
    told = [(one["attr"], one["code"]) for one in answer.json()["errors"]]
    is_malformed = bool(MALFORMED & {code for _, code in told})
    assert answer.status_code == (400 if is_malformed else 422), answer.content
    return told


def body(answer):
    return b"".join(answer.streaming_content)


# -- reports ----------------------------------------------------------------------------------------


def test_a_report_is_asked_for_followed_and_downloaded(clinic, client_of):
    client = client_of(clinic)

    asked = client.post(
        REPORTS, {"kind": "monthly", "first": "2026-03-17", "formats": ["json"]}, format="json"
    )
    where = asked.headers["Location"]
    run_report(TenantKey(clinic.key), asked.json()["uid"])
    shown = client.get(where).json()
    answer = client.get(shown["files"][0]["href"])

    assert asked.status_code == 202
    assert (shown["first"], shown["last"], shown["status"]) == (
        "2026-03-01",
        "2026-03-31",
        "success",
    )
    assert shown["compared"]["at_risk_per_month"] == "48210.50"
    assert json.loads(body(answer))["content_hash"] == shown["content_hash"]
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="monthly-2026-03-01-2026-03-31.json"'
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_report_is_compared_with_the_one_before(clinic, client_of):
    make(clinic, FEBRUARY)
    row = make(clinic)

    shown = client_of(clinic).get(f"{REPORTS}{row.uid}/").json()

    figures = {one.pop("label"): one for one in shown["compared"]["figures"]}
    assert figures["At risk a month"] == {"kind": "money", "value": "48210.50", "before": "0.00"}
    assert figures["Denial rate"] == {"kind": "share", "value": "0.4", "before": "0.08"}
    assert shown["up_to"] is None


@pytest.mark.parametrize("accept", ["application/pdf", "text/html", "application/json", "*/*"])
def test_a_download_comes_whatever_the_client_accepts(clinic, client_of, accept):
    row = make(clinic, formats=["html"])

    answer = client_of(clinic).get(f"{REPORTS}{row.uid}/files/html/", headers={"accept": accept})

    assert answer.status_code == 200
    assert body(answer).startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"kind": "custom", "first": "2026-03-01"}, ("last", "inconsistent")),
        ({"kind": "weekly", "first": "2026-03-01", "last": "2026-03-02"}, ("last", "inconsistent")),
        (
            {"kind": "custom", "first": "2026-03-02", "last": "2026-03-01"},
            ("first", "window_invalid"),
        ),
        ({"kind": "yearly", "first": "2026-03-01"}, ("kind", "invalid_choice")),
        (
            {"kind": "weekly", "first": "2026-03-01", "formats": ["docx"]},
            ("formats", "name_unknown"),
        ),
    ],
)
def test_what_is_no_period_or_format_is_said_to_be_none(clinic, client_of, sent, expected):
    answer = client_of(clinic).post(REPORTS, sent, format="json")

    [(attribute, code)] = errors(answer)
    assert attribute == expected[0]
    assert code in (expected[1], "invalid_window", "unknown_name")


def test_reports_are_filtered(clinic, client_of):
    make(clinic)
    client = client_of(clinic, Role.VIEWER)

    assert len(client.get(REPORTS, {"kind": "monthly"}).json()["results"]) == 1
    assert client.get(REPORTS, {"kind": "weekly"}).json()["results"] == []
    assert client.get(REPORTS, {"period": "x"}).status_code == 400


def test_another_tenants_report_is_not_there(clinic, lakeview, client_of):
    row = make(lakeview, formats=["html"])
    client = client_of(clinic, Role.OWNER)

    assert client.get(f"{REPORTS}{row.uid}/").status_code == 404
    assert client.get(f"{REPORTS}{row.uid}/files/html/").status_code == 404


def test_a_file_that_left_the_storage_is_said_to_be_gone(clinic, client_of):
    row = make(clinic, formats=["html"])
    with enter(clinic):
        row.files.get().file.delete(save=False)

    answer = client_of(clinic).get(f"{REPORTS}{row.uid}/files/html/")

    assert answer.status_code == 404


def test_a_failed_report_says_why(clinic, client_of):
    make(clinic)
    ReportRun.unscoped.update(status="failed", error_code="run_died", error_message="it stopped")
    row = ReportRun.unscoped.get()

    shown = client_of(clinic).get(f"{REPORTS}{row.uid}/").json()

    assert shown["error"] == {"code": "run_died", "detail": "it stopped"}


# -- schedules --------------------------------------------------------------------------------------

MONTHLY = {
    "kind": "monthly",
    "at": "06:30",
    "after_days": 3,
    "formats": ["pdf"],
    "recipients": ["cfo@example.org"],
}


def test_admins_keep_schedules(clinic, client_of):
    admin = client_of(clinic, Role.ADMIN)
    added = admin.post(SCHEDULES, MONTHLY, format="json")
    where = f"{SCHEDULES}{added.json()['uid']}/"

    changed = admin.patch(
        where, {"enabled": False}, format="json", headers={"if-match": added.headers["ETag"]}
    )
    stale = admin.patch(
        where, {"enabled": True}, format="json", headers={"if-match": added.headers["ETag"]}
    )

    assert added.status_code == 201
    assert added.json()["is_overdue"] is True
    assert (changed.status_code, changed.json()["enabled"]) == (200, False)
    assert changed.json()["is_overdue"] is False
    assert stale.status_code == 412
    assert admin.patch(where, {}, format="json").status_code == 428
    assert admin.post(SCHEDULES, MONTHLY, format="json").status_code == 409
    assert admin.delete(where).status_code == 204
    assert ReportSchedule.unscoped.count() == 0


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"at": "25:00"}, "at"),
        ({"formats": ["docx"]}, "formats"),
        ({"formats": []}, "formats"),
        ({"recipients": ["nobody"]}, "recipients.0"),
        ({"after_days": 29}, "after_days"),
        ({"kind": "custom"}, "kind"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(clinic, client_of, change, attribute):
    answer = client_of(clinic, Role.ADMIN).post(SCHEDULES, {**MONTHLY, **change}, format="json")

    assert errors(answer)[0][0].startswith(attribute.partition(".")[0])


def test_viewers_see_schedules_and_change_none(clinic, client_of):
    client = client_of(clinic, Role.VIEWER)

    assert client.get(SCHEDULES).status_code == 200
    assert client.post(SCHEDULES, MONTHLY, format="json").status_code == 403


# -- exports ----------------------------------------------------------------------------------------


def test_an_export_is_asked_for_followed_downloaded_and_expires(clinic, client_of):
    client = client_of(clinic)
    asked = client.post(EXPORTS, {"source": "findings", "format": "csv"}, format="json")
    run_export(TenantKey(clinic.key), asked.json()["uid"])

    shown = client.get(asked.headers["Location"]).json()
    answer = client.get(shown["_links"]["file"])

    assert asked.status_code == 202
    assert (shown["status"], shown["rows_done"], shown["rows_total"]) == ("success", 1, 1)
    assert b"fp-march" not in body(answer)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert client.get(asked.headers["Location"]).json()["downloads"] == 1

    expires = dt.datetime.fromisoformat(shown["expires_at"])
    prune_exports(now=expires + dt.timedelta(seconds=1))
    assert client.get(shown["_links"]["file"]).status_code == 404


@pytest.mark.parametrize(
    ("sent", "attribute"),
    [
        ({"source": "claim", "format": "csv"}, "source"),
        ({"source": "claims", "format": "doc"}, "format"),
        ({"source": "claims", "format": "csv", "columns": ["ssn"]}, "columns"),
        (
            {"source": "claims", "format": "csv", "since": "2026-03-02", "until": "2026-03-01"},
            "until",
        ),
    ],
)
def test_what_cannot_be_exported_is_named(clinic, client_of, sent, attribute):
    assert errors(client_of(clinic).post(EXPORTS, sent, format="json"))[0][0].startswith(attribute)


def test_viewers_export_nothing(clinic, client_of):
    client = client_of(clinic, Role.VIEWER)

    assert client.get(EXPORTS).status_code == 403
    assert client.post(EXPORTS, {"source": "claims", "format": "csv"}).status_code == 403


def test_sources_tell_what_the_caller_may_have(clinic, client_of):
    found = client_of(clinic).get(f"{EXPORTS}sources/").json()

    names = {one["name"]: {column["name"] for column in one["columns"]} for one in found["sources"]}
    assert names.keys() == {"claims", "findings", "alerts"}
    assert "patient_control_number" in names["claims"]


def test_another_tenants_export_is_not_there(clinic, lakeview, client_of):
    asked = client_of(lakeview).post(EXPORTS, {"source": "claims", "format": "csv"}, format="json")
    row = ExportRun.unscoped.get()
    run_export(TenantKey("lakeview"), row.uid)
    client = client_of(clinic, Role.OWNER)

    assert asked.status_code == 202
    assert client.get(f"{EXPORTS}{row.uid}/").status_code == 404
    assert client.get(f"{EXPORTS}{row.uid}/file/").status_code == 404


# -- what singles out a patient ---------------------------------------------------------------------


def bearer(clinic, make_member, *, personal, role=Role.OWNER):
    """Return a client that signs in by a token."""
    _, text = issue_token(
        user=make_member(f"{role}-{personal}", (clinic, role)),
        tenant=clinic,
        name="nightly",
        scope="write",
        personal=personal,
        expires_at=timezone.now() + dt.timedelta(days=1),
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def ask_numbers(client):
    columns = ["uid", "patient_control_number"]
    asked = {"source": "claims", "format": "csv", "columns": columns}
    return client.post(EXPORTS, asked, format="json")


def test_a_token_takes_what_singles_out_a_patient_only_within_its_scope(clinic, make_member):
    may, may_not = (bearer(clinic, make_member, personal=one) for one in (True, False))
    refused, taken = ask_numbers(may_not), ask_numbers(may)

    assert refused.status_code == 403
    assert "personal=true" in refused.content.decode()
    assert taken.status_code == 202

    run_export(TenantKey(clinic.key), taken.json()["uid"])
    file = f"{EXPORTS}{taken.json()['uid']}/file/"

    assert may_not.get(file).status_code == 403
    answer = may.get(file)
    assert answer.status_code == 200
    answer.close()


def test_a_role_is_not_widened_by_the_scope_of_a_token(clinic, make_member):
    client = bearer(clinic, make_member, personal=True, role=Role.VIEWER)

    assert ask_numbers(client).status_code == 403


def test_sources_show_a_token_the_columns_that_it_may_have(clinic, make_member):
    shown = {}
    for personal in (True, False):
        answer = bearer(clinic, make_member, personal=personal).get(f"{EXPORTS}sources/").json()
        claims = next(one for one in answer["sources"] if one["name"] == "claims")
        shown[personal] = {one["name"] for one in claims["columns"]}

    assert shown[True] - shown[False] == {
        "patient_control_number",
        "payer_claim_control_number",
        "authorization_number",
    }


def test_without_the_scope_the_other_columns_are_exported(clinic, make_member):
    client = bearer(clinic, make_member, personal=False)
    asked = client.post(EXPORTS, {"source": "claims", "format": "csv"}, format="json")

    assert asked.status_code == 202
    assert "patient_control_number" not in asked.json()["columns"]
