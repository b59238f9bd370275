"""A backup counts once it was restored and compared, and whatever keeps that from happening is told."""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
from contextlib import closing
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection, connections
from django.utils import timezone

from claimkit.ops.metrics import BACKUP_AGE
from claimkit_django.alerts.models import Route
from claimkit_django.audit.checks import APPEND_ONLY
from claimkit_django.migrations_kit.append_only import allow_changes, refuse_changes
from claimkit_django.ops import backup
from claimkit_django.ops.backup import BackupFailed, make_backup, verify_backup
from claimkit_django.ops.probes import gauges
from claimkit_django.tenants.scope import enter
from tests.postgres import _binaries
from tests.projects.database import ROW_LEVEL_SECURITY

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(ROW_LEVEL_SECURITY, reason="the application's role may make no databases"),
]

IS_POSTGRESQL = connection.vendor == "postgresql"
only_postgresql = pytest.mark.skipif(not IS_POSTGRESQL, reason="PostgreSQL's programs")


@pytest.fixture(scope="module")
def tools():
    """Return the folder of the programs of the server that the tests use."""
    return str(_binaries()) if IS_POSTGRESQL else ""


@pytest.fixture
def told(northside):
    """A tenant with a chain of three links."""
    with enter(northside):
        for number in range(2):
            Route.objects.create(name=f"Marsupilami {number}")
    return northside


def run(path, tools, *arguments):
    out, err, status = StringIO(), StringIO(), 0
    try:
        call_command(
            "claimkit_backup", str(path), "--tools", tools, "--format", "json", *arguments,
            stdout=out, stderr=err,
        )  # fmt: skip
    except SystemExit as stop:
        status = stop.code
    return status, json.loads(out.getvalue()), err.getvalue()


def scratches():
    if not IS_POSTGRESQL:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'claimkit_verify%%'")
        return cursor.fetchall()


def test_a_backup_is_restored_and_compared(told, tools, tmp_path, settings):
    settings.CLAIMKIT = {"OPS": {"BACKUP_STATUS": str(tmp_path / "status.json")}}
    assert {one.series: one.value for one in gauges(USING)}[BACKUP_AGE] == math.inf
    status, verified, errors = run(tmp_path / "dump", tools)

    assert (status, errors) == (0, ""), errors
    assert verified["verified"]
    assert verified["rows"] > 2
    assert verified["bytes"] == (tmp_path / "dump").stat().st_size
    manifest = json.loads((tmp_path / "dump.json").read_text())
    (routes,) = [one for name, one in manifest["tables"].items() if "alerts_route" in name]
    assert routes["rows"] == 2
    assert (tmp_path / "dump").stat().st_mode & 0o777 == 0o600
    assert 0 <= {one.series: one.value for one in gauges(USING)}[BACKUP_AGE] < 120
    assert scratches() == []
    assert dt.datetime.fromisoformat(verified["taken_at"]) <= timezone.now()


def test_a_dump_that_was_cut_off_is_told(told, tools, tmp_path):
    path = tmp_path / "dump"
    make_backup(path, using=USING, tools=tools)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    status, answer, errors = run(path, tools, "--verify-only")
    assert (status, answer["verified"]) == (1, False)
    assert "NOT VERIFIED" in errors
    # Even where the manifest was made to agree.
    manifest = json.loads((tmp_path / "dump.json").read_text())
    manifest["bytes"], manifest["sha256"] = backup._summed(path)
    (tmp_path / "dump.json").write_text(json.dumps(manifest))
    status, answer, _ = run(path, tools, "--verify-only")

    assert (status, answer["verified"]) == (1, False)
    assert scratches() == []


