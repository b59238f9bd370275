"""Findings, payers and a watch for tests of reports, and a text that tries to be markup."""

from __future__ import annotations

import datetime as dt

from claimkit.drift.findings import Evidence, Recorded, Severity, Signal, Tier
from claimkit.drift.power import PayerState, PayerWatch
from claimkit.drift.watch import WatchReport, WatchState
from claimkit.testing.factories import make_finding
from claimkit.types import TenantKey

AS_OF = dt.date(2026, 3, 20)
GENERATED = dt.datetime(2026, 3, 21, 4, 5, tzinfo=dt.UTC)
WEEKS = tuple(dt.date(2026, 1, 5) + dt.timedelta(days=7 * n) for n in range(10))


def make_evidence(**overrides):
    fields = {
        "days": WEEKS,
        "observed": (0.08, 0.07, 0.09, 0.08, 0.08, 0.07, 0.09, 0.16, 0.18, 0.17),
        "expected": (0.08,) * 10,
        "low": (0.05,) * 10,
        "high": (0.11,) * 10,
        "claims": (100,) * 10,
        "reasons_before": {"authorization_referral": 0.2, "bundling": 0.8},
        "reasons_since": {"authorization_referral": 0.7, "bundling": 0.3},
        "codes_since": {"CO-197": 0.7},
        "groups": {"imaging": (41.0, 12.5, 200), "surgery": (9.0, 8.5, 212)},
    }
    return Evidence(**{**fields, **overrides})


def make_payer(payer="MERIDIAN OF OHIO", **overrides):
    fields = {
        "state": PayerState.WATCHED,
        "since": dt.date(2025, 1, 2),
        "until": dt.date(2026, 3, 19),
        "decisions": 417,
        "denial_rate": 0.0834,
        "smallest_change": 0.0512,
    }
    return PayerWatch(payer=payer, **{**fields, **overrides})


def make_watched(*findings, **overrides):
    fields = {
        "tenant": TenantKey("northside"),
        "as_of": AS_OF,
        "state": WatchState.WATCHING,
        "findings": findings,
        "recorded": Recorded(),
        "payers": (make_payer(),),
        "cells": 9_876,
        "since": dt.date(2025, 1, 2),
        "until": dt.date(2026, 3, 19),
        "scanned_from": dt.date(2026, 1, 24),
        "decisions": 54_321,
    }
    return WatchReport(**{**fields, **overrides})


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
