"""The isolation kit: it passes what is kept apart, and catches each way of leaking."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.db import models
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.test.utils import isolate_apps
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from claimkit_django.alerts.models import Channel, Route
from claimkit_django.claims.models import CsvTemplate
from claimkit_django.tenants.models import TenantModel
from claimkit_django.tenants.scope import TenantManager, UnscopedManager, enter
from claimkit_django.testing.isolation import (
    Side,
    assert_models_isolated,
    assert_views_isolated,
    find_model_leaks,
    walk_views,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


# -- a host's views, most of which leak ---------------------------------------------------------


def listed(request):
    return JsonResponse({"routes": list(Route.objects.values_list("name", flat=True))})


def shown(request, uid):
    return JsonResponse({"name": get_object_or_404(Route.objects.all(), uid=uid).name})


def listed_of_all(request):
    return JsonResponse({"routes": list(Route.unscoped.values_list("name", flat=True))})


def shown_of_all(request, uid):
    return HttpResponse(get_object_or_404(Route.unscoped.all(), uid=uid).name)


def told_in_header(request):
    return HttpResponse(headers={"X-Route": Route.unscoped.order_by("-pk")[0].name})


def streamed(request):
    return StreamingHttpResponse(iter([one.name for one in Route.unscoped.all()]))


def forbidden(request, uid):
    row = get_object_or_404(Route.unscoped.all(), uid=uid)
    return HttpResponse(status=200 if row.tenant == request.claimkit_tenant else 403)


@csrf_exempt
def removed(request, uid):
    if request.method == "DELETE":
        Route.unscoped.filter(uid=uid).delete()
    return HttpResponse(status=204)


def believing_the_header(request):
    wanted = request.headers.get("X-Tenant", "northside")
    return HttpResponse("".join(one.name for one in Route.unscoped.filter(tenant__key=wanted)))


def broken(request):
    raise ValueError("nothing to see")


def busy(request):
    return HttpResponse(status=429)


def by_case(request, case_number):
    return HttpResponse(case_number)


urlpatterns = [
    path("fine/", listed),
    path("fine/<str:uid>/", shown),
    path("", include("claimkit_django.urls")),
]
LEAKING = {
    "/listed/": (path("listed/", listed_of_all), "shows 'Lakeview everything'"),
    "/shown/": (path("shown/<slug:uid>/", shown_of_all), "shows 'Lakeview everything'"),
    "/regex/": (re_path(r"^regex/(?P<uid>rte_\w+)/$", shown_of_all), "shows 'Lakeview everything'"),
    "/header/": (path("header/", told_in_header), "shows 'Lakeview everything'"),
    "/streamed/": (path("streamed/", streamed), "shows 'Lakeview everything'"),
    "/forbidden/": (path("forbidden/<str:uid>/", forbidden), "it tells which there are"),
    "/removed/": (path("removed/<str:uid>/", removed), "changed rows of the other tenant"),
    "/chosen/": (path("chosen/", believing_the_header), "shows 'Lakeview everything'"),
    "/broken/": (path("broken/", broken), "answered 500"),
    "/busy/": (path("busy/", busy), "answered 429"),
}


class Site:
    """Addresses to walk: what ``urlconf`` may be."""

    def __init__(self, *patterns):
        self.urlpatterns = list(patterns)

    def __hash__(self):
        return id(self)


@pytest.fixture
def sides(northside, lakeview, make_member, settings):
    settings.CLAIMKIT = {"REST": {"READ_RATE": "", "WRITE_RATE": ""}}
    caches["default"].clear()
    made = []
    for tenant, name in ((northside, "Northside"), (lakeview, "Lakeview")):
        with enter(tenant):
            Route.objects.create(name=f"{name} everything")
            Channel.objects.create(name=f"{name} revenue", kind="log")
            CsvTemplate.objects.create(name=f"{name} export")
        made.append(Side(tenant=tenant, user=make_member(f"of-{tenant.key}", (tenant, "owner"))))
    return made


@pytest.fixture
def use(settings):
    """Let the site have these addresses and no others."""

    def set_to(*patterns):
        settings.ROOT_URLCONF = Site(*patterns)
        return settings.ROOT_URLCONF

    return set_to


def test_views_that_keep_tenants_apart_pass(sides):
    walk = assert_views_isolated(
        *sides,
        skip=["/api/"],
    )

    assert "GET /fine/" in walk.asked
    assert "DELETE /fine/<uid>/" in walk.asked


@pytest.mark.parametrize("where", LEAKING)
def test_each_way_of_leaking_is_caught(sides, use, where):
    pattern, what = LEAKING[where]
    use(pattern)
    with pytest.raises(AssertionError, match="not kept apart") as caught:
        assert_views_isolated(*sides)

    assert where in str(caught.value)
    assert what in str(caught.value)


def test_what_a_walk_does_is_undone(sides, use):
    use(LEAKING["/removed/"][0])
    assert walk_views(*sides).leaks
    assert Route.unscoped.count() == 2


def test_placeholders_without_values_are_told(sides, use):
    use(path("cases/<str:case_number>/", by_case))
    mine, theirs = sides
    with pytest.raises(AssertionError, match="/cases/<case_number>/: not asked"):
        assert_views_isolated(mine, theirs)
    told = Side(tenant=theirs.tenant, user=theirs.user, values={"case_number": ["A-1007"]})

    assert "GET /cases/<case_number>/" in assert_views_isolated(mine, told).asked


def test_a_walk_that_asks_nothing_proves_nothing(sides, use):
    use()
    with pytest.raises(AssertionError, match="no address was asked"):
        assert_views_isolated(*sides)


def test_texts_that_are_harmless_are_no_leak(sides, use):
    use(LEAKING["/listed/"][0])

    assert_views_isolated(*sides, harmless=["Lakeview everything"])


@pytest.mark.slow
def test_claimkits_own_addresses_pass(sides):
    """What varies and has no row here is skipped: the walk of every operation is elsewhere."""
    elsewhere = ("docs", "drift", "mappings", "problems", "redoc", "schema", "uploads", "webhooks")
    skip = ["/fine/", *(f"/api/v1/{one}/" for one in elsewhere)]
    walk = walk_views(*sides, skip=skip, methods=("GET", "DELETE"))

    assert [str(one) for one in walk.leaks] == []
    assert "GET /api/v1/alerts/routes/<uid>/" in walk.asked
    assert "GET /api/v1/claims/" in walk.asked


# -- models ------------------------------------------------------------------------------------


def test_models_that_keep_tenants_apart_pass(sides):
    assert_models_isolated(*sides, models=[Route, Channel, CsvTemplate])


def test_a_model_without_rows_proves_nothing(sides):
    with enter(sides[1].tenant):
        Route.objects.all().delete()
    with pytest.raises(AssertionError, match="has no row of lakeview"):
        assert_models_isolated(*sides, models=[Route])

    assert_models_isolated(*sides, models=[Route], without_rows=[Route])


def test_a_site_without_models_of_tenants_is_told_so(sides):
    with pytest.raises(AssertionError, match="there are no models of tenants"):
        assert_models_isolated(*sides)


def test_a_manager_that_sees_everybody_is_caught(sides):
    with isolate_apps("claimkit_django.alerts"):

        class Leaky(Route):
            objects = TenantManager()
            everything = UnscopedManager()

            class Meta(TenantModel.Meta):
                abstract = False
                proxy = True
                app_label = "claimkit_alerts"

        found = {str(one) for one in find_model_leaks(*sides, models=[Leaky])}

    for route in ("all()", "count()", "aggregate()", "update()", "delete()", "union()"):
        assert f"claimkit_alerts.Leaky.everything: {route} reaches rows of another tenant" in found
    assert "claimkit_alerts.Leaky.everything: answers where no tenant is in scope" in found
    assert not [one for one in found if ".objects:" in one]
    assert Route.unscoped.count() == 2


def test_a_model_that_belongs_to_nobody_is_caught(sides):
    with isolate_apps("claimkit_django.alerts"):

        class Stray(models.Model):
            class Meta:
                app_label = "claimkit_alerts"

        (leak,) = find_model_leaks(*sides, models=[Stray])

    assert str(leak) == "claimkit_alerts.Stray: does not inherit from TenantModel"
