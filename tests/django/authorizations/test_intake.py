"""Files of authorizations, by command; and the room's checks."""

from __future__ import annotations

import datetime as dt
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection
from django.test.utils import CaptureQueriesContext

from claimkit.types import TenantKey
from claimkit_django.authorizations import checks
from claimkit_django.authorizations.intake import import_authorizations
from claimkit_django.authorizations.models import Authorization, AuthorizationImport
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

HEAD = "Auth Number,Payer,CPT,Member ID,Valid From,Valid Until,Units\n"
NOW = dt.datetime(2026, 2, 1, 12, tzinfo=dt.UTC)


def rows(count, *, units=24):
    return "".join(f"A-{n},Aetna,97110,W{n},2026-01-01,2026-04-30,{units}\n" for n in range(count))


def take(tenant, text):
    return import_authorizations(
        TenantKey(tenant.key), text.encode(), name="a.csv", actor="user:7", now=NOW, using=USING
    )


def counts(done):
    return done.new, done.changed, done.same, done.rejected


def test_a_file_again_changes_nothing_and_a_newer_one_what_differs(northside):
    assert counts(take(northside, HEAD + rows(3))) == (3, 0, 0, 0)
    assert counts(take(northside, HEAD + rows(3))) == (0, 0, 3, 0)
    assert counts(take(northside, HEAD + rows(1, units=30))) == (0, 1, 0, 0)
    with enter(northside):
        assert Authorization.objects.get(number="A-0").units_authorized == 30


def test_a_bad_row_is_kept_and_the_others_are_in(northside):
    done = take(northside, HEAD + rows(1) + "A-9,Aetna,97110,W9,soon,2026-04-30,24\n")

    assert counts(done) == (1, 0, 0, 1)
    with enter(northside):
        (problem,) = done.problems.all()
    assert (problem.line, problem.code, problem.field_name) == (3, "date_invalid", "valid_from")


def test_a_member_is_a_token_and_nothing_else(northside, lakeview):
    take(northside, HEAD + rows(1))
    take(lakeview, HEAD + rows(1))
    tokens = set()
    for tenant in (northside, lakeview):
        with enter(tenant):
            row = Authorization.objects.values().get()
        assert "W0" not in str(row)
        tokens.add(row["patient_token"])

    assert len(tokens) == 2


def test_a_file_without_members_takes_none_away(northside):
    take(northside, HEAD + rows(1))
    done = take(northside, HEAD + rows(1).replace("W0", ""))

    assert counts(done) == (0, 0, 1, 0)
    with enter(northside):
        assert Authorization.objects.get().patient_token


def test_queries_grow_with_batches_and_not_with_rows(northside):
    def count(text):
        with CaptureQueriesContext(connection) as queries:
            take(northside, text)
        return len(queries)

    few, many = count(HEAD + rows(2)), count(HEAD + rows(400).replace("A-", "B-"))

    # SQLite takes 999 values a statement: some more batches, and none per row.
    assert many <= few + 12


def command(*arguments):
    out, err = io.StringIO(), io.StringIO()
    call_command("claimkit_authorizations", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_imports_and_checks(northside, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEAD + rows(2) + "A-9\n", encoding="utf-8")

    told, problems = command("import", str(path), "--tenant", "northside")
    checked, _ = command("check", "--all", "--format", "json")

    assert told == "2 new, 0 changed, 0 same, 1 rejected\n"
    assert "line 4: there is no payer" in problems
    assert json.loads(checked)["tenant"] == "northside"
    again, _ = command("import", str(path), "--tenant", "northside", "--format", "json")
    assert json.loads(again)["problems"][0]["code"] == "cell_missing"


@pytest.mark.parametrize("text", ["", "a,b\n"])
def test_the_command_refuses_what_is_no_file(northside, tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(CommandError):
        command("import", str(path), "--tenant", "northside")
    with pytest.raises(CommandError, match="cannot be read"):
        command("import", str(tmp_path / "none.csv"), "--tenant", "northside")
    with enter(northside):
        assert not AuthorizationImport.objects.exists()


def test_a_file_that_is_too_large_is_not_read(northside, tmp_path, settings):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "AUTHORIZATIONS": {"MAX_IMPORT_BYTES": 10}}
    path = tmp_path / "a.csv"
    path.write_text(HEAD, encoding="utf-8")

    with pytest.raises(CommandError, match="larger than 10 bytes"):
        command("import", str(path), "--tenant", "northside")


@pytest.mark.parametrize(
    "wrong",
    [
        {"WARN_DAYS": ["soon"]},
        {"WARN_DAYS": ["0"]},
        {"LEAD_DAYS": 0},
        {"INTERVAL": 1.0},
        {"CALENDAR_DAYS": 0},
    ],
)
def test_a_setting_that_cannot_be_used_is_told(settings, wrong):
    assert checks.check_settings() == []
    settings.CLAIMKIT = {**settings.CLAIMKIT, "AUTHORIZATIONS": wrong}

    (told,) = checks.check_settings()
    assert told.id == "claimkit_authorizations.E001"
    assert next(iter(wrong)) in told.msg


def test_without_claims_nobody_counts(settings):
    assert checks.check_claims() == []
    settings.INSTALLED_APPS = [
        one for one in settings.INSTALLED_APPS if one != "claimkit_django.claims"
    ]

    assert [one.id for one in checks.check_claims()] == ["claimkit_authorizations.W001"]
