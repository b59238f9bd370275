from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import pickle
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, models, transaction
from django.db.models import Count, Exists, OuterRef, Q, Sum, sql

from claimkit.errors import TenantForbidden, TenantRequired, TenantUnknown
from claimkit.tenants import use_tenant
from claimkit_django.claims.models import RejectedRow, Upload
from claimkit_django.tenants.members import TenantInUse
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import TenantQuerySet, current_scope, enter

pytestmark = pytest.mark.django_db

DAY = dt.date(2026, 4, 12)


@pytest.fixture
def theirs(lakeview, make_upload):
    upload = make_upload(lakeview, name="secret.csv", bytes_total=20)
    with enter(lakeview):
        RejectedRow.objects.create(
            upload=upload, ordinal=0, position=7, kind="csv", code="money_invalid", message="m"
        )
    return upload


@pytest.fixture
def ours(northside, make_upload):
    return [
        make_upload(northside, name=name, bytes_total=size)
        for name, size in (("first.csv", 5), ("second.csv", 6))
    ]


@pytest.fixture(params=["known id", "only the key"])
def inside(request, northside, lakeview, ours, theirs):
    """Run the test in the scope of northside, entered in either way."""
    scope = enter(northside) if request.param == "known id" else use_tenant(northside.key)
    with scope:
        yield


def sizes(rows):
    return sorted(row.bytes_total for row in rows)


