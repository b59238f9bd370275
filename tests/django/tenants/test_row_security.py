"""The second wall: what the database itself refuses, whatever the application asks for."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import nullcontext

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import QuerySet, Sum

from claimkit.tenants import use_tenant
from claimkit_django.claims.models import RejectedRow, Upload
from claimkit_django.tenants.checks import check_row_security
from claimkit_django.tenants.policies import disable, enable, inventory
from claimkit_django.tenants.scope import across_tenants, enter

DAY = dt.date(2026, 4, 12)
TABLE = Upload._meta.db_table


@pytest.fixture
def ours(northside, make_upload):
    return make_upload(northside, name="ours.csv", bytes_total=5)


@pytest.fixture
def theirs(lakeview, make_upload):
    return make_upload(lakeview, name="theirs.csv", bytes_total=20)


def names():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT name FROM {TABLE} ORDER BY name")
        return [name for (name,) in cursor.fetchall()]


class _AsOwner:
    """For the block, be the role that made the tables."""

    def __enter__(self):
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")

    def __exit__(self, *_error):
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE claimkit_app")


def test_sql_text_sees_the_rows_of_its_tenant_only(second_wall, northside, lakeview, ours, theirs):
    assert names() == []
    with enter(northside):
        assert names() == ["ours.csv"]
    with use_tenant(lakeview.key):
        assert names() == ["theirs.csv"]
    with use_tenant("nobody"):
        assert names() == []
    with across_tenants():
        assert names() == ["ours.csv", "theirs.csv"]
        with enter(northside):
            assert names() == ["ours.csv"]
    assert names() == []


def test_the_tenant_changes_within_a_transaction(second_wall, northside, lakeview, ours, theirs):
    with transaction.atomic():
        assert names() == []
        with enter(northside):
            assert names() == ["ours.csv"]
            with enter(lakeview):
                assert names() == ["theirs.csv"]
            assert names() == ["ours.csv"]
        assert names() == []


def test_a_savepoint_that_is_rolled_back_takes_nothing_along(
    second_wall, northside, lakeview, ours, theirs
):
    with transaction.atomic(), enter(northside):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            assert names() == ["ours.csv"]
            raise ZeroDivisionError
        assert names() == ["ours.csv"]
        with pytest.raises(DatabaseError), transaction.atomic(), enter(lakeview):
            assert names() == ["theirs.csv"]
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        assert names() == ["ours.csv"]


def test_nothing_is_left_on_the_connection(second_wall, northside, ours):
    def told():
        # The driver's cursor: nobody tells anything on the way.
        with connection.connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('claimkit.tenant', true)")
            return cursor.fetchone()[0]

    with enter(northside):
        with transaction.atomic():
            names()
            assert told() == str(northside.pk)
        assert not told()
        names()
        assert not told()


def test_a_pooled_connection_forgets_its_tenant(second_wall, northside, lakeview, ours, theirs):
    """Two users of the same server connection, one after the other, in threads of their own."""
    connection.close()
    before = connection.settings_dict.copy()
    # As a server is used: the application's role logs in. (Django cannot take on a role in a pool.)
    connection.settings_dict["USER"] = before["OPTIONS"]["assume_role"]
    connection.settings_dict["OPTIONS"] = {"pool": {"min_size": 1, "max_size": 1}}
    seen = {}

    def work(name, tenant):
        with enter(tenant) if tenant else nullcontext():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pid = cursor.fetchone()[0]
            seen[name] = (pid, names())
        connection.close()

    try:
        for name, tenant in (("first", northside), ("nobody", None), ("last", lakeview)):
            thread = threading.Thread(target=work, args=(name, tenant))
            thread.start()
            thread.join()
    finally:
        connection.close_pool()
        connection.settings_dict.update(before)

    assert [seen[name][1] for name in ("first", "nobody", "last")] == [
        ["ours.csv"],
        [],
        ["theirs.csv"],
    ]
    assert len({pid for pid, _ in seen.values()}) == 1


def test_a_queryset_runs_for_the_tenant_it_was_made_for(
    second_wall, northside, lakeview, ours, theirs
):
    with enter(northside):
        rows = Upload.objects.all()

    assert [row.name for row in rows.all()] == ["ours.csv"]
    with enter(lakeview), transaction.atomic():
        assert [row.name for row in rows.iterator(chunk_size=1)] == ["ours.csv"]
        assert names() == ["theirs.csv"]
    assert rows.filter(name="theirs.csv").update(name="x") == 0


def test_unscoped_code_sees_every_tenant(second_wall, ours, theirs):
    assert Upload.unscoped.count() == 2
    assert len(list(Upload.unscoped.raw(f"SELECT * FROM {TABLE}"))) == 2
    assert len(list(Upload.unscoped.iterator(chunk_size=1))) == 2
    assert Upload.unscoped.filter(name="theirs.csv").update(name="renamed") == 1
    RejectedRow.unscoped.bulk_create(
        [
            RejectedRow(tenant_id=one.tenant_id, upload=one, ordinal=0, position=1, code="c")
            for one in (ours, theirs)
        ]
    )
    assert RejectedRow.unscoped.all().delete()[0] == 2
    assert names() == []


def test_rows_of_another_tenant_are_not_written(second_wall, northside, ours, theirs):
    with enter(northside), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET name = 'stolen'")
        assert cursor.rowcount == 1
        cursor.execute(f"DELETE FROM {TABLE} WHERE id = %s", [theirs.pk])
        assert cursor.rowcount == 0
        with pytest.raises(DatabaseError, match="row-level security"):
            cursor.execute(f"UPDATE {TABLE} SET tenant_id = %s", [theirs.tenant_id])

    assert set(Upload.unscoped.values_list("name", flat=True)) == {"stolen", "theirs.csv"}


#: Ways at the other tenant's row that the ORM's wall closes; here by rows of Django's own queryset.
PROBES = {
    "all": lambda rows, _: [row.name for row in rows.all()] == ["ours.csv"],
    "count": lambda rows, _: rows.count() == 1,
    "aggregate": lambda rows, _: rows.aggregate(n=Sum("bytes_total"))["n"] == 5,
    "iterator": lambda rows, _: [row.name for row in rows.iterator()] == ["ours.csv"],
    "union": lambda rows, _: (
        len(rows.order_by().union(rows.filter(bytes_total=20).order_by())) == 1
    ),
    "get": lambda rows, theirs: not rows.filter(pk=theirs.pk).exists(),
    "sub-query": lambda rows, _: rows.filter(pk__in=rows.values("pk")).count() == 1,
    "update": lambda rows, theirs: rows.filter(pk=theirs.pk).update(name="stolen") == 0,
    "delete": lambda rows, theirs: rows.filter(pk=theirs.pk).delete()[0] == 0,
}


@pytest.mark.parametrize("wall", ["scope", "policies"])
@pytest.mark.parametrize("probe", PROBES)
def test_one_wall_is_enough(second_wall, northside, ours, theirs, wall, probe):
    """With either of the two walls taken down, the other one keeps tenants apart."""
    if wall == "scope":
        with _AsOwner():
            disable("default")
    try:
        with enter(northside):
            # Django's own queryset knows nothing of tenants.
            rows = Upload.objects.all() if wall == "scope" else QuerySet(Upload)
            assert PROBES[probe](rows, theirs)
    finally:
        with _AsOwner():
            enable("default")

    assert Upload.unscoped.get(pk=theirs.pk).name == "theirs.csv"


@pytest.mark.parametrize("probe", ["all", "count", "aggregate", "update", "delete"])
def test_without_both_walls_rows_leak(second_wall, northside, ours, theirs, probe):
    """The probes above can fail."""
    with _AsOwner():
        disable("default")
        try:
            with enter(northside):
                assert not PROBES[probe](QuerySet(Upload), theirs)
        finally:
            enable("default")


@pytest.mark.django_db
def test_a_foreign_key_does_not_lead_to_another_tenant(northside, ours, theirs):
    """Foreign keys are checked past every policy; the tenant is part of them."""
    row = {"ordinal": 0, "position": 1, "kind": "csv", "code": "c", "message": "m"}
    with enter(northside):
        with pytest.raises(IntegrityError), transaction.atomic():
            RejectedRow.objects.create(upload_id=theirs.pk, **row)
            # SQLite looks when the transaction ends.
            connection.check_constraints()
        RejectedRow.objects.create(upload=ours, **row)
        connection.check_constraints()


def test_an_inventory_tells_what_holds(second_wall):
    walls = inventory("default")

    assert {one.model for one in walls} >= {"claimkit_claims.Claim", "claimkit_drift.Finding"}
    assert [one.model for one in walls if not one.holds] == []
    assert check_row_security(databases=["default"]) == []


def test_a_table_without_policy_is_refused(second_wall):
    with _AsOwner(), connection.cursor() as cursor:
        cursor.execute(f"DROP POLICY claimkit_tenant ON {TABLE}")
        found = check_row_security(databases=["default"])
        with pytest.raises(CommandError, match=r"no policy: claimkit_claims\.Upload"):
            call_command("claimkit_row_security", "enable")
        cursor.execute(f"CREATE POLICY open ON {TABLE}")
        widened = check_row_security(databases=["default"])
        cursor.execute(f"DROP POLICY open ON {TABLE}")
        call_command("migrate", "claimkit_claims", "0001", verbosity=0, skip_checks=True)
        call_command("migrate", "claimkit_claims", verbosity=0, skip_checks=True)

    assert [(one.id, one.obj) for one in found] == [
        ("claimkit_tenants.E007", "claimkit_claims.Upload"),
        ("claimkit_tenants.W002", None),
    ]
    assert [one.id for one in widened] == ["claimkit_tenants.E008", "claimkit_tenants.W002"]
    assert check_row_security(databases=["default"]) == []


def test_the_command_shows_enables_and_disables(second_wall, capsys):
    with _AsOwner():
        call_command("claimkit_row_security", "disable")
        assert f"disabled on {TABLE}" in capsys.readouterr().out
        call_command("claimkit_row_security", "status")
        assert "open   claimkit_claims.Upload  not enabled; not forced" in capsys.readouterr().out
        call_command("claimkit_row_security", "enable")
        assert f"enabled on {TABLE}" in capsys.readouterr().out
        call_command("claimkit_row_security", "status")
        assert "holds  claimkit_claims.Upload\n" in capsys.readouterr().out


def test_policies_are_not_enabled_where_nobody_tells_a_tenant(second_wall, settings):
    settings.CLAIMKIT = {}

    with pytest.raises(CommandError, match="ROW_LEVEL_SECURITY"):
        call_command("claimkit_row_security", "enable")


@pytest.mark.django_db
def test_other_databases_have_no_policies():
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL has them")

    assert inventory("default") == []
    with pytest.raises(CommandError, match="not a PostgreSQL database"):
        call_command("claimkit_row_security", "status")
