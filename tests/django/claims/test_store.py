from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction

from claimkit.errors import StoreError, TenantUnknown
from claimkit.testing.factories import make_batch, make_claim
from claimkit.types import TenantKey
from claimkit_django.bulk import BulkTable, OnConflict, insert_columns
from claimkit_django.claims import models
from claimkit_django.claims.rows import ADJUSTMENTS, CLAIMS, EVENTS, LINES, clean
from claimkit_django.claims.uids import claim_key_of, claim_uid
from claimkit_django.runtime import make_bus, open_store, patient_key, plugins
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

NORTHSIDE = TenantKey("northside")
DAY = dt.date(2026, 4, 1)


def add(claims, *, upload="upl_gaston"):
    return open_store().claims.add(NORTHSIDE, make_batch(claims), upload=upload, known_on=DAY)


def many(count, **values):
    return [make_claim(patient_control_number=f"SPIP{n}", **values) for n in range(count)]


def test_a_batch_is_a_fixed_number_of_statements(northside, django_assert_num_queries):
    from django.test.utils import CaptureQueriesContext

    told = []
    for first, size in ((0, 1), (100, 200), (1_000, 800)):
        claims = [make_claim(patient_control_number=f"Z{first + n}") for n in range(size)]
        with CaptureQueriesContext(connection) as queries:
            add(claims, upload=f"upl_{first}")
        told.append([one["sql"][:60] for one in queries])

    assert len({len(one) for one in told}) == 1, told
    assert len(told[0]) <= 30


@pytest.mark.parametrize(
    ("table", "model"),
    [
        (EVENTS, models.ClaimEvent),
        (CLAIMS, models.Claim),
        (LINES, models.ServiceLine),
        (ADJUSTMENTS, models.Adjustment),
    ],
)
def test_every_column_is_written(table, model):
    columns = {field.column for field in model._meta.concrete_fields if field.column}

    assert set(table.columns) == columns - {"id"}


def test_the_id_of_a_claim_survives_a_change(northside):
    add(many(1))
    with enter(northside):
        before = models.Claim.objects.get()
    add(many(1, status="22", charge=-24_000, paid=-18_500, decided_on=dt.date(2026, 3, 28)))
    with enter(northside):
        after = models.Claim.objects.get()

    assert (after.pk, after.uid) == (before.pk, before.uid)
    assert after.reversals == 1


def test_an_unknown_or_inactive_tenant_takes_nothing(northside):
    northside.active = False
    northside.save()

    with pytest.raises(TenantUnknown), transaction.atomic():
        add(many(1))
    with pytest.raises(TenantUnknown):
        open_store().claims.totals(TenantKey("nowhere"))


def test_text_that_no_database_takes_is_cleaned(northside):
    add([make_claim(patient_control_number="A\0B1", payer="MERI\udcffDIAN\0")])

    found = open_store().claims.find(NORTHSIDE, "AB1")
    assert (found.patient_control_number, found.payer) == ("AB1", "MERI?DIAN")
    assert clean("plain") == "plain"
    assert clean("Ärzte") == "Ärzte"


def test_names_of_a_batch_that_rolled_back_are_not_remembered(northside):
    store = open_store()
    with pytest.raises(LookupError), transaction.atomic():
        store.claims.add(
            NORTHSIDE, make_batch(many(1, payer="NEVER")), upload="upl_a", known_on=DAY
        )
        raise LookupError
    store.claims.add(NORTHSIDE, make_batch(many(1, payer="SEEN")), upload="upl_a", known_on=DAY)

    with enter(northside):
        names = set(models.Dimension.objects.filter(axis="payer").values_list("name", flat=True))
    assert names == {"SEEN"}
    assert store.claims.find(NORTHSIDE, "SPIP0").payer == "SEEN"


def test_claim_uids_are_keys_in_another_alphabet():
    for key in (0, 1, -1, 2**63 - 1, -(2**63), 4_025_040_672_070_339_743):
        assert claim_key_of(claim_uid(key)) == key
    for text in ("", "clm_", "upl_0000000000000", "clm_000000000000u", "clm_zzzzzzzzzzzzz"):
        assert claim_key_of(text) is None


def test_rows_are_added_up_where_they_repeat(northside):
    from claimkit_django.drift.models import CubeInflow

    table = BulkTable(
        name=CubeInflow._meta.db_table,
        columns=(
            "tenant_id",
            "submitted_day",
            "known_day",
            "payer",
            "procedure_group",
            "claims",
            "charge",
        ),
        key=("tenant_id", "submitted_day", "known_day", "payer", "procedure_group"),
    )
    row = (northside.pk, 1, 1, 1, 1, 2, 100)

    with enter(northside):
        insert_columns("default", table, list(zip(row, row, strict=True)), OnConflict.ADD)
        insert_columns("default", table, [[one] for one in row], OnConflict.ADD)
        insert_columns("default", table, [])

    assert CubeInflow.unscoped.get().charge == 300
    with enter(northside), pytest.raises(DatabaseError), transaction.atomic():
        insert_columns("default", table, [[one] for one in row])


def test_columns_of_every_kind_arrive_as_they_were_sent(northside):
    """COPY's text format has its own escapes, and SQLite its own dates."""
    nasty = ["back\\slash \\N", "tab\tand\nline\r", "", 'O\'Brien ☂ ; "quoted"']
    table = BulkTable(name="kinds", columns=("key", "text", "day", "flag", "amount"), key=("key",))
    days = [dt.date(2026, 1, 31), None, dt.date(1970, 1, 1), None]
    flags = [True, False, True, True]
    amounts = [Decimal("1.50"), None, Decimal("-2.25"), Decimal(3)]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE kinds"
            " (key integer PRIMARY KEY, text text, day date, flag boolean, amount numeric(9, 2))"
        )

        for on_conflict in (OnConflict.REFUSE, OnConflict.REPLACE):
            insert_columns(
                "default", table, [[1, 2, 3, 4], nasty, days, flags, amounts], on_conflict
            )

        cursor.execute("SELECT text, day, flag, amount FROM kinds ORDER BY key")
        found = [
            (text, str(day) if day else None, bool(flag), amount and Decimal(str(amount)))
            for text, day, flag, amount in cursor.fetchall()
        ]
        cursor.execute("DROP TABLE kinds")

    assert found == [
        (text, str(day) if day else None, flag, amount)
        for text, day, flag, amount in zip(nasty, days, flags, amounts, strict=True)
    ]


def test_patient_keys_differ_by_tenant_and_follow_the_secret(settings):
    ours, theirs = patient_key(TenantKey("northside")), patient_key(TenantKey("lakeview"))

    assert ours != theirs
    assert patient_key(TenantKey("northside")) == ours
    settings.CLAIMKIT = {"CLAIMS": {"PATIENT_KEY": "another"}}
    assert patient_key(TenantKey("northside")) != ours


def test_a_store_without_a_room_says_which_app_is_missing(monkeypatch):
    from django.apps import apps

    store = open_store()
    monkeypatch.delattr(type(apps.get_app_config("claimkit_drift")), "store_parts")

    assert not store.has("cube")
    with pytest.raises(StoreError, match="no installed app keeps cube"):
        store.cube  # noqa: B018
    make_bus(store)


def test_plugins_load_once_and_again_when_the_setting_changes(settings):
    before = plugins()

    assert plugins() is before
    settings.CLAIMKIT = {"PLUGINS": {"DISABLED": ["x12"]}}
    assert plugins() is not before
