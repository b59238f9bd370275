"""Claims that come as columns are the same rows and cells as claims that come as records."""

from __future__ import annotations

import random

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from claimkit.claims.mapping import MappingRule, Match, Subject
from claimkit.drift.cube import TABLES
from claimkit.types import TenantKey
from claimkit_django.claims import writing
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.mappings import apply_version, keep_rules
from claimkit_django.claims.models import Claim, RejectedRow, ServiceLine, Upload
from claimkit_django.claims.store import OrmClaimStore
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

HEADER = (
    "Claim ID,Payer,CPT,Modifier,Units,DOS,Submitted,Decided,Check Date,Status,Billed,Allowed,Paid,"
    "Denial Code,Member ID,Facility\n"
)
PAYERS = ("Meridian Health", '"Lakeside, Mutual"', "MERIDIAN HEALTH", "")
MONEY = ("120.00", '"$1,250.00"', "0.00", "", "much", "-5.00")
STATUSES = ("paid", "paid", "paid", "Denied", "pending", "reversed", "who knows", "")


RULES = [
    MappingRule(subject=Subject.PAYER, match=Match.PREFIX, value="Lakeside", target="Lakes"),
    MappingRule(subject=Subject.PROCEDURE_GROUP, match=Match.EXACT, value="99213", target="visit"),
]


def odd_export(seed, count=120, *, amount="120.00"):
    """Return an export: most rows good, some repeated, split over lines, or not to be taken."""
    pick = random.Random(seed)
    rows = []
    for n in range(count):
        odd = pick.random() < 0.15
        number = f"P{n - 1 if odd and pick.random() < 0.3 else n:04}"
        rows.append(
            ",".join(
                [
                    number,
                    pick.choice(PAYERS) if odd else PAYERS[n % 2],
                    pick.choice(["99213", "99213-25", "J1885", "no"]) if odd else "99213",
                    pick.choice(["", "59"]),
                    pick.choice(["", "2", "1.5"]),
                    pick.choice(["2026-01-05", "", "soon"]) if odd else "2026-01-05",
                    "2026-01-06",
                    pick.choice(["", "2026-01-20"]) if odd else f"2026-01-{10 + n % 18}",
                    pick.choice(["", "2026-02-01"]),
                    pick.choice(STATUSES) if odd else "paid",
                    pick.choice(MONEY) if odd else amount,
                    pick.choice(["100.00", ""]),
                    pick.choice(MONEY) if odd else "80.00",
                    pick.choice(["", "CO-197", "CO-45"]) if odd else "",
                    f"M{n % 7}",
                    pick.choice(["Main", "", "call 555-123-4567"]),
                ]
            )
        )
    lines = [HEADER, *(f"{row}\n" for row in rows), f"{rows[5]}\n", '"never closed\n']
    return "".join(lines).encode()


def taken(tenant, make_upload, contents):
    """Import files one after the other; return all that is known afterwards."""
    uploads = [
        make_upload(
            tenant,
            file=ContentFile(content, name="export.csv"),
            bytes_total=len(content),
            name="export.csv",
        )
        for content in contents
    ]
    ended = [run_import(TenantKey(tenant.key), one.uid) for one in uploads]
    store = open_store()
    key = TenantKey(tenant.key)
    places = {one.uid: at for at, one in enumerate(uploads)}
    known = {}
    for batch in store.claims.scan(key):
        for position in batch:
            position.upload = places[position.upload]
            # Tokens are keyed by tenant.
            position.patient_token = bool(position.patient_token)
            events = store.claims.history(key, position.claim_key)
            for one in events:
                one.upload = places[one.upload]
                one.patient_token, one.content = bool(one.patient_token), 0
            known[position.claim_key] = (
                position,
                events,
                store.claims.lines(key, position.claim_key),
            )
    with enter(tenant):
        rejected = list(
            RejectedRow.objects.order_by("upload_id", "ordinal").values_list(
                "ordinal", "position", "code", "message", "remedy", "field_name", "value", "raw"
            )
        )
    counts = [
        [getattr(one, name) for name in ("status", "claims_new", "claims_changed", "claims_same")]
        + [one.statements_same, one.rows_rejected, one.kinds, one.quality, one.sha256]
        for one in ended
    ]
    return known, rejected, counts, {name: cube_of(key, name) for name in TABLES}


def cube_of(tenant, name):
    cells = open_store().cube.read(tenant, TABLES[name])
    return (
        cells.names,
        {axis: column.tolist() for axis, column in cells.labels.items()},
        {
            axis: column.tolist()
            for axis, column in (*cells.numbers.items(), *cells.measures.items())
        },
    )


@pytest.mark.parametrize(
    ("seed", "batch_size", "rules"),
    [(1, 25, []), (2, 25, RULES), (1, 5_000, RULES), (2, 5_000, [])],
)
def test_the_same_whether_claims_come_as_columns_or_as_records(
    seed, batch_size, rules, northside, lakeview, make_upload, settings, monkeypatch
):
    """New claims, the same file again, and a corrected one; with and without the tenant's rules."""
    settings.CLAIMKIT = {
        **settings.CLAIMKIT,
        "CLAIMS": {"BATCH_SIZE": batch_size, "MAX_PROBLEM_SHARE": 1.0},
    }
    files = [odd_export(seed), odd_export(seed), odd_export(seed, amount="130.00")]
    came = []
    add = OrmClaimStore.add
    monkeypatch.setattr(
        OrmClaimStore,
        "add",
        lambda self, tenant, batch, **values: (
            came.append(len(batch.lone or ())) or add(self, tenant, batch, **values)
        ),
    )
    for tenant in (northside, lakeview):
        with enter(tenant):
            kept = keep_rules(rules, actor="test")
        apply_version(TenantKey(tenant.key), kept.uid)
    columns = taken(northside, make_upload, files)

    assert sum(came) > len(files) * 30

    monkeypatch.setattr(OrmClaimStore, "takes_columns", False)
    records = taken(lakeview, make_upload, files)

    assert Upload.unscoped.filter(claims_new__gt=50).count() == 2
    assert columns[1:] == records[1:]
    assert columns[0] == records[0]
    assert {one.payer for one, *_ in columns[0].values()} >= ({"Lakes"} if rules else set())


def services_of(tenant):
    """Return what rooms that count services are told, whoever the patients are."""
    patients = f"SELECT patient_token FROM {connection.ops.quote_name(Claim._meta.db_table)}"
    with enter(tenant), connection.cursor() as cursor:
        cursor.execute(open_store().visits.sql(patients=patients), [tenant.pk])
        return sorted(
            (key, payer, number, code or "", str(day), float(units))
            for _, key, _, payer, number, code, day, units in cursor.fetchall()
        )


@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_whether_lines_have_rows_or_statements_stand_for_them(
    seed, northside, lakeview, make_upload, settings, monkeypatch
):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "CLAIMS": {"MAX_PROBLEM_SHARE": 1.0}}
    plain = odd_export(seed + 10).replace(b",59,", b",,").replace(b",2,", b",,")
    files = [odd_export(seed), plain, odd_export(seed, amount="130.00"), plain]
    stand = taken(northside, make_upload, files)
    services = services_of(northside)
    monkeypatch.setattr(
        writing, "standing_for_lines", lambda events, _: [False] * len(events["claim_key"])
    )
    written = taken(lakeview, make_upload, files)

    rows = {}
    for tenant in (northside, lakeview):
        with enter(tenant):
            rows[tenant.key] = ServiceLine.objects.count()

    assert rows["northside"] < rows["lakeview"] - 20
    assert stand == written
    assert services == services_of(lakeview)
    assert len(services) > 50
