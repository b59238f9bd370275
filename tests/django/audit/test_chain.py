"""The chain: one per tenant, never forked, and broken by whatever is done to it."""

from __future__ import annotations

import datetime as dt
import json
import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from claimkit.audit import BEGINNING, Head
from claimkit_django.alerts.models import Route
from claimkit_django.audit import checks, record
from claimkit_django.audit.checks import APPEND_ONLY
from claimkit_django.audit.models import AuditEntry, AuditHead, AuditLink
from claimkit_django.audit.verify import chains, verify_chain
from claimkit_django.migrations_kit.append_only import allow_changes, refuse_changes
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import enter
from tests.projects.database import ROW_LEVEL_SECURITY

pytestmark = pytest.mark.django_db

ENTRY, LINK = (f"claimkit_audit_{name}" for name in ("auditentry", "auditlink"))


@pytest.fixture
def chain(northside, lakeview, walls, django_capture_on_commit_callbacks):
    """Five links of one tenant, and two of another."""
    with django_capture_on_commit_callbacks(execute=True):
        for tenant, count in ((northside, 5), (lakeview, 2)):
            with enter(tenant):
                for number in range(count):
                    Route.objects.create(name=f"Route {number}")
    for tenant in (northside, lakeview):
        record.link_rest(tenant.pk, using="default")
    return northside


def verified(tenant, **told):
    return verify_chain(tenant.pk, now=timezone.now(), using="default", **told)


def run(*arguments):
    out = StringIO()
    call_command("claimkit_audit_verify", *arguments, stdout=out)
    return out.getvalue()


def tamper(statement, *parameters):
    """Do what only somebody who may drop the triggers can."""
    if ROW_LEVEL_SECURITY:
        pytest.skip("the application's role may not drop triggers")
    allow_changes(APPEND_ONLY, "default")
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
    refuse_changes(APPEND_ONLY, "default")


def test_each_tenant_has_its_own_chain(chain, lakeview):
    ours, theirs = verified(chain), verified(lakeview)

    assert ours.holds
    assert theirs.holds
    # The tenant's own beginning was told first.
    assert (ours.head.number, theirs.head.number) == (6, 3)
    assert sorted(chains("default")) == sorted([chain.pk, lakeview.pk])


#: Column → what somebody would rather have it say.
CHANGES = {
    "uid": "'aud_0'",
    "at": "'2020-01-01 00:00:00+00:00'",
    "actor": "'user:1'",
    "via": "'session'",
    "network": "'198.51.100.0/24'",
    "request_id": "'0123456789'",
    "action": "'alert_route.removed'",
    "target": "'rte_0'",
    "changes": "'{}'",
}


@pytest.mark.parametrize("column", CHANGES)
def test_whatever_is_changed_of_an_entry_shows(chain, column):
    link = AuditLink.unscoped.get(tenant=chain, number=3)
    tamper(
        f'UPDATE {ENTRY} SET "{column}" = {CHANGES[column]} WHERE id = %s',  # noqa: S608 - ours
        link.entry_key,
    )
    found = verified(chain)

    assert (found.broken.number, found.broken.reason) == (3, "changed")
    assert found.head.number == 2
    assert found.entry == AuditEntry.unscoped.get(pk=link.entry_key).uid


def test_every_field_of_an_entry_is_in_the_chain():
    fields = {field.name for field in AuditEntry._meta.concrete_fields}

    assert fields - {"id", "tenant"} == CHANGES.keys()


@pytest.mark.parametrize("number", [1, 3])
def test_an_entry_that_is_gone_shows(chain, number):
    key = AuditLink.unscoped.get(tenant=chain, number=number).entry_key
    tamper(f"DELETE FROM {ENTRY} WHERE id = %s", key)  # noqa: S608 - ours
    found = verified(chain)

    assert (found.broken.number, found.broken.reason) == (number, "entry_missing")


def test_a_link_that_is_taken_out_with_its_entry_shows(chain):
    key = AuditLink.unscoped.get(tenant=chain, number=3).entry_key
    tamper(f"DELETE FROM {ENTRY} WHERE id = %s", key)  # noqa: S608 - ours
    tamper(f"DELETE FROM {LINK} WHERE entry_key = %s", key)  # noqa: S608 - ours

    assert verified(chain).broken.reason == "missing"


