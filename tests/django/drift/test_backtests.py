from __future__ import annotations

import datetime as dt
import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from claimkit.drift.cube import DECISIONS, INFLOW, Cells
from claimkit.drift.findings import FindingState
from claimkit.errors import FindingUnknown, UnknownName
from claimkit.testing.factories import make_finding
from claimkit.types import TenantKey, day_of
from claimkit_django.drift import tasks
from claimkit_django.drift.backtests import run_backtest
from claimkit_django.drift.models import BacktestRun, Finding
from claimkit_django.drift.runs import dead_runs, run_accept, run_watch
from claimkit_django.runtime import open_store
from claimkit_django.signals import drift_accepted
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

NORTHSIDE = TenantKey("northside")
FIRST, LAST = dt.date(2025, 1, 6), dt.date(2026, 2, 27)
ONSET = dt.date(2025, 12, 1)
PAYERS = ("MERIDIAN", "LAKE MUTUAL", "BOREAL HMO")


@pytest.fixture
def told(northside):
    """Fill the cube: three payers, 40 decisions a weekday each; MERIDIAN denies more since a day."""
    days = [day for day in range(day_of(FIRST), day_of(LAST) + 1) if (day - day_of(FIRST)) % 7 < 5]
    rows = []
    rng = np.random.default_rng(20260303)
    for day in days:
        for payer in PAYERS:
            rate = 0.30 if payer == "MERIDIAN" and day >= day_of(ONSET) else 0.10
            denied = int(rng.binomial(40, rate))
            rows += [(payer, "authorization_referral", "CO-197", day, denied)] if denied else []
            rows.append((payer, "paid", "", day, 40 - denied))
    payer, outcome, reason, decided, claims = zip(*rows, strict=True)
    store = open_store()
    count = np.array(claims)
    store.cube.post(
        NORTHSIDE,
        Cells.from_columns(
            DECISIONS,
            labels={
                "payer": payer,
                "procedure_group": ["imaging"] * len(rows),
                "outcome": outcome,
                "reason": reason,
            },
            numbers={"decided_day": decided, "age_days": [9] * len(rows)},
            measures={
                "claims": count,
                "charge": 10_000 * count,
                "allowed": 8_000 * count,
                "paid": 7_000 * count,
            },
        ).known_on(day_of(LAST)),
    )
    sent = [(name, day - 9) for name in PAYERS for day in days]
    store.cube.post(
        NORTHSIDE,
        Cells.from_columns(
            INFLOW,
            labels={
                "payer": [name for name, _ in sent],
                "procedure_group": ["imaging"] * len(sent),
            },
            numbers={"submitted_day": [day for _, day in sent]},
            measures={"claims": [40] * len(sent), "charge": [400_000] * len(sent)},
        ).known_on(day_of(LAST)),
    )
    return store


def asked(tenant, **fields):
    with enter(tenant):
        return BacktestRun.objects.create(**fields)


def test_a_backtest_keeps_what_past_nights_would_have_told(told, northside):
    run = asked(northside, start=dt.date(2025, 10, 1))

    result = run_backtest(NORTHSIDE, run.uid)

    (alert,) = result.alerts
    assert (alert.segment.payer, alert.detected_on >= ONSET) == ("MERIDIAN", True)
    with enter(northside):
        run.refresh_from_db()
    assert (run.status, run.percent, run.alerts) == ("success", 100, 1)
    assert (run.start, run.end) == (dt.date(2025, 10, 1), LAST)
    (kept,) = [one for one in run.result["findings"] if one["tier"] == "alert"]
    assert (kept["segment"]["payer"], kept["detected_on"]) == (
        "MERIDIAN",
        alert.detected_on.isoformat(),
    )
    assert {one["payer"] for one in run.result["payers"]} == set(PAYERS)
    assert list(told.findings.all(NORTHSIDE)) == []