#: How every public QuerySet method is tried: what it gives with two rows of ours and one of theirs.
READS = {
    "all": lambda rows: sizes(rows.all()) == [5, 6],
    "filter": lambda rows: sizes(rows.filter(bytes_total__gt=0)) == [5, 6],
    "exclude": lambda rows: sizes(rows.exclude(bytes_total=5)) == [6],
    "exclude to-many": lambda rows: sizes(rows.exclude(rejected__code="money_invalid")) == [5, 6],
    "complex_filter": lambda rows: sizes(rows.complex_filter(Q(bytes_total__gt=0))) == [5, 6],
    "aggregate": lambda rows: rows.aggregate(n=Sum("bytes_total"))["n"] == 11,
    "annotate": lambda rows: sizes(rows.annotate(n=Count("rejected"))) == [5, 6],
    "alias": lambda rows: sizes(rows.alias(n=Count("rejected")).filter(n=0)) == [5, 6],
    "count": lambda rows: rows.count() == 2,
    "count distinct": lambda rows: rows.distinct().count() == 2,
    "contains": lambda rows: all(rows.contains(row) for row in rows.all()),
    "dates": lambda rows: len(rows.dates("known_on", "day")) == 1,
    "datetimes": lambda rows: len(rows.datetimes("created_at", "year")) == 1,
    "defer": lambda rows: sizes(rows.defer("name")) == [5, 6],
    "only": lambda rows: sizes(rows.only("bytes_total")) == [5, 6],
    "distinct": lambda rows: sizes(rows.distinct()) == [5, 6],
    "earliest": lambda rows: rows.earliest("bytes_total").bytes_total == 5,
    "latest": lambda rows: rows.latest("bytes_total").bytes_total == 6,
    "exists": lambda rows: not rows.filter(name="secret.csv").exists(),
    "explain": lambda rows: "tenant" in rows.explain() or connection.vendor == "sqlite",
    "extra": lambda rows: sizes(rows.extra(where=["1 = 1"])) == [5, 6],
    "first": lambda rows: rows.order_by("bytes_total").first().bytes_total == 5,
    "last": lambda rows: rows.order_by("bytes_total").last().bytes_total == 6,
    "get": lambda rows: rows.get(bytes_total=5).name == "first.csv",
    "in_bulk": lambda rows: sizes(rows.in_bulk().values()) == [5, 6],
    "iterator": lambda rows: sizes(rows.iterator()) == [5, 6],
    "order_by": lambda rows: [row.bytes_total for row in rows.order_by("-bytes_total")] == [6, 5],
    "reverse": lambda rows: (
        [r.bytes_total for r in rows.order_by("bytes_total").reverse()] == [6, 5]
    ),
    "prefetch_related": lambda rows: sizes(rows.prefetch_related("rejected")) == [5, 6],
    "select_related": lambda rows: sizes(rows.select_related("tenant")) == [5, 6],
    "select_for_update": lambda rows: sizes(rows.select_for_update()) == [5, 6],
    "using": lambda rows: sizes(rows.using("default")) == [5, 6],
    "values": lambda rows: sorted(r["bytes_total"] for r in rows.values()) == [5, 6],
    "values_list": lambda rows: sorted(rows.values_list("bytes_total", flat=True)) == [5, 6],
    "union": lambda rows: (
        sizes(rows.order_by().union(rows.filter(bytes_total=5).order_by())) == [5, 6]
    ),
    "intersection": lambda rows: (
        sizes(rows.order_by().intersection(rows.filter(bytes_total=5).order_by())) == [5]
    ),
    "difference": lambda rows: (
        sizes(rows.order_by().difference(rows.filter(bytes_total=5).order_by())) == [6]
    ),
    "none": lambda rows: sizes(rows.none()) == [],
    "or": lambda rows: sizes(rows.filter(bytes_total=5) | rows.filter(bytes_total__gt=5)) == [5, 6],
    "and": lambda rows: sizes(rows.filter(bytes_total=5) & rows.all()) == [5],
    "xor": lambda rows: sizes(rows.filter(bytes_total=5) ^ rows.all()) == [6],
    "slice": lambda rows: sizes(rows.order_by("bytes_total")[1:]) == [6],
    "subquery": lambda rows: sizes(Upload.unscoped.filter(pk__in=rows.all())) == [5, 6],
    "exists sub-query": lambda rows: (
        sizes(Upload.unscoped.filter(Exists(rows.filter(pk=OuterRef("pk"))))) == [5, 6]
    ),
    "pickle": lambda rows: sizes(pickle.loads(pickle.dumps(rows.all()))) == [5, 6],
}
WRITES = {
    "update": lambda rows: rows.update(name="renamed") == 2,
    "update joined": lambda rows: rows.filter(rejected__isnull=True).update(name="renamed") == 2,
    "update excluded": lambda rows: rows.exclude(rejected__code="x").update(name="renamed") == 2,
    "update others": lambda rows: rows.filter(name="secret.csv").update(name="renamed") == 0,
    "delete": lambda rows: rows.all().delete()[0] == 2,
    "delete others": lambda rows: rows.filter(name="secret.csv").delete()[0] == 0,
    "create": lambda rows: rows.create(name="third", known_on=DAY).tenant.key == "northside",
    "bulk_create": lambda rows: (
        rows.bulk_create([Upload(name="third", known_on=DAY)])[0].tenant.key == "northside"
    ),
    "bulk_update": lambda rows: rows.bulk_update(list(rows.all()), ["name"]) == 2,
    "get_or_create": lambda rows: rows.get_or_create(name="secret.csv", defaults={"known_on": DAY})[
        1
    ],
    "update_or_create": lambda rows: rows.update_or_create(
        name="secret.csv", defaults={"known_on": DAY}
    )[1],
}
#: Public methods that are tried elsewhere in this file, or run nothing.
ELSEWHERE = {
    "as_manager": "makes a manager",
    "raw": "test_sql_text_is_refused",
    "resolve_expression": "sub-queries above",
    "fetch_mode": "says how related rows are fetched",
    "totally_ordered": "property; runs nothing",
}


def test_every_public_method_of_a_queryset_is_known():
    """A method that a new Django brings fails here until somebody has thought about it."""
    public = {name for name, _ in inspect.getmembers(models.QuerySet) if not name.startswith("_")}
    public -= {"query", "db", "ordered"}
    twins = {f"a{name}" for name in (*READS, *WRITES)}

    assert public - {*READS, *WRITES, *twins, *ELSEWHERE} == set()


@pytest.mark.parametrize("name", READS)
def test_reads_see_only_their_tenant(inside, name):
    with transaction.atomic():
        assert READS[name](Upload.objects)


@pytest.mark.parametrize("name", WRITES)
def test_writes_touch_only_their_tenant(inside, theirs, name):
    assert WRITES[name](Upload.objects)

    kept = Upload.unscoped.get(pk=theirs.pk)
    assert (kept.name, kept.tenant.key) == ("secret.csv", "lakeview")
    assert RejectedRow.unscoped.filter(upload=theirs).count() == 1


@pytest.mark.parametrize("name", [name for name in (*READS, *WRITES) if name != "none"])
def test_nothing_runs_without_a_tenant(ours, theirs, name):
    with pytest.raises(TenantRequired):
        {**READS, **WRITES}[name](Upload.objects)

    assert Upload.unscoped.count() == 3


