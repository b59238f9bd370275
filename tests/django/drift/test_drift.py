from __future__ import annotations

import dataclasses
import datetime as dt
import json
import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from claimkit.drift.cube import TABLES
from claimkit.drift.findings import FindingState
from claimkit.errors import TenantUnknown, UnknownName
from claimkit.events import ClaimsChanged
from claimkit.testing.factories import make_batch, make_claim, make_finding
from claimkit.types import Severity, TenantKey, day_of
from claimkit_django.drift import checks
from claimkit_django.drift.models import Finding, WatchRun
from claimkit_django.drift.rows import finding_of, write_finding
from claimkit_django.drift.runs import dead_runs, run_rebuild, run_watch
from claimkit_django.drift.store import CUBE_MODELS
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

NORTHSIDE = TenantKey("northside")
NIGHT = dt.date(2026, 3, 20)


@pytest.fixture
def filled(northside):
    """Fill the tenant with claims through the bus, as an import does."""
    store = open_store()
    bus = make_bus(store)
    claims = [make_claim(patient_control_number=f"SPIP{n}") for n in range(5)]
    with bus.transaction(store.atomic()):
        merged = store.claims.add(NORTHSIDE, make_batch(claims), upload="upl_x", known_on=NIGHT)
        bus.stage(
            ClaimsChanged(
                tenant=NORTHSIDE,
                at=timezone.now(),
                changes=merged.changes,
                known_day=day_of(NIGHT),
            )
        )
    return store


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_mirror_the_cube(name):
    table, model = TABLES[name], CUBE_MODELS[name]
    columns = {field.column for field in model._meta.concrete_fields if field.column}

    assert columns == {
        "tenant_id",
        "known_day",
        *table.labels,
        *table.numbers,
        *table.measures,
    }
    key = [field.attname for field in model._meta.pk_fields]
    assert key[:3] == ["tenant_id", table.day, "known_day"]
    assert set(key) == columns - set(table.measures)


def test_reading_a_table_is_one_query_beside_names_and_tenant(filled, django_assert_num_queries):
    with django_assert_num_queries(3):
        cells = filled.cube.read(NORTHSIDE, TABLES["decisions"])

    assert cells.measures["claims"].sum() == 5


def test_a_rebuild_gives_the_same_cells(filled):
    before = {name: filled.cube.read(NORTHSIDE, table) for name, table in TABLES.items()}

    assert run_rebuild(NORTHSIDE) == 5

    for name, table in TABLES.items():
        after = filled.cube.read(NORTHSIDE, table)
        assert after.names == before[name].names
        for axis, column in after.measures.items():
            assert column.tolist() == before[name].measures[axis].tolist()


def test_a_rebuild_keeps_the_dimensions_that_the_settings_name(filled, settings):
    assert len(filled.cube.read(NORTHSIDE, TABLES["slices"])) == 0
    settings.CLAIMKIT = {"DRIFT": {"DIMENSIONS": ["facility"]}}

    run_rebuild(NORTHSIDE)

    slices = filled.cube.read(NORTHSIDE, TABLES["slices"])
    assert (slices.names["slice"], slices.measures["claims"].tolist()) == (
        ('{"facility":"11"}',),
        [5],
    )


def test_the_rebuild_command_says_how_many_claims(filled):
    out = StringIO()
    call_command("claimkit_rebuild_cube", "--all", stdout=out)

    assert out.getvalue() == "northside: cube rebuilt from 5 claims\n"


def test_every_field_of_a_finding_survives(northside):
    finding = make_finding()
    told = dataclasses.replace(
        finding, told_dollars_per_month=1_234, told_severity=Severity.HIGH, detected_on=NIGHT
    )

    with enter(northside):
        write_finding(Finding(), told, FindingState.OPEN).save()
        assert finding_of(Finding.objects.get()) == told


def test_a_finding_is_open_once(northside):
    store = open_store()
    store.findings.record(NORTHSIDE, [make_finding()], as_of=NIGHT)

    with enter(northside):
        row = Finding.objects.get()
        row.pk, row.uid = None, "fnd_other"
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)
        row.state, row.ended_on = "resolved", NIGHT
        row.save(force_insert=True)
        assert Finding.objects.count() == 2