def test_two_entries_that_changed_places_show(chain):
    rows = AuditLink.unscoped.filter(tenant=chain)
    third, fourth = (rows.get(number=number).entry_key for number in (3, 4))
    for old, new in ((third, -1), (fourth, third), (-1, fourth)):
        tamper(f"UPDATE {LINK} SET entry_key = %s WHERE entry_key = %s", new, old)  # noqa: S608

    assert verified(chain).broken.number == 3


def test_an_end_that_is_cut_off_shows_while_the_head_counts(chain):
    tamper(f"DELETE FROM {LINK} WHERE tenant_id = %s AND number > 4", chain.pk)  # noqa: S608
    found = verified(chain)

    assert (found.broken.number, found.broken.reason) == (5, "cut_off")


def test_an_end_that_is_cut_off_with_its_head_shows_by_an_anchor(chain, tmp_path):
    anchor = tmp_path / "anchor.json"
    anchor.write_text(run("--format", "json"))
    fourth = AuditLink.unscoped.get(tenant=chain, number=4)
    keys = AuditLink.unscoped.filter(tenant=chain, number__gt=4).values_list("entry_key", flat=True)
    for key in list(keys):
        tamper(f"DELETE FROM {ENTRY} WHERE id = %s", key)  # noqa: S608 - ours
    tamper(f"DELETE FROM {LINK} WHERE tenant_id = %s AND number > 4", chain.pk)  # noqa: S608
    AuditHead.unscoped.filter(tenant=chain).update(number=4, digest=fourth.digest)

    assert run()
    with pytest.raises(CommandError, match="1 of 2 chains do not hold"):
        run("--anchor", str(anchor))


def test_a_chain_that_was_made_anew_shows_by_an_anchor(chain):
    anchor = verified(chain).head
    tamper(f"UPDATE {ENTRY} SET actor = 'user:1' WHERE tenant_id = %s", chain.pk)  # noqa: S608
    tamper(f"DELETE FROM {LINK} WHERE tenant_id = %s", chain.pk)  # noqa: S608 - ours
    AuditHead.unscoped.filter(tenant=chain).update(number=0, digest=BEGINNING)
    record.link_rest(chain.pk, using="default")

    assert verified(chain).holds
    assert not verified(chain, anchor=anchor).holds
    assert verified(chain, anchor=Head(number=9, digest="f" * 64)).broken.reason == "cut_off"


def test_links_that_the_head_does_not_count_show(chain):
    last = AuditLink.unscoped.get(tenant=chain, number=5)
    AuditHead.unscoped.filter(tenant=chain).update(number=5, digest=last.digest)

    assert verified(chain).broken.reason == "not_counted"


def test_an_entry_that_nobody_linked_is_told_once_there_was_time(chain):
    with enter(chain):
        Route.objects.create(name="Last")
    soon = verified(chain)
    late = verify_chain(chain.pk, now=timezone.now() + dt.timedelta(minutes=11), using="default")

    assert soon.holds
    assert (late.holds, late.unlinked) == (False, 1)
    assert "7 links hold" in run("--tenant", "northside", "--link")


def test_the_command_names_the_first_broken_link(chain):
    link = AuditLink.unscoped.get(tenant=chain, number=2)
    uid = AuditEntry.unscoped.get(pk=link.entry_key).uid
    tamper(f"UPDATE {ENTRY} SET actor = 'user:1' WHERE id = %s", link.entry_key)  # noqa: S608
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("claimkit_audit_verify", format="json", stdout=out)
    told = {one["tenant"]: one for one in json.loads(out.getvalue())["chains"]}
    with pytest.raises(CommandError):
        call_command("claimkit_audit_verify", stdout=(text := StringIO()))

    assert told["northside"]["broken"] == {"link": 2, "reason": "changed", "entry": uid}
    assert told["lakeview"]["holds"]
    assert f"northside: link 2 is broken (changed, entry {uid})" in text.getvalue()


