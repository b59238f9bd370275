"""What operations do to others at a hundred thousand rows, beside the naive forms that they replace."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections, migrations, models
from django.db.models import F, Q

from claimkit_django.migrations_kit import (
    AddConstraintSafely,
    AddIndexSafely,
    Backfill,
    Patiently,
    RemoveConstraintSafely,
    RemoveIndexSafely,
)
from claimkit_django.tenants.models import Tenant
from claimkit_django.testing.traffic import LiveTraffic

pytestmark = [pytest.mark.usefixtures("postgres"), pytest.mark.slow]

ROOT = Path(__file__).parents[3]
ROWS = 100_000
#: The naive forms wait for every row: with so many they are over the budget on a fast machine too.
NAIVE_ROWS = 5 * ROWS
BUDGET_MS = 100
#: Noise of a shared machine can only add to a stall: the best of so many runs counts.
ATTEMPTS = 4
TRAFFIC = [
    "SELECT count(*) FROM worklists_case WHERE id BETWEEN 5000 AND 5050",
    "INSERT INTO worklists_case (number, name, priority)"
    " VALUES (1000000 + (random() * 2000000000)::int, md5(random()::text), 1)",
    # A sub-query, or PostgreSQL rolls the dice for each row.
    "UPDATE worklists_case SET number = number WHERE id = (SELECT 1 + (random() * 90000)::int)",
]
UNIQUE = models.UniqueConstraint(fields=["name", "number"], name="case_name_once")
#: As slow to check as a rule over text can be.
CHECK = models.CheckConstraint(
    condition=Q(name__regex="^(a|b|c|[a-z ])*[0-9a-f]*$"), name="case_name_form"
)
INDEX = models.Index(fields=["name", "number"], name="case_by_name")
COLUMN = migrations.AddField("case", "owner", models.TextField(null=True))
ALL = Q(priority__isnull=False)


def run_python(apps, _editor):
    apps.get_model("worklists", "Case").objects.update(priority=F("priority") + 10)


OPERATIONS = {
    "unique": (
        AddConstraintSafely("case", UNIQUE),
        migrations.AddConstraint("case", UNIQUE),
    ),
    "check": (AddConstraintSafely("case", CHECK), migrations.AddConstraint("case", CHECK)),
    "index": (AddIndexSafely("case", INDEX), migrations.AddIndex("case", INDEX)),
    "backfill": (
        Backfill("case", where=Q(priority__lt=10), values={"priority": F("priority") + 10}),
        migrations.RunPython(run_python),
    ),
}
BEHIND_A_READER = {
    "add field": (Patiently(COLUMN), COLUMN),
    "remove constraint": (
        RemoveConstraintSafely("case", "case_name_once"),
        migrations.RemoveConstraint("case", "case_name_once"),
    ),
}


@contextmanager
def reader(seconds):
    """Somebody who reads the table and then does nothing, in a transaction that stays open."""
    reads, ended = threading.Event(), threading.Event()

    def read():
        other = connections["default"]
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM worklists_case WHERE id = 1")
        reads.set()
        ended.wait(seconds)
        other.rollback()
        other.close()

    thread = threading.Thread(target=read)
    thread.start()
    reads.wait()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def stall_of(worklist, operation, *, reading_seconds=0.0):
    with LiveTraffic(TRAFFIC) as traffic:
        if reading_seconds:
            with reader(reading_seconds):
                worklist.apply(operation)
        else:
            worklist.apply(operation)
    assert traffic.errors == []
    return traffic.longest_ms


def best_stall_of(worklist, operation, *, reading_seconds=0.0):
    stalls = []
    for _ in range(ATTEMPTS):
        stalls.append(stall_of(worklist, operation, reading_seconds=reading_seconds))
        if stalls[-1] <= BUDGET_MS:
            break
        worklist.unapply(operation)
    return min(stalls)


@pytest.mark.parametrize("kind", OPERATIONS)
def test_nobody_waits_for_an_operation_of_the_kit(worklist, kind):
    worklist.fill(ROWS)

    assert best_stall_of(worklist, OPERATIONS[kind][0]) <= BUDGET_MS


@pytest.mark.parametrize("kind", OPERATIONS)
def test_the_harness_notices_the_naive_form(worklist, kind):
    worklist.fill(NAIVE_ROWS)

    assert stall_of(worklist, OPERATIONS[kind][1]) > BUDGET_MS


@pytest.mark.parametrize("kind", BEHIND_A_READER)
def test_nobody_queues_behind_an_operation_of_the_kit(worklist, kind):
    worklist.apply(migrations.AddConstraint("case", UNIQUE))
    worklist.fill(1_000)

    stall = best_stall_of(worklist, BEHIND_A_READER[kind][0], reading_seconds=1.0)

    assert stall <= BUDGET_MS


@pytest.mark.parametrize("kind", BEHIND_A_READER)
def test_the_harness_notices_a_queue(worklist, kind):
    worklist.apply(migrations.AddConstraint("case", UNIQUE))
    worklist.fill(1_000)

    assert stall_of(worklist, BEHIND_A_READER[kind][1], reading_seconds=1.0) > BUDGET_MS


def test_dropping_an_index_makes_nobody_wait(worklist):
    worklist.apply(migrations.AddIndex("case", INDEX))
    worklist.fill(ROWS)

    assert best_stall_of(worklist, RemoveIndexSafely("case", "case_by_name")) <= BUDGET_MS


def fill_claims(tenant):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO claimkit_claims_claim (tenant_id, claim_key, patient_control_number,"
            " payer_claim_control_number, authorization_number, patient_token, frequency,"
            " payer, procedure_code, procedure_group, facility, line_of_business, provider,"
            " category, reason, remark, first_category, first_reason, upload, outcome,"
            " first_outcome, listed_on, charge, paid, patient_responsibility, reversals,"
            " has_submission, has_decision, first_pass, position)"
            " SELECT %s, n, 'pcn' || n, '', '', '', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,"
            " date '2026-01-01' + (n %% 300)::int, 100, 0, 0, 0, true, false, true, 0"
            " FROM generate_series(1, %s) AS n",
            [tenant.pk, ROWS],
        )
        cursor.execute(
            "INSERT INTO claimkit_drift_cubeinflow (tenant_id, submitted_day, known_day, payer,"
            " procedure_group, claims, charge) SELECT %s, n / 100, n / 100 + 5, n %% 100, 0, 1, 5"
            " FROM generate_series(1, %s) AS n",
            [tenant.pk, ROWS],
        )


def migrate_elsewhere():
    """Migrate in a process of its own: building models keeps the interpreter from others."""
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CLAIMKIT_TEST_NAME": connection.settings_dict["NAME"],
        },
        check=True,
        timeout=240,
    )


def test_our_own_migrations_make_nobody_wait(transactional_db):
    tenant = Tenant.objects.create(key="northside", name="Northside Hospital")
    fill_claims(tenant)
    traffic_of_ours = [
        "SELECT count(*) FROM claimkit_claims_claim WHERE claim_key BETWEEN 500 AND 600",
        "UPDATE claimkit_claims_claim SET paid = paid + 1"
        " WHERE claim_key = (SELECT 1 + (random() * 90000)::int)",
        "UPDATE claimkit_drift_cubeinflow SET charge = charge + 1"
        " WHERE submitted_day = (SELECT (random() * 900)::int)",
        "UPDATE claimkit_tenants_tenant SET updated_at = now()",
    ]
    stalls = []
    try:
        for _ in range(ATTEMPTS):
            call_command("migrate", "claimkit_claims", "0001", verbosity=0)
            call_command("migrate", "claimkit_drift", "0002", verbosity=0)
            with LiveTraffic(traffic_of_ours) as traffic:
                migrate_elsewhere()
            assert traffic.errors == []
            stalls.append(traffic.longest_ms)
            if stalls[-1] <= BUDGET_MS:
                break
    finally:
        call_command("migrate", verbosity=0)

    assert min(stalls) <= BUDGET_MS, stalls