@pytest.mark.parametrize(
    "values",
    [
        {"state": "forgotten"},
        {"signal": "vibes"},
        {"tier": "rumor"},
        {"severity": "low", "severity_rank": 4},
        {"low": 0.9, "high": 0.1},
        {"claims": -1},
        {"state": "resolved"},
        {"ended_on": NIGHT},
        {"told_dollars": 5, "told_severity_rank": None},
        {"fingerprint": ""},
    ],
)
def test_the_database_keeps_the_promises_of_a_finding(northside, values):
    open_store().findings.record(NORTHSIDE, [make_finding()], as_of=NIGHT)

    with enter(northside), pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.update(**values)


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_make_one_set_and_tell_it_once(northside):
    start, told, problems = threading.Barrier(4), [], []
    findings = [make_finding(), make_finding(payer="FANTASIO", fingerprint="f2")]

    def record():
        try:
            start.wait(30)
            told.append(len(open_store().findings.record(NORTHSIDE, findings, as_of=NIGHT).new))
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert sorted(told) == [0, 0, 0, 2]
    assert Finding.unscoped.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_watches_at_once_both_end_well(filled):
    problems = []

    def look():
        try:
            run_watch(NORTHSIDE, as_of=NIGHT)
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert list(WatchRun.unscoped.values_list("status", flat=True)) == ["success"] * 2


def test_a_watch_keeps_a_row_of_its_run(filled, northside):
    steps = []
    report = run_watch(NORTHSIDE, actor="user:7", progress=lambda *step: steps.append(step))

    with enter(northside):
        run = WatchRun.objects.get()
    assert (run.status, run.actor, run.as_of) == ("success", "user:7", report.as_of)
    assert run.cells == report.cells > 0
    assert run.details["decisions"] == 5
    assert steps


def test_a_watch_that_fails_says_why(northside, settings):
    settings.CLAIMKIT = {"DRIFT": {"DETECTORS": ["crystal_ball"]}}

    with pytest.raises(UnknownName):
        run_watch(NORTHSIDE)

    run = WatchRun.unscoped.get()
    assert (run.status, run.error_code) == ("failed", "unknown_name")
    assert "crystal_ball" in run.error_message


def test_an_unforeseen_failure_is_marked_without_details(northside, monkeypatch):
    from claimkit_django.drift import runs

    monkeypatch.setattr(runs, "watch", lambda **_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run_watch(NORTHSIDE)

    run = WatchRun.unscoped.get()
    assert (run.error_code, run.error_message) == (
        "internal_error",
        "something unexpected stopped the run",
    )


def test_a_tenant_that_nobody_knows_is_not_watched(db):
    with pytest.raises(TenantUnknown):
        run_watch(TenantKey("nowhere"))


def test_runs_without_a_heartbeat_are_dead(northside):
    now = timezone.now()
    with enter(northside):
        for minutes in (5, 120):
            beat = now - dt.timedelta(minutes=minutes)
            WatchRun.objects.create(started_at=beat, heartbeat_at=beat)

    assert dead_runs(silent_since=now - dt.timedelta(hours=1)) == 1
    assert sorted(WatchRun.unscoped.values_list("status", "error_code")) == [
        ("failed", "run_died"),
        ("running", ""),
    ]


def test_the_watch_command_prints_people_and_machines_a_result(filled, lakeview):
    filled.findings.record(NORTHSIDE, [make_finding(as_of=NIGHT)], as_of=NIGHT)
    out = StringIO()
    call_command("claimkit_watch", "--tenant", "northside", "--as-of", "2026-03-20", stdout=out)
    assert out.getvalue().startswith("Northside Hospital, as of 2026-03-20: 0 new")
    assert "a month" in out.getvalue()

    out = StringIO()
    call_command("claimkit_watch", "--all", "--format", "json", stdout=out)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [row["tenant"] for row in rows] == ["lakeview", "northside"]
    assert rows[0]["state"] == "empty"
    assert rows[1]["findings"][0]["fingerprint"] == make_finding().fingerprint


def test_the_watch_command_goes_on_after_a_failure(northside, settings):
    settings.CLAIMKIT = {"DRIFT": {"DETECTORS": ["crystal_ball"]}}
    err = StringIO()

    with pytest.raises(CommandError, match="1 tenants"):
        call_command("claimkit_watch", "--all", stderr=err)

    assert "crystal_ball" in err.getvalue()


@pytest.mark.parametrize("arguments", [(), ("--tenant", "nowhere"), ("--tenant", "")])
def test_the_watch_command_needs_a_tenant(db, arguments):
    with pytest.raises(CommandError):
        call_command("claimkit_watch", *arguments)


def test_checks_name_detectors_and_limits(settings):
    assert checks.check_detectors() == []
    assert checks.check_limits() == []

    settings.CLAIMKIT = {
        "DRIFT": {
            "DETECTORS": ["treshold"],
            "BUDGET": 0,
            "MIN_BASELINE_DAYS": 500,
            "DEAD_ZONE": -0.1,
            "DIMENSIONS": ["facilty"],
        }
    }

    (unknown,) = checks.check_detectors()
    assert (unknown.id, "did you mean 'threshold'" in unknown.msg) == ("claimkit_drift.E001", True)
    assert unknown.hint
    assert [one.id for one in checks.check_limits()] == ["claimkit_drift.E002"] * 4
    settings.CLAIMKIT = {"NOPE": {}}
    assert checks.check_detectors() == checks.check_limits() == []
