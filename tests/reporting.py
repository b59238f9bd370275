"""A tenant with a March in which one payer denies more, as rows."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from claimkit.drift.cube import DECISIONS, Cells
from claimkit.reports.periods import PeriodKind, period_of
from claimkit.testing.factories import make_batch, make_claim, make_evidence, make_finding
from claimkit.types import TenantKey, day_of
from claimkit_django.reports.runs import ask_report, run_report
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

MARCH = period_of(PeriodKind.MONTHLY, dt.date(2026, 3, 1))
FEBRUARY = period_of(PeriodKind.MONTHLY, dt.date(2026, 2, 1))
FOUND = make_finding(
    fingerprint="fp-march",
    payer="Aetna",
    onset=dt.date(2026, 3, 2),
    detected_on=dt.date(2026, 3, 11),
    as_of=dt.date(2026, 3, 31),
    dollars_per_month=4_821_050,
    summary="Aetna denies 21 % of MRI claims instead of 8 %.",
    evidence=make_evidence(),
)


def fill(tenant):
    """Post the cube and the finding of a tenant."""
    rows = [
        (period.first, outcome, count)
        for period, denied in ((FEBRUARY, 8), (MARCH, 40))
        for outcome, count in (("paid", 100 - denied), ("eligibility", denied))
    ]
    day, outcome, claims = zip(*rows, strict=True)
    cells = Cells.from_columns(
        DECISIONS,
        labels={
            "payer": ["Aetna"] * 4,
            "procedure_group": ["imaging"] * 4,
            "outcome": outcome,
            "reason": [""] * 4,
        },
        numbers={"decided_day": [day_of(one) for one in day], "age_days": [9] * 4},
        measures={name: [10_000 * one for one in claims] for name in DECISIONS.measures}
        | {"claims": claims},
    )
    store, key = open_store(), TenantKey(tenant.key)
    with transaction.atomic():
        store.cube.post(key, cells.known_on(day_of(dt.date(2026, 4, 1))))
        store.findings.record(key, [FOUND], as_of=FOUND.as_of)


def add_claims(tenant, count=3, **values):
    """Add claims called A0, A1 and so on."""
    claims = [make_claim(patient_control_number=f"A{at}", **values) for at in range(count)]
    store = open_store()
    with store.atomic():
        store.claims.add(
            TenantKey(tenant.key), make_batch(claims), upload="upl_1", known_on=dt.date(2026, 4, 1)
        )


def ask(tenant, period=MARCH, *, formats=("json",), **more):
    with enter(tenant):
        return ask_report(period, formats=formats, **more)


def make(tenant, period=MARCH, *, clock=None, **more):
    """Return a report that was made."""
    row, _ = ask(tenant, period, **more)
    return run_report(TenantKey(tenant.key), row.uid, clock=clock)
