"""Work on requests, exports, and the start of commands."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from work import Work

#: Requests of each kind.
_REQUESTS = 200
_PAGE = 50


# -- requests ---------------------------------------------------------------------------------------


def first_page(work: Work) -> dict[str, float]:
    site = work.site()
    return _asked(work, lambda: site.get("/api/v1/claims/"))


def deep_page(work: Work) -> dict[str, float]:
    site = work.site()
    return _asked(work, lambda: site.get(site.deep))


def not_modified(work: Work) -> dict[str, float]:
    site = work.site()
    return _asked(work, lambda: site.get("/api/v1/claims/", etag=site.etag))


def dashboard(work: Work) -> dict[str, float]:
    site = work.site()
    return _asked(work, lambda: site.get("/api/v1/dashboard/"))


def dashboard_usually(work: Work) -> dict[str, float]:
    """Sums of this month and the one before, over claims."""
    from django.db.models import Count, Q, Sum

    from claimkit.tenants import use_tenant
    from claimkit_django.claims.models import Claim

    def ask() -> None:
        rows = Claim.objects.filter(decided_on__gt=dt.date(2025, 11, 5))
        rows.aggregate(
            Count("pk"), Sum("charge"), Sum("paid"), denied=Count("pk", filter=Q(outcome=2))
        )

    site = work.site()
    with use_tenant(site.tenant.key):
        return _asked(work, ask)


def first_page_usually(work: Work) -> dict[str, float]:
    return _usual_page(work, 1)


def deep_page_usually(work: Work) -> dict[str, float]:
    site = work.site()
    return _usual_page(work, min(1_000, site.claims // 2 // _PAGE))


def _usual_page(work: Work, page: int) -> dict[str, float]:
    """A page by number with a count, as REST framework's generic views give it."""
    from rest_framework import generics, pagination, serializers
    from rest_framework.test import APIRequestFactory

    from claimkit.tenants import use_tenant
    from claimkit_django.claims.models import Claim

    class Rows(serializers.ModelSerializer[Any]):
        class Meta:
            model = Claim
            exclude = ("tenant",)

    class Pages(pagination.PageNumberPagination):
        page_size = _PAGE

    class List(generics.ListAPIView[Any]):
        authentication_classes = ()
        permission_classes = ()
        serializer_class = Rows
        pagination_class = Pages

        def get_queryset(self) -> Any:
            return Claim.objects.order_by("-listed_on", "-id")

    view, asks = List.as_view(), APIRequestFactory()
    site = work.site()
    with use_tenant(site.tenant.key):
        return _asked(work, lambda: view(asks.get("/", {"page": page})).render())


def page_bare(work: Work) -> dict[str, float]:
    """Fifty rows by their index, as ``json`` writes them."""
    from django.db import connection

    site = work.site()

    def ask() -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT * FROM claimkit_claims_claim WHERE tenant_id = %s"
                " ORDER BY listed_on DESC, id DESC LIMIT 51",
                [site.tenant.pk],
            )
            return json.dumps(cursor.fetchall(), default=str)

    return _asked(work, ask)


def _asked(work: Work, ask: Callable[[], object]) -> dict[str, float]:
    ask()

    def act() -> None:
        for _ in range(_REQUESTS):
            ask()

    return work.timed(_REQUESTS, act)


# -- exports and reports ------------------------------------------------------------------------------


def export_csv(work: Work) -> dict[str, float]:
    return _exported(work, "csv")


def export_xlsx(work: Work) -> dict[str, float]:
    return _exported(work, "xlsx")


def _exported(work: Work, form: str) -> dict[str, float]:
    from claimkit.reports.exports import write_export
    from claimkit.tenants import use_tenant
    from claimkit_django.claims.exports import ClaimExport

    site = work.site()
    source = ClaimExport("default")
    offered = {one.name: one for one in source.columns}
    columns = [offered[name] for name in _COLUMNS]

    def act() -> None:
        with Path("/dev/null").open("wb") as out:
            write_export(form, columns, source.batches(_COLUMNS, None, None), out)

    with use_tenant(site.tenant.key):
        return work.timed(site.claims, act)


_COLUMNS = (
    *("uid", "payer", "procedure_group", "outcome", "category", "reason", "service_from"),
    *("submitted_on", "decided_on", "lag_days", "charge", "allowed", "paid"),
)


def export_usually(work: Work) -> dict[str, float]:
    """``csv.writer`` over all model objects."""
    from claimkit.tenants import use_tenant
    from claimkit_django.claims.models import Claim

    def act() -> None:
        rows = csv.writer(io.StringIO())
        for claim in list(Claim.objects.all()):
            rows.writerow([getattr(claim, name) for name in _COLUMNS])

    site = work.site()
    with use_tenant(site.tenant.key):
        return work.timed(site.claims, act)


def copy_to(work: Work) -> dict[str, float]:
    from django.db import connection

    site = work.site()
    columns = ", ".join(["claim_key", *_COLUMNS[1:]])

    def act() -> None:
        with (
            connection.cursor() as cursor,
            cursor.copy(
                f"COPY (SELECT {columns} FROM claimkit_claims_claim"
                f" WHERE tenant_id = {int(site.tenant.pk)}) TO STDOUT (FORMAT csv)"
            ) as copy,
        ):
            for _ in copy:
                pass

    return work.timed(site.claims, act)


# -- starting up --------------------------------------------------------------------------------------


def start_claimkit(work: Work) -> dict[str, float]:
    return _started([str(Path(sys.executable).with_name("claimkit")), "--version"])


def start_django(work: Work) -> dict[str, float]:
    return _started([str(Path(sys.executable).with_name("django-admin")), "--version"])


def start_python(work: Work) -> dict[str, float]:
    return _started([sys.executable, "-c", "pass"])


def _started(command: list[str]) -> dict[str, float]:
    times = 5
    began = os.times()
    for _ in range(times):
        subprocess.run(command, check=True, capture_output=True)
    ended = os.times()
    spent = ended.children_user - began.children_user
    spent += ended.children_system - began.children_system
    return {"units": times, "client": spent, "server": 0.0}