def test_rows_that_are_missing_or_different_are_told(told, tools, tmp_path):
    make_backup(tmp_path / "before", using=USING, tools=tools)
    wanted = json.loads((tmp_path / "before.json").read_text())["tables"]
    with enter(told):
        Route.objects.first().delete()
    make_backup(tmp_path / "fewer", using=USING, tools=tools)
    with enter(told):
        Route.objects.create(name="Houba")
    make_backup(tmp_path / "others", using=USING, tools=tools)
    for name, words in (("fewer", "1 rows instead of 2"), ("others", "has other rows")):
        manifest = json.loads((tmp_path / f"{name}.json").read_text())
        (route,) = [one for one in wanted if "alerts_route" in one]
        manifest["tables"][route] = wanted[route]
        (tmp_path / f"{name}.json").write_text(json.dumps(manifest))

        with pytest.raises(BackupFailed, match=words):
            verify_backup(tmp_path / name, using=USING, tools=tools)


def test_a_broken_chain_is_no_sound_backup(told, tools, tmp_path):
    allow_changes(APPEND_ONLY, USING)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE claimkit_audit_auditentry SET action = 'route.gone'")
    refuse_changes(APPEND_ONLY, USING)
    status, answer, _ = run(tmp_path / "dump", tools)

    assert status == 1
    assert "audit chain" in answer["error"]


def test_what_was_not_made_is_another_status(told, tools, tmp_path, monkeypatch):
    (tmp_path / "there").write_text("Marsupilami")
    assert run(tmp_path / "there", tools)[0] == 2
    assert (tmp_path / "there").read_text() == "Marsupilami"
    assert run(tmp_path / "no" / "folder", tools)[0] == 2
    status, answer, _ = run(tmp_path / "nothing", tools, "--verify-only")

    assert (status, answer["verified"]) == (1, False)
    assert "manifest" in answer["error"]


@only_postgresql
def test_a_program_that_is_not_there_is_told(told, tools, tmp_path):
    status, answer, _ = run(tmp_path / "dump", str(tmp_path))
    assert status == 2
    assert "pg_dump is not on this machine" in answer["error"]
    make_backup(tmp_path / "dump", using=USING, tools=tools)

    status, answer, _ = run(tmp_path / "dump", str(tmp_path), "--verify-only")
    assert (status, "pg_restore" in answer["error"]) == (1, True)


@only_postgresql
def test_a_program_that_fails_is_told(told, tools, tmp_path):
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump: error: no space left on device' >&2\nexit 1\n")
    program.chmod(0o755)
    status, answer, _ = run(tmp_path / "dump", str(tmp_path))

    assert status == 2
    assert "no space left" in answer["error"]


@only_postgresql
def test_a_role_that_does_not_see_every_row_cannot_back_up(told, tools, tmp_path):
    """Not a subset without a word."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE claimkit_narrow LOGIN")
        for kind in ("TABLES", "SEQUENCES"):
            cursor.execute(f"GRANT SELECT ON ALL {kind} IN SCHEMA public TO claimkit_narrow")
        cursor.execute("ALTER TABLE claimkit_alerts_route ENABLE ROW LEVEL SECURITY")
    narrow = connection.copy("narrow")
    narrow.settings_dict["USER"] = "claimkit_narrow"
    connections["narrow"] = narrow
    try:
        with pytest.raises(BackupFailed, match=r"row-level security|row security|42501"):
            make_backup(tmp_path / "dump", using="narrow", tools=tools)
    finally:
        narrow.close()
        del connections["narrow"]
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE claimkit_alerts_route DISABLE ROW LEVEL SECURITY")
            cursor.execute("DROP OWNED BY claimkit_narrow")
            cursor.execute("DROP ROLE claimkit_narrow")


@pytest.mark.skipif(IS_POSTGRESQL, reason="SQLite's backup interface")
def test_a_copy_of_sqlite_is_a_database(told, tmp_path):
    make_backup(tmp_path / "copy.sqlite3", using=USING)

    with closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy:
        ((count,),) = copy.execute("SELECT count(*) FROM claimkit_alerts_route").fetchall()
    assert count == 2
