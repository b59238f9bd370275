"""The state of a tenant's data moves with every change, and only when it is committed."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, transaction

from claimkit_django.claims.models import Upload
from claimkit_django.tenants import changes
from claimkit_django.tenants.changes import data_version, note_change
from claimkit_django.tenants.models import DataChange
from claimkit_django.tenants.scope import enter


def state(tenant, *rooms):
    return data_version(tenant.pk, rooms or ("claims",), DEFAULT_DB_ALIAS)


def test_every_way_of_writing_moves_the_state(northside, lakeview, make_upload):
    seen = [state(northside)]
    elsewhere = state(lakeview)
    upload = make_upload(northside)
    seen.append(state(northside))
    with enter(northside):
        upload.name = "renamed.835"
        upload.save()
        seen.append(state(northside))
        Upload.objects.update(name="again.835")
        seen.append(state(northside))
        Upload.objects.bulk_create([Upload(name="two.csv", known_on=dt.date(2026, 4, 12))])
        seen.append(state(northside))
        upload.name = "third.835"
        Upload.objects.bulk_update([upload], ["name"])
        seen.append(state(northside))
        upload.delete()
        seen.append(state(northside))
        Upload.objects.all().delete()
        seen.append(state(northside))

    assert len(set(seen)) == len(seen)
    assert state(lakeview) == elsewhere


def test_a_write_about_all_tenants_moves_the_states_of_those_it_touches(
    northside, lakeview, make_upload
):
    make_upload(northside)
    before = state(northside), state(lakeview)
    Upload.unscoped.filter(name="era_0412.835").update(name="other")

    assert state(northside) != before[0]
    assert state(lakeview) == before[1]


def test_rooms_have_states_of_their_own(northside):
    note_change([northside.pk], "drift", DEFAULT_DB_ALIAS)

    assert state(northside, "claims") == "claims:0"
    assert state(northside, "drift", "claims") == "claims:0,drift:1"


def test_what_is_rolled_back_was_no_change(northside):
    before = state(northside)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        note_change([northside.pk], "claims", DEFAULT_DB_ALIAS)
        assert state(northside) != before
        raise ZeroDivisionError

    assert state(northside) == before


def test_rows_are_folded_and_the_sum_stays(northside, folding):
    for count in range(1, 301):
        note_change([northside.pk], "claims", DEFAULT_DB_ALIAS)
        assert state(northside) == f"claims:{count}"

    assert DataChange.objects.count() <= changes._FOLD == 64


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has one writer at a time")
def test_a_writer_that_commits_late_is_noticed(northside):
    """It began first, so its row has the lower id; the one after it has been seen already."""
    began, may_end = threading.Event(), threading.Event()

    def write_slowly():
        with transaction.atomic():
            note_change([northside.pk], "claims", DEFAULT_DB_ALIAS)
            began.set()
            may_end.wait(30)
        connection.close()

    slow = threading.Thread(target=write_slowly)
    slow.start()
    began.wait(30)
    note_change([northside.pk], "claims", DEFAULT_DB_ALIAS)
    between = state(northside)
    may_end.set()
    slow.join(30)

    assert between == "claims:1"
    assert state(northside) == "claims:2"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has one writer at a time")
def test_writers_that_fold_at_once_lose_nothing(northside, folding):
    def write():
        for _ in range(100):
            note_change([northside.pk], "claims", DEFAULT_DB_ALIAS)
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)

    assert state(northside) == "claims:400"


def test_a_tenant_without_data_can_still_be_deleted(northside):
    note_change([northside.pk], "claims", DEFAULT_DB_ALIAS)
    northside.delete()

    assert not DataChange.objects.exists()
