"""Entries that were kept as long as they must be go by month, and the chain still holds."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import IntegrityError, connection, migrations, transaction
from django.db.migrations.state import ProjectState
from django.utils import timezone

from claimkit.errors import StoreError
from claimkit_django import trail
from claimkit_django.audit import record
from claimkit_django.audit.cuts import CUT, last_cut
from claimkit_django.audit.models import AuditEntry
from claimkit_django.audit.verify import verify_chain
from claimkit_django.migrations_kit import PartitionByMonth
from claimkit_django.migrations_kit.partitions import add_months, months_of
from claimkit_django.ops.retention import apply_retention
from claimkit_django.ops.tasks import make_months
from claimkit_django.tenants.holds import place_hold
from tests.projects.database import ROW_LEVEL_SECURITY

TABLE = "claimkit_audit_auditentry"
NOW = dt.datetime(2026, 3, 10, tzinfo=dt.UTC)
CUT_BY_MONTH = PartitionByMonth("claimkit_audit.AuditEntry", "at", widen=["audit_entry_uid"])

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    class Clock:
        now = NOW

    monkeypatch.setattr(timezone, "now", lambda: Clock.now)
    return Clock


@pytest.fixture
def by_month(clock, settings):
    """The trail, cut by month as of March 2026, and to be kept for seven years."""
    if connection.vendor != "postgresql" or ROW_LEVEL_SECURITY:
        pytest.skip("as owner of the tables, on PostgreSQL")
    settings.CLAIMKIT = {**settings.CLAIMKIT, "OPS": {"RETENTION_DAYS": {"audit": 2_557}}}
    migration = migrations.Migration("0001_by_month", "worklists")
    migration.operations, migration.atomic = [CUT_BY_MONTH], False
    with connection.schema_editor(atomic=False) as editor:
        migration.apply(state_now(), editor)
    yield
    # The whole table again, for whoever comes next.
    call_command("migrate", "claimkit_audit", "zero", verbosity=0)
    call_command("migrate", "claimkit_audit", verbosity=0)


def state_now():
    from django.db.migrations.loader import MigrationLoader

    state = MigrationLoader(connection).project_state()
    assert isinstance(state, ProjectState)
    return state


def do(tenant, *targets):
    with transaction.atomic():
        for one in targets:
            trail.record("thing.done", tenant_id=tenant.pk, target=one, using=USING)


def holds(tenant):
    return verify_chain(tenant.pk, now=timezone.now() + dt.timedelta(hours=1), using=USING)


def targets():
    rows = AuditEntry.unscoped.filter(action="thing.done").order_by("pk")
    return list(rows.values_list("target", flat=True))


def later(clock, years):
    add_months(TABLE, ahead=12, using=USING)
    clock.now = NOW.replace(year=NOW.year + years)


def test_months_that_are_old_enough_go_and_the_chain_holds(northside, lakeview, by_month, clock):
    del by_month
    do(northside, "a", "b")
    do(lakeview, "c")
    later(clock, 1)
    add_months(TABLE, using=USING)
    do(northside, "d")
    later(clock, 9)

    dry = apply_retention(using=USING, is_dry_run=True)
    assert targets() == ["a", "b", "c", "d"]
    done = apply_retention(using=USING, is_dry_run=False)

    counts = {(one.tenant, one.rows) for one in done}
    assert counts == {(one.tenant, one.rows) for one in dry}
    # With the line that each tenant was made.
    assert counts == {("northside", 3), ("lakeview", 2), ("northside", 1)}
    assert targets() == []
    for tenant, gone in ((northside, 4), (lakeview, 2)):
        assert holds(tenant).holds
        assert last_cut(tenant.pk, USING).entries == gone
    assert apply_retention(using=USING, is_dry_run=False) == []


def test_younger_months_stay(northside, by_month, clock):
    del by_month
    do(northside, "a")
    clock.now = NOW + dt.timedelta(days=2_557)

    # Of the month after next, up to which the first partition goes.
    assert apply_retention(using=USING, is_dry_run=False) == []
    assert targets() == ["a"]


def test_more_missing_than_went_on_purpose_is_tampering(northside, by_month, clock):
    del by_month
    do(northside, "a", "b")
    later(clock, 1)
    do(northside, "c", "d")
    clock.now = NOW.replace(year=2033, month=6)
    apply_retention(using=USING, is_dry_run=False)
    assert (targets(), holds(northside).holds) == (["c", "d"], True)

    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        cursor.execute(f"DELETE FROM {TABLE} WHERE target = 'c'")

    assert holds(northside).broken.reason == "entry_missing"


def test_an_entry_after_the_cut_that_was_changed_is_found(northside, by_month, clock):
    del by_month
    do(northside, "a")
    later(clock, 1)
    do(northside, "b")
    clock.now = NOW.replace(year=2033, month=6)
    apply_retention(using=USING, is_dry_run=False)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        cursor.execute(f"UPDATE {TABLE} SET target = 'x' WHERE target = 'b'")

    assert holds(northside).broken.reason == "changed"


def test_a_hold_on_one_tenant_keeps_the_month_of_all(northside, lakeview, by_month, clock):
    del by_month
    do(northside, "a")
    do(lakeview, "b")
    place_hold(lakeview, reason="A lawsuit", by="user:7", using=USING)
    later(clock, 8)

    done = apply_retention(using=USING, is_dry_run=False)

    assert {one.is_held for one in done} == {True}
    assert targets() == ["a", "b"]


def test_what_no_link_holds_does_not_go(northside, by_month, clock, monkeypatch):
    del by_month
    with monkeypatch.context() as patch:
        # As if the process had died between the commit and the link.
        patch.setattr(record, "_link_now", lambda *_: None)
        do(northside, "a")
    later(clock, 8)

    with pytest.raises(StoreError, match="in no chain yet"):
        apply_retention(using=USING, is_dry_run=False)
    assert targets() == ["a"]
    call_command("claimkit_audit_verify", "--link", verbosity=0, stdout=StringIO())
    apply_retention(using=USING, is_dry_run=False)
    assert (targets(), holds(northside).holds) == ([], True)


def test_rows_are_refused_changes_in_every_partition(northside, by_month):
    del by_month
    do(northside, "a")

    for table in (TABLE, months_of(TABLE, USING)[0].table):
        for text in (f"DELETE FROM {table}", f"UPDATE {table} SET target = 'x'"):
            with (
                pytest.raises(IntegrityError, match="neither changed nor deleted"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(text)


def test_every_partition_has_the_policy_of_the_table(by_month):
    del by_month
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename, policyname, qual, with_check FROM pg_policies"
            " WHERE tablename LIKE 'claimkit_audit_auditentry%'"
        )
        found = {table: rest for table, *rest in cursor.fetchall()}

    assert found.keys() == {TABLE, *(one.table for one in months_of(TABLE, USING))}
    assert len({tuple(one) for one in found.values()}) == 1


def test_nothing_goes_where_the_table_is_whole(northside, settings, clock):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "OPS": {"RETENTION_DAYS": {"audit": 2_557}}}
    do(northside, "a")
    clock.now = NOW.replace(year=2036)

    assert apply_retention(using=USING, is_dry_run=False) == []
    assert targets() == ["a"]


def found_by_checks():
    found = checks.run_checks(databases=[USING], tags=[checks.Tags.database])
    return [one.id for one in found if one.id in {"claimkit_ops.W009", "claimkit_ops.W010"}]


def test_somebody_is_told_when_months_are_missing(by_month, clock):
    del by_month
    assert found_by_checks() == []
    clock.now = NOW + dt.timedelta(days=100)
    assert found_by_checks() == ["claimkit_ops.W009"]
    assert make_months() == 3
    assert found_by_checks() == []


def test_somebody_is_told_when_nothing_will_ever_go(settings):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "OPS": {"RETENTION_DAYS": {"audit": 2_557}}}

    wanted = ["claimkit_ops.W010"] if connection.vendor == "postgresql" else []
    assert found_by_checks() == wanted


def partitions(*arguments):
    out = StringIO()
    call_command("claimkit_partitions", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_shows_and_makes_months(by_month, clock):
    del by_month
    clock.now = NOW + dt.timedelta(days=31)

    assert "(new)" not in partitions("--dry-run")
    text = partitions()
    assert "claimkit_audit_auditentry_past           the beginning to before 2026-05-01" in text
    assert text.count("(new)") == 1
    told = [json.loads(line) for line in partitions("--format", "json").splitlines()]
    assert [one["first"] for one in told] == [None, *(f"2026-0{at}-01" for at in (5, 6, 7)), None]
    with pytest.raises(CommandError, match="--ahead must be 1 or more"):
        partitions("--ahead", "0")


def test_the_command_says_where_no_table_is_cut():
    assert partitions() == "no table is cut by month\n"


def test_a_cut_is_told_with_what_went(northside, by_month, clock):
    del by_month
    do(northside, "a", "b")
    later(clock, 8)
    apply_retention(using=USING, is_dry_run=False)

    entry = AuditEntry.unscoped.get(action=CUT)
    assert entry.changes["entries"] == {"old": 0, "new": 3}
    assert entry.changes["up_to"] == {"old": 0, "new": 3}
