"""Hypothesis strategies: claims whose statements meet, as they do in real files.

Numbers, payers, days and amounts come from small pools, so that records of one batch are about
the same few claims: sent twice, decided, taken back, corrected, told by a second source.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from claimkit.claims.model import Adjustment, Claim, ClaimBatch, ClaimKind, Outcome, ServiceLine
from claimkit.drift.cube import TABLES, Cells
from claimkit.testing.factories import make_batch, make_claim, make_line, make_submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from claimkit.drift.cube import CubeTable

__all__ = ["batches", "cells", "claims", "export_rows", "remittances", "submissions"]

_NUMBERS = st.sampled_from(["PCN-000417", "pcn000417", "ZORGLUB9", "0042", "42"])
_PAYERS = st.sampled_from(
    [
        {"payer_name": "MERIDIAN HEALTH PLAN", "payer_id": "XV:60054", "payer": "MERIDIAN"},
        {"payer_name": "BLUE LAKE MUTUAL INS", "payer_id": "", "payer": "BLUE LAKE MUTUAL"},
    ]
)
_DAYS = st.sampled_from([dt.date(2026, 1, 5) + dt.timedelta(days=n) for n in (0, 1, 9, 30, 75)])
_MAYBE_DAYS = st.none() | _DAYS
_CENTS = st.sampled_from([0, 1, 9_900, 18_500, 32_000])
_ICNS = st.sampled_from(["", "ICN88123", "ICN99001"])
_FREQUENCIES = st.sampled_from(["", "1", "7", "8"])
_PROCEDURES = st.sampled_from(
    [("99214", "evaluation_management"), ("36415", "surgery_cardiovascular"), ("", "")]
)
_DENIALS = st.sampled_from(
    [
        ("authorization_referral", "CO-197", "N54"),
        ("duplicate", "OA-18", "N522"),
        ("missing_info_docs", "CO-16", ""),
    ]
)
_DECIDED = st.sampled_from([Outcome.PAID, Outcome.DENIED, Outcome.PARTIAL, Outcome.ZERO_PAID])
_STATUSES = {
    Outcome.DENIED: ("4",),
    Outcome.REVERSED: ("22",),
    Outcome.OTHER: ("23", "25"),
}


def _lines() -> st.SearchStrategy[list[ServiceLine]]:
    adjustments = st.lists(
        st.builds(
            Adjustment,
            st.sampled_from(["CO", "PR"]),
            st.sampled_from(["45", "197"]),
            _CENTS,
            st.none() | st.decimals(0, 9, places=1),
        ),
        max_size=2,
    )
    line: Callable[..., st.SearchStrategy[ServiceLine]] = st.builds
    return st.lists(
        line(
            make_line,
            number=st.sampled_from(["1", "2", "A-7"]),
            procedure_code=_PROCEDURES.map(lambda pair: pair[0]),
            modifiers=st.sampled_from([(), ("25",), ("26", "TC")]),
            units=st.none() | st.decimals(0, 99, places=2),
            service_from=_MAYBE_DAYS,
            charge=_CENTS,
            allowed=st.none() | _CENTS,
            paid=_CENTS,
            adjustments=adjustments,
            remarks=st.lists(st.sampled_from(["N54", "M15"]), max_size=2),
            position=st.integers(1, 9_999),
        ),
        max_size=3,
    )


@st.composite
def _facts(draw: st.DrawFn, outcomes: st.SearchStrategy[Outcome]) -> dict[str, Any]:
    """Draw the fields that every kind of record has."""
    outcome = draw(outcomes)
    denied = outcome in (Outcome.DENIED, Outcome.PARTIAL)
    category, reason, remark = draw(_DENIALS) if denied else ("", "", "")
    procedure_code, procedure_group = draw(_PROCEDURES)
    return {
        **draw(_PAYERS),
        "patient_control_number": draw(_NUMBERS),
        "frequency": draw(_FREQUENCIES),
        "position": draw(st.integers(1, 9_999)),
        "outcome": outcome,
        "category": category,
        "reason": reason,
        "remark": remark,
        "procedure_code": procedure_code,
        "procedure_group": procedure_group,
        "charge": draw(_CENTS),
        "lines": draw(_lines()),
    }


@st.composite
def submissions(draw: st.DrawFn) -> Claim:
    """Draw a normalized record of an 837P."""
    facts = draw(_facts(st.just(Outcome.PENDING)))
    return make_submission(**facts, submitted_on=draw(_MAYBE_DAYS))


@st.composite
def remittances(draw: st.DrawFn) -> Claim:
    """Draw a normalized record of an 835: a decision, a reversal, or neither."""
    facts = draw(_facts(_DECIDED | st.sampled_from([Outcome.REVERSED, Outcome.OTHER])))
    outcome = facts["outcome"]
    sign = -1 if outcome is Outcome.REVERSED else 1
    facts["charge"] *= sign
    return make_claim(
        **facts,
        status=draw(st.sampled_from(_STATUSES.get(outcome, ("1", "2", "19")))),
        payer_claim_control_number=draw(_ICNS),
        paid=sign * draw(_CENTS) if outcome is not Outcome.DENIED else 0,
        patient_responsibility=sign * draw(_CENTS),
        allowed=draw(st.none() | _CENTS),
        received_on=draw(_MAYBE_DAYS),
        decided_on=draw(_MAYBE_DAYS),
        paid_on=draw(_MAYBE_DAYS),
        payment_reference=draw(st.sampled_from(["", "EFT000731"])),
        ordinal=draw(st.integers(0, 1)),
    )


@st.composite
def export_rows(draw: st.DrawFn) -> Claim:
    """Draw a normalized record of a CSV export: pending, decided, or taken back."""
    facts = draw(_facts(_DECIDED | st.sampled_from([Outcome.PENDING, Outcome.REVERSED])))
    pending = facts["outcome"] is Outcome.PENDING
    return make_claim(
        **facts,
        kind=ClaimKind.CSV,
        status=facts["outcome"].value,
        payer_claim_control_number=draw(_ICNS),
        payment_reference="",
        paid=0 if pending else draw(_CENTS),
        patient_responsibility=draw(_CENTS),
        allowed=draw(st.none() | _CENTS),
        received_on=None,
        submitted_on=draw(_MAYBE_DAYS),
        decided_on=None if pending else draw(_MAYBE_DAYS),
        paid_on=None if pending else draw(_MAYBE_DAYS),
    )


def claims() -> st.SearchStrategy[Claim]:
    """Return a strategy for normalized records of every kind."""
    return submissions() | remittances() | export_rows()


def batches(*, max_size: int = 8) -> st.SearchStrategy[ClaimBatch]:
    """Return a strategy for batches of up to ``max_size`` records that meet."""
    return st.lists(claims(), min_size=1, max_size=max_size).map(make_batch)


@st.composite
def cells(draw: st.DrawFn, table: CubeTable | None = None) -> Cells:
    """Draw up to eight rows of deltas of a cube table, ready to post, keys repeated or not."""
    table = table or draw(st.sampled_from(sorted(TABLES.values(), key=lambda one: one.name)))
    size = draw(st.integers(0, 8))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=size, max_size=size))

    names = st.sampled_from(["", "MERIDIAN", "BLUE LAKE MUTUAL", "Ünïted"])
    return Cells.from_columns(
        table,
        labels={axis: column(names) for axis in table.labels},
        numbers={axis: column(st.integers(-1, 3)) for axis in (*table.numbers, "known_day")},
        measures={name: column(st.integers(-2, 2)) for name in table.measures},
    )
