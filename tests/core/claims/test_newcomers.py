from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.ledger import facts_of, fold, statements_in
from claimkit.claims.model import ClaimEvent, ClaimPosition, Outcome
from claimkit.claims.newcomers import claim_keys, newcomers
from claimkit.events import FactsChange
from claimkit.testing.factories import make_claim, make_submission
from claimkit.testing.strategies import claims

KNOWN_ON = dt.date(2026, 4, 1)
UPLOAD = "upl_marsupilami"


def split(records, known=()):
    keys = claim_keys(records)
    return newcomers(records, keys, Counter(keys), set(known), upload=UPLOAD, known_on=KNOWN_ON)


def rows_of(kind, columns):
    names = [field.name for field in dataclasses.fields(kind)]

    assert set(columns) == set(names)

    return [
        kind(**dict(zip(names, row, strict=True)))
        for row in zip(*map(columns.get, names), strict=True)
    ]


@given(st.lists(claims(), max_size=12), st.booleans())
def test_columns_are_what_statements_and_fold_say(records, numbered):
    """With numbers of their own most records are newcomers; from the pool they meet."""
    if numbered:
        records = [
            dataclasses.replace(one, patient_control_number=f"ZORGLUB{at}")
            for at, one in enumerate(records)
        ]
    fresh, others = split(records)
    alone = [one for one in records if one not in others]
    said = sorted(
        statements_in(alone, upload=UPLOAD, known_on=KNOWN_ON), key=lambda one: one.event.claim_key
    )
    positions = [fold([one.event]) for one in said]

    assert rows_of(ClaimEvent, fresh.events) == [one.event for one in said]
    assert rows_of(ClaimPosition, fresh.positions) == positions
    assert list(fresh.lines) == [one.lines for one in said]
    assert fresh.changes() == [FactsChange(None, facts_of(one)) for one in positions]


def test_a_claim_that_is_told_twice_or_known_is_no_newcomer():
    twice = make_claim(patient_control_number="PCN-1")
    known = make_claim(patient_control_number="PCN-2")
    alone = make_claim(patient_control_number="PCN-3")
    sent = make_submission(patient_control_number="pcn 1")
    fresh, others = split([twice, known, sent, alone], known=claim_keys([known]))

    assert others == [twice, known, sent]
    assert list(fresh.events["patient_control_number"]) == ["PCN-3"]


def test_what_is_neither_a_decision_nor_a_submission_is_folded_by_the_ledger():
    taken_back = make_claim(status="22", outcome=Outcome.REVERSED)
    fresh, others = split([taken_back])

    assert len(fresh) == 0
    assert others == [taken_back]
