from __future__ import annotations

import logging

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from claimkit.errors import TenantRequired
from claimkit.tenants import current_tenant, in_tenant
from claimkit_django.claims.models import Upload
from claimkit_django.tenants.directory import SESSION_KEY, OrmTenantDirectory, choose_tenant
from claimkit_django.tenants.middleware import TenantMiddleware

pytestmark = pytest.mark.django_db


def answer(user, *, session=None, view=None, **headers):
    request = RequestFactory().get("/", headers=headers)
    request.user = user
    request.session = session or {}
    view = view or (lambda request: HttpResponse(current_tenant() if in_tenant() else "none"))
    return TenantMiddleware(view)(request)


def test_the_only_tenant_needs_no_naming(northside, make_member):
    gaston = make_member("gaston", (northside, "viewer"))

    assert answer(gaston).content == b"northside"
    assert not in_tenant()


def test_one_of_several_is_named_by_header_or_session(northside, lakeview, make_member):
    gaston = make_member("gaston", (northside, "viewer"), (lakeview, "viewer"))

    assert answer(gaston).content == b"none"
    assert answer(gaston, **{"X-Tenant": "lakeview"}).content == b"lakeview"
    assert answer(gaston, session={SESSION_KEY: "northside"}).content == b"northside"
    assert (
        answer(gaston, session={SESSION_KEY: "northside"}, **{"X-Tenant": "lakeview"}).content
        == b"lakeview"
    )


def test_the_header_has_the_configured_name(settings, northside, lakeview, make_member):
    settings.CLAIMKIT = {"TENANTS": {"HEADER": "X-Hospital"}}
    gaston = make_member("gaston", (northside, "viewer"), (lakeview, "viewer"))

    assert answer(gaston, **{"X-Hospital": "lakeview"}).content == b"lakeview"


@pytest.mark.parametrize("wanted", ["lakeview", "nowhere"])
def test_foreign_and_missing_tenants_look_the_same(northside, lakeview, make_member, wanted):
    gaston = make_member("gaston", (northside, "owner"))

    assert answer(gaston, **{"X-Tenant": wanted}).content == b"none"


def test_inactive_tenants_and_people_get_nowhere(northside, make_member):
    spip = make_member("spip", (northside, "owner"), is_active=False)
    gaston = make_member("gaston", (northside, "owner"))

    assert answer(spip).content == b"none"
    northside.active = False
    northside.save()
    assert answer(gaston).content == b"none"


def test_strangers_pass_without_a_tenant_and_without_a_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert answer(AnonymousUser()).content == b"none"
    assert choose_tenant(RequestFactory().get("/")) is None


def test_a_superuser_may_name_any_tenant_and_that_is_logged(northside, django_user_model, caplog):
    root = django_user_model.objects.create_superuser("root")

    with caplog.at_level(logging.WARNING):
        assert answer(root, **{"X-Tenant": "northside"}).content == b"northside"

    assert [record.tenant for record in caplog.records] == ["northside"]
    assert answer(root).content == b"none"


def test_choosing_a_tenant_costs_one_query(northside, make_member, django_assert_num_queries):
    gaston = make_member("gaston", (northside, "viewer"))

    with django_assert_num_queries(1):
        answer(gaston)


def test_the_scope_ends_when_the_view_raises(northside, make_member):
    def fail(request):
        raise LookupError

    with pytest.raises(LookupError):
        answer(make_member("gaston", (northside, "viewer")), view=fail)

    assert not in_tenant()


def test_a_streamed_body_runs_in_the_scope_and_never_leaks_it(northside, make_member, make_upload):
    make_upload(northside)

    def stream(request):
        def parts():
            for _ in range(2):
                yield f"{Upload.objects.count()} in {current_tenant()};"

        return StreamingHttpResponse(parts())

    response = answer(make_member("gaston", (northside, "viewer")), view=stream)
    body = iter(response)

    assert next(body) == b"1 in northside;"
    with pytest.raises(TenantRequired):
        current_tenant()
    assert list(body) == [b"1 in northside;"]


def test_asynchronous_views_and_bodies_run_in_the_scope(northside, make_member, make_upload):
    make_upload(northside)
    gaston = make_member("gaston", (northside, "viewer"))

    async def plain(request):
        return HttpResponse(f"{await Upload.objects.acount()} in {current_tenant()}")

    async def stream(request):
        async def parts():
            for _ in range(2):
                yield f"{await Upload.objects.acount()} in {current_tenant()};"

        return StreamingHttpResponse(parts())

    async def ask(view, user):
        request = AsyncRequestFactory().get("/")
        request.user, request.session = user, {}
        response = await TenantMiddleware(view)(request)
        if not response.streaming:
            return response.content
        return b"".join([part async for part in response])

    async def nobody(request):
        return HttpResponse(str(in_tenant()))

    assert async_to_sync(ask)(plain, gaston) == b"1 in northside"
    assert async_to_sync(ask)(stream, gaston) == b"1 in northside;" * 2
    assert async_to_sync(ask)(nobody, AnonymousUser()) == b"False"


def test_the_directory_finds_tenants_as_the_core_knows_them(lakeview):
    found = OrmTenantDirectory().find("lakeview")

    assert (found.name, found.timezone, found.active) == (
        "Lakeview Clinic",
        "America/Chicago",
        True,
    )
    assert OrmTenantDirectory().find("nowhere") is None
