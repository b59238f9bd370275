"""Which lines need no row, and what is read in their place."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from django.core.management import call_command

from claimkit.claims.ledger import claim_key, statements_in
from claimkit.claims.model import Adjustment, ClaimKind
from claimkit.testing.factories import make_batch, make_claim, make_line
from claimkit.types import TenantKey
from claimkit_django.claims.lines import line_of_event, lines_beside, standing_for_lines
from claimkit_django.claims.models import ClaimEvent, ServiceLine
from claimkit_django.claims.rows import told_by_events
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter
from tests.projects.database import ROW_LEVEL_SECURITY

SAYS_MORE = [
    {"number": "2"},
    {"procedure_system": "NU"},
    {"procedure_code": ""},
    {"modifiers": ("25",)},
    {"revenue_code": "0450"},
    {"units": Decimal("1.5")},
    {"service_to": dt.date(2026, 1, 5)},
    {"billed_procedure": "99215"},
    {"charge": 32_001},
    {"allowed": None},
    {"paid": 0},
    {"adjustments": [Adjustment("CO", "45", 1)]},
    {"remarks": ["N130"]},
]


def events_with(**line):
    claim = make_claim(kind=ClaimKind.CSV, lines=[make_line(**line)])
    said = statements_in([claim], upload="upl_1", known_on=dt.date(2026, 4, 1))
    events = [one.event for one in said]
    return events, [one.lines for one in said], told_by_events(events)


def test_a_line_that_says_what_its_statement_says_is_read_from_the_statement():
    events, lines, told = events_with()

    assert standing_for_lines(told, lines) == [True]
    assert [line_of_event(one) for one in events] == lines[0]
    assert lines_beside(lines, [True]) == [()]


@pytest.mark.parametrize("more", SAYS_MORE, ids=lambda more: next(iter(more)))
def test_a_line_that_says_more_keeps_its_row(more):
    events, lines, told = events_with(**more)

    assert standing_for_lines(told, lines) == [False]
    assert [line_of_event(one) for one in events] != lines[0]
    assert lines_beside(lines, [False]) == lines


@pytest.mark.parametrize(
    "more",
    [one for one in SAYS_MORE if not one.keys() & {"adjustments", "remarks"}],
    ids=lambda more: next(iter(more)),
)
def test_columns_are_judged_as_records_are(more):
    """One line that says more, beside one that does not."""
    pairs = [events_with(**more), events_with()]
    told = told_by_events([one for events, *_ in pairs for one in events])
    lines = [its[0] for _, lines, _ in pairs for its in lines]

    stands = standing_for_lines(told, lambda name: [getattr(one, name) for one in lines])

    assert stands == standing_for_lines(told, [[one] for one in lines]) == [False, True]


def test_a_statement_of_two_lines_or_none_stands_for_neither():
    _, lines, told = events_with()

    assert standing_for_lines(told, [[]]) == [False]
    assert standing_for_lines(told, [[lines[0][0], replace(lines[0][0])]]) == [False]


@pytest.mark.slow
@pytest.mark.skipif(ROW_LEVEL_SECURITY, reason="the application's role owns no table")
@pytest.mark.django_db(transaction=True)
def test_lines_get_their_rows_before_the_mark_goes(northside):
    """Code of the release before reads them there, and so does this one afterwards."""
    tenant, claims = TenantKey(northside.key), open_store().claims
    numbers = [f"PCN-{number}" for number in range(3)]
    claims.add(
        tenant,
        make_batch(
            [make_claim(patient_control_number=one, lines=[make_line()]) for one in numbers]
        ),
        upload="upl_1",
        known_on=dt.date(2026, 4, 1),
    )

    def lines():
        return [claims.lines(tenant, claim_key(one)) for one in numbers]

    def rows():
        with enter(northside):
            marked = ClaimEvent.objects.filter(stands_for_line=True).count()
            return marked, ServiceLine.objects.count()

    before = lines()

    assert before == [[make_line()]] * 3
    assert rows() == (3, 0)

    try:
        call_command("migrate", "claimkit_claims", "0005", verbosity=0)
    finally:
        call_command("migrate", verbosity=0)

    assert rows() == (0, 3)
    assert lines() == before