def test_none_needs_no_tenant():
    assert list(Upload.objects.none()) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda row: row.save(),
        lambda row: row.save(update_fields=["name"]),
        lambda row: row.delete(),
        lambda row: row.save_base(raw=True),
        lambda row: Upload.objects.bulk_create([Upload(tenant_id=row.tenant_id, known_on=DAY)]),
        lambda row: Upload(tenant_id=row.tenant_id, name="x", known_on=DAY).save(),
        lambda row: Upload.objects.create(tenant_id=row.tenant_id, name="x", known_on=DAY),
        lambda row: Upload.objects.all()._insert([row], fields=[]),
    ],
)
def test_rows_of_another_tenant_cannot_be_written(inside, theirs, act):
    with pytest.raises(TenantForbidden):
        act(theirs)

    assert Upload.unscoped.get(pk=theirs.pk).name == "secret.csv"
    assert Upload.unscoped.count() == 3


@pytest.mark.parametrize("act", [lambda row: row.save(), lambda row: row.delete()])
def test_rows_cannot_be_written_without_a_tenant(theirs, act):
    with pytest.raises(TenantRequired):
        act(theirs)


def test_a_row_cannot_be_given_away(inside, lakeview):
    row = Upload.objects.get(name="first.csv")
    row.tenant = lakeview

    with pytest.raises(TenantForbidden):
        row.save()
    with pytest.raises(TenantForbidden):
        Upload.objects.update(tenant=lakeview)
    with pytest.raises(TenantForbidden):
        Upload.objects.bulk_update([row], ["tenant"])


def test_a_row_cannot_be_taken(inside, theirs, northside):
    theirs.tenant = northside
    fresh = Upload.unscoped.get(pk=theirs.pk)
    fresh.tenant = northside

    with pytest.raises(TenantForbidden):
        fresh.save()
    with pytest.raises(TenantForbidden):
        theirs.save()


def test_refresh_does_not_find_rows_of_another_tenant(inside, theirs):
    with pytest.raises(Upload.DoesNotExist):
        theirs.refresh_from_db()


def test_related_rows_are_scoped_in_both_directions(inside, theirs):
    row = RejectedRow.unscoped.get()

    assert list(theirs.rejected.all()) == []
    assert theirs.rejected.count() == 0
    assert theirs.rejected.update(code="x") == 0
    with pytest.raises(Upload.DoesNotExist):
        row.upload  # noqa: B018
    with pytest.raises(TenantForbidden):
        theirs.rejected.create(
            tenant_id=theirs.tenant_id, ordinal=1, position=1, kind="csv", code="c", message="m"
        )


def test_prefetch_follows_the_tenant_of_the_queryset(lakeview, theirs, northside):
    with enter(lakeview):
        rows = Upload.objects.prefetch_related("rejected")
    with enter(northside):
        found = [len(row.rejected.all()) for row in rows]

    assert found == [1]


def test_sql_text_is_refused(inside):
    with pytest.raises(TenantForbidden):
        Upload.objects.raw("SELECT * FROM claimkit_claims_upload")

    table = Upload._meta.db_table
    assert len(list(Upload.unscoped.raw(f"SELECT * FROM {table}"))) == 3


def test_a_queryset_keeps_the_tenant_it_was_made_in(northside, lakeview, ours, theirs):
    with enter(northside):
        rows = Upload.objects.all()

    assert sizes(rows) == [5, 6]
    with enter(lakeview):
        assert sizes(rows.all()) == [5, 6]
        assert rows.filter(name="secret.csv").update(name="x") == 0


def test_rows_of_two_tenants_cannot_be_combined(northside, lakeview, ours, theirs):
    with enter(northside):
        mine = Upload.objects.all()
    with enter(lakeview):
        yours = Upload.objects.all()

    for combine in (
        lambda: mine | yours,
        lambda: mine & yours,
        lambda: mine | Upload.unscoped.all(),
        lambda: list(mine.union(yours)),
    ):
        with pytest.raises(TenantForbidden):
            combine()


@pytest.mark.parametrize(
    "break_out",
    [
        lambda query: setattr(query, "where", type(query.where)()),
        lambda query: query.where.negate(),
        lambda query: query.where.add(Q(pk=1).resolve_expression(query), "OR"),
        lambda query: setattr(query, "tenant_scope", None),
    ],
)
def test_a_query_that_lost_its_predicate_does_not_compile(inside, break_out):
    rows = Upload.objects.all()
    break_out(rows.query)

    with pytest.raises(TenantRequired):
        list(rows)
    with pytest.raises(TenantRequired):
        rows._raw_delete("default")


