"""Rows that lost the one they belong to are found, and nothing else is."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from claimkit.claims import model
from claimkit.ops.health import Status
from claimkit.testing.factories import make_batch, make_claim, make_line
from claimkit.types import TenantKey
from claimkit_django.claims.integrity import row_checks
from claimkit_django.claims.models import Adjustment, Claim, ClaimEvent, ServiceLine
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db


@pytest.fixture
def claims(northside, lakeview):
    """Claims of two tenants: a line with an adjustment, and a line that needs no row."""
    for tenant in (northside, lakeview):
        open_store().claims.add(
            TenantKey(tenant.key),
            make_batch(
                [
                    make_claim(lines=[make_line(adjustments=[model.Adjustment("CO", "45", 1)])]),
                    make_claim(patient_control_number="PCN-2", lines=[make_line()]),
                ]
            ),
            upload="upl_1",
            known_on=make_claim().decided_on,
        )
    return northside


def looked():
    (check,) = row_checks("default")
    return check.look()


def without(tenant, model, **which):
    """Remove rows as other hands would, and what belongs to them stays."""
    with enter(tenant), connection.cursor() as cursor:
        where = " AND ".join(f"{name} = %s" for name in which)
        cursor.execute(
            f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)} WHERE tenant_id = %s"
            + (f" AND {where}" if where else ""),
            [tenant.pk, *which.values()],
        )
        return cursor.rowcount


def test_rows_that_belong_together_are_well(claims):
    assert looked().status is Status.OK
    assert looked().figures == {}


@pytest.mark.parametrize(
    ("gone", "found"),
    [
        (Claim, {"statements_without_claim": 2}),
        (ClaimEvent, {"lines_without_statement": 1, "claims_without_statement": 2}),
        (ServiceLine, {"adjustments_without_line": 1}),
        (Adjustment, {}),
    ],
)
def test_orphans_of_each_kind_are_counted(gone, found, claims):
    assert without(claims, gone) > 0

    vital = looked()

    assert vital.figures == found
    assert vital.status is (Status.FAILING if found else Status.OK)


def test_a_line_that_is_told_twice_is_found(claims):
    with enter(claims):
        alone = ClaimEvent.objects.get(stands_for_line=True)
        ServiceLine.objects.create(
            tenant=claims, claim_key=alone.claim_key, event_key=alone.event_key, ordinal=0
        )

    assert looked().figures == {"lines_told_twice": 1}


def test_the_doctor_looks_at_rows_where_asked(claims):
    without(claims, Claim)
    told = {}
    for rows in (False, True):
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("claimkit_doctor", format="json", rows=rows, stdout=out)
        told[rows] = {one["check"]: one for one in json.loads(out.getvalue())["findings"]}

    assert "claim_rows" not in told[False]
    assert told[True]["claim_rows"]["level"] == "error"
    assert "statements_without_claim 2" in told[True]["claim_rows"]["told"]