@pytest.mark.parametrize(
    "arguments", [("--tenant", "nobody"), ("--anchor", "there/is/no/such.json")]
)
def test_the_command_says_what_it_was_asked_wrongly(chain, arguments):
    with pytest.raises(CommandError):
        run(*arguments)


def test_linking_again_changes_nothing(chain):
    keys = list(AuditLink.unscoped.filter(tenant=chain).values_list("entry_key", flat=True))

    assert record.link_entries(chain.pk, keys, using="default") == 0
    assert verified(chain).holds


def test_a_fork_is_refused_by_the_database(chain):
    entry = AuditEntry.unscoped.filter(tenant=chain).last()
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditLink.unscoped.bulk_create(
            [AuditLink(tenant=chain, number=6, entry_key=entry.pk + 100, digest="f" * 64)]
        )


def test_linking_takes_few_statements(chain, django_assert_max_num_queries):
    with enter(chain):
        Route.objects.bulk_create([Route(name=f"More {number}") for number in range(50)])
    keys = list(record.unlinked("default").values_list("pk", flat=True))

    # Two of them begin and end a savepoint.
    with django_assert_max_num_queries(8):
        assert record.link_entries(chain.pk, keys, using="default") == 50


def test_the_check_misses_walls(chain):
    assert checks.check_walls(databases=["default"]) == []
    if ROW_LEVEL_SECURITY:
        pytest.skip("the application's role may not drop triggers")
    allow_changes(APPEND_ONLY, "default")
    found = checks.check_walls(databases=["default"])

    assert [one.id for one in found] == ["claimkit_audit.E002"] * 2
    run("--repair-walls")
    assert checks.check_walls(databases=["default"]) == []


@pytest.mark.parametrize(
    "room", [{"IPV4_BITS": 33}, {"IPV6_BITS": -1}, {"LINK_MINUTES": 0}, {"LINK_MINUTES": 9999}]
)
def test_settings_out_of_range_are_errors(settings, room):
    settings.CLAIMKIT = {"AUDIT": room}

    assert [one.id for one in checks.check_settings()] == ["claimkit_audit.E001"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3::9", "2001:db8:1::/48"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_addresses_are_kept_as_networks(address, network):
    assert record._network(address) == network


@pytest.mark.django_db(transaction=True)
def test_writers_of_a_tenant_at_the_same_time_do_not_fork_its_chain(northside, lakeview):
    """Four connections that write and link at once, in two tenants."""
    begin, errors = threading.Barrier(4), []

    def write(tenant, number):
        try:
            begin.wait()
            for step in range(5):
                with enter(tenant), transaction.atomic():
                    Route.objects.create(name=f"Route {number}.{step}")
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=write, args=(tenant, number))
        for number, tenant in enumerate([northside, northside, northside, lakeview])
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(timeout=60)

    assert errors == []
    for tenant, count in ((northside, 16), (lakeview, 6)):
        found = verified(tenant)
        assert found.holds
        assert found.head.number == count
    assert not record.unlinked("default").exists()


@pytest.mark.django_db(transaction=True)
def test_a_link_that_fails_leaves_what_was_done_and_is_made_later(northside, monkeypatch, caplog):
    with monkeypatch.context() as patched:
        patched.setattr(record, "make_link", None)
        with enter(northside):
            Route.objects.create(name="All")

    assert "not linked yet" in caplog.text
    assert Route.unscoped.filter(tenant=northside).exists()
    assert record.link_rest(northside.pk, using="default") == 1
    assert verified(northside).holds


@pytest.mark.django_db(transaction=True)
def test_the_trail_stands_behind_the_second_wall(second_wall, northside, lakeview):
    for tenant in (northside, lakeview):
        with enter(tenant):
            Route.objects.create(name="All")
    with enter(northside), connection.cursor() as cursor, transaction.atomic():
        # Told the tenant in scope by the ORM first; then any SQL.
        assert AuditEntry.objects.count() == 2
        cursor.execute(f"SELECT DISTINCT tenant_id FROM {ENTRY}")  # noqa: S608 - ours
        seen = cursor.fetchall()

    assert seen == [(northside.pk,)]
    assert verified(lakeview).holds
    assert Tenant.objects.count() == 2