def test_a_backtest_runs_once(told, northside):
    run = asked(northside)

    assert run_backtest(NORTHSIDE, run.uid) is not None
    assert run_backtest(NORTHSIDE, run.uid) is None


def test_a_backtest_that_fails_says_so(northside, settings):
    settings.CLAIMKIT = {"DRIFT": {"DETECTORS": ["latice"]}}
    run = asked(northside)

    with pytest.raises(UnknownName):
        run_backtest(NORTHSIDE, run.uid)

    with enter(northside):
        run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "unknown_name")
    assert "lattice" in run.error_message


def test_the_task_tells_a_failure_by_the_row_only(northside, settings):
    settings.CLAIMKIT = {"DRIFT": {"DETECTORS": ["latice"]}}
    run = asked(northside)

    assert tasks._backtest(run.uid, "northside") == 0


def test_a_backtest_whose_heart_stopped_is_dead(northside):
    beat = timezone.now() - dt.timedelta(hours=2)
    run = asked(northside, status="running", heartbeat_at=beat)

    assert dead_runs(silent_since=timezone.now() - dt.timedelta(hours=1)) == 1

    with enter(northside):
        run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "run_died")


@pytest.mark.slow
def test_the_command_prints_people_and_machines_a_result(told, northside):
    text, plain = StringIO(), StringIO()
    call_command("claimkit_backtest", "--tenant", "northside", stdout=text)
    arguments = ("--since", "2026-01-01", "--knowledge", "then", "--format", "json")
    call_command("claimkit_backtest", "--tenant", "northside", *arguments, stdout=plain)

    assert "there would have been 1 alert" in text.getvalue()
    result = json.loads(plain.getvalue())
    assert (result["knowledge"], result["start"]) == ("then", "2026-01-01")


@pytest.mark.parametrize(
    "arguments", [("--every", "0"), ("--since", "2026-02-02", "--until", "2026-01-01")]
)
def test_the_command_refuses_nights_that_are_none(northside, arguments):
    with pytest.raises(CommandError):
        call_command("claimkit_backtest", "--all", *arguments)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "done"},
        {"percent": 101},
        {"every_days": 0},
        {"start": dt.date(2026, 2, 2), "end": dt.date(2026, 1, 1)},
        {"status": "success"},
        {"error_code": "x"},
    ],
)
def test_the_database_refuses_what_cannot_be(northside, fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        asked(northside, **fields)


@pytest.mark.slow
def test_an_accepted_finding_is_found_no_more(told, northside):
    run_watch(NORTHSIDE)
    (alert,) = told.findings.open(NORTHSIDE)
    heard = []
    drift_accepted.connect(heard.append, weak=False)

    with enter(northside):
        uid = Finding.objects.get().uid
    accepted = run_accept(NORTHSIDE, uid, by="maria")
    report = run_watch(NORTHSIDE)

    assert accepted.fingerprint == alert.fingerprint
    assert report.findings == ()
    with enter(northside):
        row = Finding.objects.get()
    assert (row.state, row.accepted_by) == (FindingState.ACCEPTED.value, "maria")
    with pytest.raises(FindingUnknown):
        run_accept(NORTHSIDE, uid, by="maria")


def test_the_accept_command_takes_uid_or_fingerprint(northside):
    store = open_store()
    store.findings.record(NORTHSIDE, [make_finding()], as_of=dt.date(2026, 3, 20))
    out = StringIO()

    call_command("claimkit_accept", "fp-marsupilami", "--tenant", "northside", stdout=out)

    assert "accepted as normal" in out.getvalue()
    with pytest.raises(CommandError, match="open finding"):
        call_command("claimkit_accept", "fp-marsupilami", "--tenant", "northside")


def test_the_database_wants_the_day_of_an_acceptance(northside):
    open_store().findings.record(NORTHSIDE, [make_finding()], as_of=dt.date(2026, 3, 20))

    with enter(northside), pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.update(state="accepted")
