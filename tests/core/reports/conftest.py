"""A report with everything in it, and one in which every name tries to be markup."""

from __future__ import annotations

from dataclasses import replace

import pytest

from claimkit.drift.findings import Segment, Tier
from claimkit.drift.power import PayerState
from claimkit.reports.compose import FileSummary, Volume, compose
from tests.core.reports.examples import (
    DENIALS,
    GENERATED,
    HOSTILE,
    SLOWER,
    UNDERPAID,
    WATCHED,
    make_evidence,
    make_payer,
    make_watched,
)


@pytest.fixture
def report():
    """Return a report of three alerts, a watch list, two files and two payers."""
    return compose(
        tenant_name="Northside Clinic",
        watched=make_watched(
            DENIALS,
            SLOWER,
            UNDERPAID,
            WATCHED,
            payers=(
                make_payer(),
                make_payer("SPIP", state=PayerState.SPARSE, smallest_change=None),
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
        watched=make_watched(
            evil,
            replace(evil, fingerprint="fp-2"),
            replace(evil, fingerprint="fp-3", tier=Tier.WATCH),
            payers=(make_payer(HOSTILE),),
        ),
        generated_at=GENERATED,
        files=[FileSummary(name=HOSTILE, claims=1, rejected=1, notices=((HOSTILE, 1),))],
    )
