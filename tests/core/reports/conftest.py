"""A report with everything in it, and one in which every name tries to be markup."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from claimkit.drift.findings import Segment, Signal, Tier
from claimkit.drift.power import PayerState
from claimkit.reports.compose import Volume, compose
from claimkit.reports.sections import FileSummary
from claimkit.testing.factories import (
    make_evidence,
    make_finding,
    make_payer_watch,
    make_watch_report,
)
from claimkit.types import Severity

GENERATED = dt.datetime(2026, 3, 21, 4, 5, tzinfo=dt.UTC)
DENIALS = make_finding(
    evidence=make_evidence(),
    why=("score 14.2 passed 9.1", "one budget for 1,400 streams"),
    detected_on=dt.date(2026, 3, 9),
    preliminary=False,
)
SLOWER = make_finding(
    fingerprint="fp-slower",
    payer="LAKE MUTUAL",
    signal=Signal.DECISION_TIME,
    severity=Severity.MEDIUM,
    unit="days",
    baseline=14.0,
    current=21.5,
    effect=7.5,
    interval=(5.25, 9.75),
    dollars_per_month=4_200_000,
    evidence=make_evidence(
        observed=(14.0,) * 7 + (18.0, 21.0, 21.5),
        expected=(14.0,) * 10,
        low=(12.0,) * 10,
        high=(16.0,) * 10,
        reasons_before={},
        reasons_since={},
    ),
    summary="LAKE MUTUAL decides 7.5 days later",
)
UNDERPAID = make_finding(
    fingerprint="fp-underpaid",
    payer="ZORGLUB HEALTH",
    signal=Signal.ALLOWED_AMOUNT,
    unit="log_ratio",
    baseline=-0.6,
    current=-0.7,
    effect=-0.105360516,
    interval=(-0.223143551, -0.051293294),
    dollars_per_month=900_000,
    evidence=make_evidence(
        observed=(-0.6,) * 7 + (-0.7,) * 3,
        expected=(-0.6,) * 10,
        low=(-0.65,) * 10,
        high=(-0.55,) * 10,
    ),
    summary="ZORGLUB HEALTH allows 10 % less",
)
WATCHED = make_finding(
    fingerprint="fp-watch",
    payer="SPIP",
    tier=Tier.WATCH,
    severity=Severity.LOW,
    dollars_per_month=12_345,
    summary="SPIP may deny more",
)
HOSTILE = "</h2><script>alert(1)</script>\"' onload=x & =cmd|' /C calc'!A0"


@pytest.fixture
def report():
    """Return a report of three alerts, a watch list, two files and two payers."""
    return compose(
        tenant_name="Northside Clinic",
        watched=make_watch_report(
            [DENIALS, SLOWER, UNDERPAID, WATCHED],
            payers=(
                make_payer_watch(),
                make_payer_watch(payer="SPIP", state=PayerState.SPARSE, smallest_change=None),
            ),
        ),
        generated_at=GENERATED,
        volume=Volume(claims=60_123, pending=5_802, charge=1, paid=1),
        files=[
            FileSummary(name="era_0412.835", claims=4_000, rejected=0),
            FileSummary(
                name="export.csv",
                claims=1_200,
                rejected=3,
                notices=(("duplicate_row", 1_017), ("unknown_column", 2)),
            ),
        ],
    )


@pytest.fixture
def hostile():
    """Return a report in which every text that comes from outside tries to be markup."""
    evil = replace(
        DENIALS,
        segment=Segment(payer=HOSTILE, procedure_groups=(HOSTILE,), category=HOSTILE),
        summary=HOSTILE,
        why=(HOSTILE,),
        evidence=make_evidence(
            reasons_before={HOSTILE: 1.0}, reasons_since={HOSTILE: 1.0}, groups={HOSTILE: (1, 1, 2)}
        ),
    )
    return compose(
        tenant_name=HOSTILE,
        watched=make_watch_report(
            [
                evil,
                replace(evil, fingerprint="fp-2"),
                replace(evil, fingerprint="fp-3", tier=Tier.WATCH),
            ],
            payers=(make_payer_watch(payer=HOSTILE),),
        ),
        generated_at=GENERATED,
        files=[FileSummary(name=HOSTILE, claims=1, rejected=1, notices=((HOSTILE, 1),))],
    )
