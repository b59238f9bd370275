"""A database that an earlier claimkit left is brought up to date, and the work goes on.

The dumps are real: ``make.py`` wrote them by that revision's own wheel.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import postgres_url

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REVISIONS = sorted({one.name.partition(".")[0] for one in HERE.glob("*.sql.gz")})


def _fill_sqlite(dump, folder):
    name = folder / "claims.sqlite3"
    with sqlite3.connect(name) as database:
        database.executescript(dump)
    return str(name)


def _fill_postgres(dump, folder):
    psycopg = pytest.importorskip("psycopg")
    name = f"upgrade_{os.getpid()}_{folder.name.lower()}"
    with psycopg.connect(postgres_url(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(postgres_url(), dbname=name, autocommit=True) as database:
        database.execute(dump)
    return name


FILL = {"sqlite": _fill_sqlite, "postgres": _fill_postgres}


@pytest.fixture(
    scope="module",
    params=[(revision, kind) for revision in REVISIONS for kind in FILL],
    ids=lambda one: "-".join(one),
)
def upgraded(request, tmp_path_factory):
    """Fill a database with the dump, upgrade it by today's code, and return what became of it."""
    revision, kind = request.param
    dump = gzip.decompress((HERE / f"{revision}.{kind}.sql.gz").read_bytes()).decode()
    # Before the environment is copied: a server may be started for it.
    name = FILL[kind](dump, tmp_path_factory.mktemp("upgrade"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.upgrades.after"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "CLAIMKIT_TEST_DATABASE": kind,
            "CLAIMKIT_TEST_NAME": name,
        },
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def test_there_is_a_database_of_each_kind():
    assert REVISIONS
    for revision in REVISIONS:
        assert all((HERE / f"{revision}.{kind}.sql.gz").exists() for kind in FILL)


def test_what_is_tried_has_lived(upgraded):
    """Two tenants with claims, a cube, a finding with its alert, webhooks that wait, a trail."""
    counted = upgraded["counted"]

    assert counted["claimkit_tenants_tenant"] == 2
    assert counted["claimkit_claims_claim"] == 240 * 8 + 40 * 8
    assert counted["claimkit_drift_finding"] >= 1
    assert counted["claimkit_alerts_alert"] >= 1
    assert counted["claimkit_drift_cubedecision"] > 100
    assert counted["claimkit_webhooks_delivery"] >= 4
    assert counted["claimkit_audit_auditentry"] > 10


def test_every_row_is_as_it_was(upgraded):
    assert (upgraded["gone"], upgraded["dropped"], upgraded["changed"]) == ([], [], {})


def test_the_same_files_are_the_same_claims(upgraded):
    for tenant, claims in (("northside", "1,920"), ("lakeview", "320")):
        assert f"0 new, 0 changed, {claims} the same" in upgraded["told"][f"import {tenant}"]


def test_what_was_found_is_not_found_again_as_new(upgraded):
    found = upgraded["told"]["watch northside"]

    assert re.search(r"0 new, \d+ worse, \d+ the same, 0 resolved", found)
    assert " 0 worse, 0 the same" not in found


def test_the_cube_is_what_a_rebuild_makes(upgraded):
    assert upgraded["cells"] is True


def test_the_trail_still_holds(upgraded):
    chains = upgraded["audit"]["chains"]

    assert {one["tenant"] for one in chains} == {"northside", "lakeview"}
    assert all(one["holds"] and one["links"] for one in chains)


def test_the_doctor_finds_no_fault_of_the_upgrade(upgraded):
    """What it does find is of these tests: no worker sends what waits, and there is no broker."""
    found = upgraded["doctor"]
    errors = {name for name, one in found.items() if one["level"] == "error"}

    assert (found["database"]["level"], found["migrations"]["level"]) == ("ok", "ok")
    assert errors <= {"alerts", "broker", "drf_spectacular.E001", "webhooks"}


def test_people_sign_in_and_see_what_was_found(upgraded):
    assert set(upgraded["pages"].values()) == {200}
