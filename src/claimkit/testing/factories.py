"""Makes small, valid claims, findings, runs and notifications for tests; override what matters.

>>> make_claim(paid=0).patient_control_number
'PCN-000417'
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from claimkit.alerts.channels import Notification, NotificationItem
from claimkit.claims.model import Claim, ClaimBatch, ClaimKind, Outcome, ServiceLine
from claimkit.drift.findings import (
    Evidence,
    Finding,
    Recorded,
    Segment,
    Signal,
    Tier,
)
from claimkit.drift.power import PayerState, PayerWatch
from claimkit.drift.watch import WatchReport, WatchState
from claimkit.types import Severity, TenantKey

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "make_batch",
    "make_claim",
    "make_evidence",
    "make_finding",
    "make_line",
    "make_notification",
    "make_notification_item",
    "make_payer_watch",
    "make_submission",
    "make_watch_report",
]


def make_claim(**overrides: Any) -> Claim:
    """Return a normalized, paid 835 claim of $320.00 that Meridian decided on 2026-02-17.

    ``overrides`` are fields of :class:`~claimkit.claims.model.Claim`. Lists are fresh each time.
    """
    fields: dict[str, Any] = {
        "kind": ClaimKind.REMITTANCE,
        "position": 1,
        "patient_control_number": "PCN-000417",
        "payer_claim_control_number": "ICN88123",
        "frequency": "1",
        "payer_name": "MERIDIAN HEALTH PLAN OF OHIO",
        "payer_id": "XV:60054",
        "payer": "MERIDIAN OF OHIO",
        "billing_npi": "1999999984",
        "filing_indicator": "12",
        "facility": "11",
        "service_from": dt.date(2026, 1, 5),
        "received_on": dt.date(2026, 1, 20),
        "decided_on": dt.date(2026, 2, 17),
        "paid_on": dt.date(2026, 2, 17),
        "status": "1",
        "charge": 32_000,
        "allowed": 21_000,
        "paid": 18_500,
        "patient_responsibility": 2_500,
        "payment_reference": "EFT000731",
        "procedure_code": "99214",
        "procedure_group": "evaluation_management",
        "outcome": Outcome.PAID,
    }
    return Claim(**{**fields, **overrides})


def make_submission(**overrides: Any) -> Claim:
    """Return the 837P of :func:`make_claim`, sent on 2026-01-12."""
    fields: dict[str, Any] = {
        "kind": ClaimKind.PROFESSIONAL,
        "payer_claim_control_number": "",
        "payer_sequence": "P",
        "received_on": None,
        "decided_on": None,
        "paid_on": None,
        "submitted_on": dt.date(2026, 1, 12),
        "status": "",
        "allowed": None,
        "paid": 0,
        "patient_responsibility": 0,
        "payment_reference": "",
        "outcome": Outcome.PENDING,
    }
    return make_claim(**{**fields, **overrides})


def make_line(**overrides: Any) -> ServiceLine:
    """Return a paid service line of $320.00; ``overrides`` are fields of ``ServiceLine``."""
    fields: dict[str, Any] = {
        "number": "1",
        "procedure_code": "99214",
        "service_from": dt.date(2026, 1, 5),
        "charge": 32_000,
        "allowed": 21_000,
        "paid": 18_500,
        "position": 1,
    }
    return ServiceLine(**{**fields, **overrides})


def make_batch(claims: Iterable[Claim] = (), **overrides: Any) -> ClaimBatch:
    """Return a batch of ``claims``, of one paid claim if none are given."""
    return ClaimBatch(claims=list(claims) or [make_claim()], **overrides)


def make_finding(**overrides: Any) -> Finding:
    """Return an open high-severity denial finding of $18,250 a month since 2026-03-02.

    ``payer`` may be given as short for a segment.
    """
    payer = overrides.pop("payer", "MERIDIAN OF OHIO")
    finding = Finding(
        fingerprint="fp-marsupilami",
        signal=Signal.DENIAL_RATE,
        segment=Segment(payer=payer, category="authorization_referral"),
        detector="lattice",
        tier=Tier.ALERT,
        severity=Severity.HIGH,
        onset=dt.date(2026, 3, 2),
        as_of=dt.date(2026, 3, 20),
        unit="share",
        baseline=0.08,
        current=0.17,
        effect=0.09,
        interval=(0.06, 0.12),
        claims=412,
        dollars_per_month=1_825_000,
        score=14.2,
        threshold=9.1,
        summary="MERIDIAN OF OHIO denies 17 % of claims for missing authorization, up from 8 %",
    )
    return replace(finding, **overrides)


def make_evidence(**overrides: Any) -> Evidence:
    """Return ten weeks from 2026-01-05: 8 % of claims denied, and 17 % in the last three."""
    fields: dict[str, Any] = {
        "days": tuple(dt.date(2026, 1, 5) + dt.timedelta(days=7 * week) for week in range(10)),
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


def make_payer_watch(**overrides: Any) -> PayerWatch:
    """Return Meridian, watched since 2025-01-02 with 417 decisions in the last four weeks."""
    fields: dict[str, Any] = {
        "payer": "MERIDIAN OF OHIO",
        "state": PayerState.WATCHED,
        "since": dt.date(2025, 1, 2),
        "until": dt.date(2026, 3, 19),
        "decisions": 417,
        "denial_rate": 0.0834,
        "smallest_change": 0.0512,
    }
    return PayerWatch(**{**fields, **overrides})


def make_watch_report(findings: Iterable[Finding] = (), **overrides: Any) -> WatchReport:
    """Return the run of 2026-03-20 over 54,321 decisions, with these findings open after it."""
    fields: dict[str, Any] = {
        "tenant": TenantKey("northside"),
        "as_of": dt.date(2026, 3, 20),
        "state": WatchState.WATCHING,
        "findings": tuple(findings),
        "recorded": Recorded(),
        "payers": (make_payer_watch(),),
        "cells": 9_876,
        "since": dt.date(2025, 1, 2),
        "until": dt.date(2026, 3, 19),
        "scanned_from": dt.date(2026, 1, 24),
        "decisions": 54_321,
    }
    return WatchReport(**{**fields, **overrides})


def make_notification_item(**overrides: Any) -> NotificationItem:
    """Return a new, high alert of $18,250 a month since 2026-03-02, with a link."""
    fields: dict[str, Any] = {
        "alert": "alr_fantasio",
        "episode": 1,
        "reason": "first",
        "severity": Severity.HIGH,
        "kind": "denial_rate",
        "payer": "MERIDIAN OF OHIO",
        "summary": "MERIDIAN OF OHIO denies 17 % of claims for missing authorization, up from 8 %",
        "onset": dt.date(2026, 3, 2),
        "dollars_per_month": 1_825_000,
        "link": "https://claims.example.org/alerts/alr_fantasio/",
    }
    return NotificationItem(**{**fields, **overrides})


def make_notification(items: Iterable[NotificationItem] = (), **overrides: Any) -> Notification:
    """Return Northside's notification of ``items``, of one new alert if none are given."""
    fields: dict[str, Any] = {
        "id": "ntf_fantasio",
        "tenant_name": "Northside Hospital",
        "items": list(items) or [make_notification_item()],
    }
    return Notification(**{**fields, **overrides})
