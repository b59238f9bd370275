"""What a night of detection asks of the database, beside the 73 to 693 statements of what it replaces."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from claimkit.drift.cube import DECISIONS, Cells
from claimkit.drift.watch import WatchState
from claimkit.types import TenantKey, day_of
from claimkit_django.drift.models import Finding
from claimkit_django.drift.runs import run_watch
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

#: With real commits, as at night: what is read once is known then.
pytestmark = pytest.mark.django_db(transaction=True)

NIGHT = dt.date(2026, 3, 20)
#: The system that this one replaces asked 73 for 100,000 claims, and 693 for 1,000,000.
ORIGINAL = 73
_BOUNDS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


@pytest.fixture(autouse=True)
def short_past(settings):
    """Ten weeks of nights tell as much here as a year."""
    settings.CLAIMKIT = {**settings.CLAIMKIT, "DRIFT": {"FIRST_SCAN_DAYS": 70}}


def post(tenant, *, payers, claims, denied_later=None, weeks=60):
    """Post 60 weeks in which each payer denies a tenth of its claims, the first half from week 52 on."""
    denied_later = claims // 2 if denied_later is None else denied_later
    days = [day_of(NIGHT) - 7 * (weeks - week) - 10 for week in range(weeks)]
    rows = []
    for number in range(payers):
        for week, day in enumerate(days):
            denied = denied_later if number == 0 and week >= 52 else claims // 10
            rows += [
                (f"PAYER {number}", "paid", "", day, claims - denied),
                (f"PAYER {number}", "bundling", "CO-97", day, denied),
            ]
    payer, outcome, reason, day, count = (list(column) for column in zip(*rows, strict=True))
    cells = Cells.from_columns(
        DECISIONS,
        labels={
            "payer": payer,
            "procedure_group": ["Imaging: MRI"] * len(rows),
            "outcome": outcome,
            "reason": reason,
        },
        numbers={"decided_day": day, "age_days": [9] * len(rows)},
        measures={
            "claims": count,
            "charge": [10_000 * one for one in count],
            "allowed": [8_000 * one for one in count],
            "paid": [8_000 * one for one in count],
        },
    )
    # Each day was known the day after: a night sees what it could have seen then.
    open_store().cube.post(TenantKey(tenant.key), cells.known_on(day_of(NIGHT) - 1))


def statements(tenant):
    """Return what the first night asks, which goes through all nights before it, and what the next."""
    counts = []
    for night in (NIGHT, NIGHT + dt.timedelta(days=1)):
        with CaptureQueriesContext(connection) as asked:
            run_watch(TenantKey(tenant.key), as_of=night)
        # What begins and ends transactions is no query.
        counts.append(sum(not one["sql"].startswith(_BOUNDS) for one in asked.captured_queries))
    with enter(tenant):
        assert Finding.objects.filter(payer="PAYER 0", signal="denial_rate").exists()
    return counts


def test_the_past_of_a_tenant_without_findings_is_looked_at_once(northside):
    """It was looked at every night, a year of it."""
    post(northside, payers=2, claims=50, denied_later=5)
    reports = [
        run_watch(TenantKey(northside.key), as_of=NIGHT + dt.timedelta(days=night))
        for night in range(2)
    ]

    assert [one.findings for one in reports] == [(), ()]
    assert [(one.as_of - one.scanned_from).days for one in reports] == [69, 55]


def test_the_past_is_looked_at_until_there_is_enough_of_it(northside):
    post(northside, payers=2, claims=50, weeks=5)
    reports = [run_watch(TenantKey(northside.key), as_of=NIGHT) for _ in range(2)]

    assert {one.state for one in reports} == {WatchState.LEARNING}
    assert [(one.as_of - one.scanned_from).days for one in reports] == [69, 69]


def test_a_night_asks_no_more_for_a_hundred_times_the_claims(northside, lakeview):
    post(northside, payers=2, claims=50)
    post(lakeview, payers=2, claims=5_000)
    few, many = statements(northside), statements(lakeview)

    # 6,000 claims and 600,000; a heartbeat may fall into either, and is three statements.
    assert all(more <= less + 6 for less, more in zip(few, many, strict=True)), (few, many)
    assert few[1] <= 0.6 * ORIGINAL, few