def test_a_bare_queryset_does_not_run(inside):
    with pytest.raises(TenantRequired):
        list(TenantQuerySet(Upload))
    with pytest.raises(TenantRequired):
        TenantQuerySet(Upload).update(name="x")


def test_unscoped_writes_name_their_tenant(lakeview):
    with pytest.raises(TenantRequired):
        Upload.unscoped.bulk_create([Upload(name="x", known_on=DAY)])

    Upload.unscoped.bulk_create([Upload(name="x", known_on=DAY, tenant=lakeview)])

    assert Upload.unscoped.get().tenant == lakeview


def test_the_base_and_default_managers_are_scoped():
    for manager in (Upload._base_manager, Upload._default_manager):
        with pytest.raises(TenantRequired):
            manager.all()


def test_an_inactive_tenant_cannot_be_entered(northside):
    northside.active = False

    with pytest.raises(TenantUnknown), enter(northside):
        pytest.fail("an inactive tenant was entered")


def test_a_row_of_an_unknown_tenant_cannot_be_saved(db):
    with use_tenant("nobody"), pytest.raises(TenantUnknown):
        Upload.objects.create(name="x", known_on=DAY)


def test_the_innermost_scope_wins(northside, lakeview):
    with enter(northside), use_tenant(lakeview.key):
        assert current_scope() == (lakeview.key, None)
        with enter(northside):
            assert current_scope() == (northside.key, northside.pk)


def test_threads_do_not_inherit_the_scope(northside):
    seen = []

    def look():
        try:
            Upload.objects.all()
        except TenantRequired:
            seen.append("required")

    with enter(northside):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    assert seen == ["required"]


def test_coroutines_do_not_mix_their_tenants(northside, lakeview, ours, theirs):
    async def look(tenant, barrier):
        with enter(tenant):
            await barrier.wait()
            rows = Upload.objects.order_by("bytes_total")
            await asyncio.sleep(0)
            seen = [row.bytes_total async for row in rows]
            first = await rows.afirst()
            return seen, await Upload.objects.acount(), first.bytes_total

    async def both():
        barrier = asyncio.Barrier(2)
        return await asyncio.gather(look(northside, barrier), look(lakeview, barrier))

    async def without():
        with pytest.raises(TenantRequired):
            await Upload.objects.acount()

    assert async_to_sync(both)() == [([5, 6], 2, 5), ([20], 1, 20)]
    async_to_sync(without)()


def test_async_writes_are_guarded(northside, lakeview, theirs):
    async def write():
        with enter(northside):
            made = await Upload.objects.acreate(name="x", known_on=DAY)
            assert await Upload.objects.aupdate(name="y") == 1
            with pytest.raises(TenantForbidden):
                await theirs.asave()
            with pytest.raises(TenantForbidden):
                await theirs.adelete()
            await made.arefresh_from_db()
            return made.name

    assert async_to_sync(write)() == "y"


def test_the_guard_survives_every_class_that_a_query_turns_into(inside):
    query = Upload.objects.all().query
    for klass in (sql.Query, sql.UpdateQuery, sql.DeleteQuery):
        turned = query.chain(klass)
        turned.where = type(turned.where)()
        with pytest.raises(TenantRequired):
            turned.get_compiler("default")


def test_making_a_queryset_runs_no_query(northside, django_assert_num_queries):
    with use_tenant(northside.key), django_assert_num_queries(0):
        Upload.objects.filter(name="x")
    with use_tenant(northside.key), django_assert_num_queries(1):
        list(Upload.objects.all())


def test_scope_reaches_into_sync_code_called_from_coroutines(northside):
    async def ask():
        with enter(northside):
            return await sync_to_async(current_scope)()

    assert async_to_sync(ask)().key == "northside"


def test_a_tenant_without_rows_can_be_deleted_and_one_with_rows_cannot(northside, lakeview, theirs):
    northside.delete()
    for delete in (lakeview.delete, Tenant.objects.all().delete):
        with pytest.raises(TenantInUse), transaction.atomic():
            delete()

    assert list(Tenant.objects.values_list("key", flat=True)) == ["lakeview"]
