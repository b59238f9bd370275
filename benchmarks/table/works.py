"""Pieces of work for the table, each measured in a process of its own: ``works.py NAME URL FILE SERVER``.

Prints one JSON object: how many ``units`` were done, CPU seconds of ``client`` and ``server``, and
``peak_mb``. Setting up is not part of it. "Usual" is what a Django site without claimkit would write for
the same; "bare" is the least that the tool below can do it with.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

_BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_BENCHMARKS.parent), str(_BENCHMARKS / "api"), str(_BENCHMARKS / "imports")]

from cpu import Server, Stopwatch, peak_megabytes  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from site_of_requests import Site

#: Requests of each kind.
_REQUESTS = 200
_PAGE = 50
_BATCH = 5_000


class _Work:
    """The site, the file and the watch of one measurement."""

    def __init__(self, url: str, file: Path, postmaster: str) -> None:
        self.file = file
        self._server = Server(int(postmaster) if url.startswith("postgres") else None)
        if url:
            from site_of_requests import configure

            configure(url)

    def site(self) -> Site:
        from site_of_requests import Site

        from claimkit_django.claims.models import Claim

        site = Site()
        site.look_up(Claim.unscoped.count())
        return site

    def timed(self, units: float, act: Callable[[], object]) -> dict[str, float]:
        watch = Stopwatch(self._server)
        act()
        told = watch.read()
        return {"units": units, "client": told["client"], "server": told["server"]}


def main() -> None:
    name, url, file, postmaster = sys.argv[1:]
    work = _Work(url, Path(file), postmaster)
    told = globals()[name](work) or {}
    print(json.dumps({**told, "peak_mb": round(peak_megabytes(), 1)}))


# -- databases ----------------------------------------------------------------------------------


def make_tables(work: _Work) -> None:
    from django.core.management import call_command
    from site_of_requests import Site

    call_command("migrate", verbosity=0)
    Site()


def fill(work: _Work) -> None:
    """Add claims, as many as the file says, and their cube."""
    from site_of_requests import Site

    from claimkit.types import TenantKey
    from claimkit_django.drift.runs import run_rebuild

    site = Site()
    site.grow(int(work.file.read_text(encoding="ascii")))
    run_rebuild(TenantKey(site.tenant.key))


# -- reading --------------------------------------------------------------------------------------


def read_csv(work: _Work) -> dict[str, float]:
    from claimkit.claims.intake import preview_claims
    from claimkit.plugins import load_plugins

    plugins = load_plugins()

    def act() -> None:
        with work.file.open("rb") as stream:
            preview_claims(stream, name=work.file.name, plugins=plugins)

    return work.timed(_rows(work.file), act)


def read_csv_typed(work: _Work) -> dict[str, float]:
    """Rows of ``csv`` with their dates and amounts made and checked, in flat memory."""

    def act() -> None:
        for _ in _typed(work.file):
            pass

    return work.timed(_rows(work.file), act)


# -- imports --------------------------------------------------------------------------------------


def import_file(work: _Work) -> dict[str, float]:
    from django.core.files.base import ContentFile
    from site_of_requests import Site

    from claimkit.tenants import use_tenant
    from claimkit.types import TenantKey
    from claimkit_django.claims.intake import run_import
    from claimkit_django.claims.models import Upload

    tenant = Site().tenant
    data = work.file.read_bytes()
    with use_tenant(tenant.key):
        upload = Upload.objects.create(
            tenant=tenant,
            file=ContentFile(data, name=work.file.name),
            name=work.file.name,
            bytes_total=len(data),
            known_on=dt.date(2026, 7, 1),
        )
        told = work.timed(0, lambda: run_import(TenantKey(tenant.key), upload.uid))
        upload.refresh_from_db()
    claims = upload.claims_new + upload.claims_changed + upload.claims_same
    return {**told, "units": _rows(work.file) if work.file.suffix == ".csv" else claims}


def import_usually(work: _Work) -> dict[str, float]:
    """Model objects and ``bulk_create`` with ``ignore_conflicts``, by the thousand; claims only."""
    from site_of_requests import Site

    from claimkit.tenants import use_tenant
    from claimkit_django.claims.models import Claim

    tenant = Site().tenant

    def act() -> None:
        batch = []
        for number, (day, charge, allowed, paid) in enumerate(_typed(work.file)):
            batch.append(
                Claim(
                    tenant=tenant,
                    claim_key=number,
                    patient_control_number=str(number),
                    listed_on=day,
                    service_from=day,
                    decided_on=day,
                    **dict.fromkeys(_CODES, 0),
                    charge=charge,
                    allowed=allowed,
                    paid=paid,
                )
            )
            if len(batch) == _BATCH:
                Claim.objects.bulk_create(batch, ignore_conflicts=True, batch_size=1_000)
                batch.clear()
        Claim.objects.bulk_create(batch, ignore_conflicts=True, batch_size=1_000)

    with use_tenant(tenant.key):
        return work.timed(_rows(work.file), act)


_CODES = (
    *("payer", "procedure_code", "procedure_group", "facility", "line_of_business", "provider"),
    *("category", "reason", "remark", "first_category", "first_reason", "upload", "outcome"),
    *("first_outcome", "position"),
)


def import_bare(work: _Work) -> dict[str, float]:
    """Texts into one table with one key: COPY into a stage and ON CONFLICT, or ``executemany``."""
    from django.db import connection, transaction

    columns = ", ".join(f"c{at} text" for at in range(13))
    marks = ", ".join(["%s"] * 14)
    merge = " ON CONFLICT (claim) DO UPDATE SET c1 = excluded.c1"

    def act() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE bare (claim text PRIMARY KEY, {columns})")
            for rows in _batches(work.file):
                with transaction.atomic():
                    if connection.vendor == "sqlite":
                        cursor.executemany(f"INSERT INTO bare VALUES ({marks}){merge}", rows)
                        continue
                    cursor.execute("CREATE TEMPORARY TABLE stage (LIKE bare) ON COMMIT DROP")
                    with cursor.copy("COPY stage FROM STDIN") as copy:
                        for row in rows:
                            copy.write_row(row)
                    cursor.execute(
                        f"INSERT INTO bare SELECT DISTINCT ON (claim) * FROM stage{merge}"
                    )

    return work.timed(_rows(work.file), act)


# -- the cube ---------------------------------------------------------------------------------------


def rebuild(work: _Work) -> dict[str, float]:
    from claimkit.types import TenantKey
    from claimkit_django.drift.runs import run_rebuild

    site = work.site()
    return work.timed(site.claims, lambda: run_rebuild(TenantKey(site.tenant.key)))


def group_by(work: _Work) -> dict[str, float]:
    """The cells of decisions by one ``GROUP BY`` of the database, kept nowhere."""
    site = work.site()
    return work.timed(site.claims, lambda: _grouped(site))


def night(work: _Work) -> dict[str, float]:
    from claimkit.types import TenantKey
    from claimkit_django.drift.runs import run_watch

    site = work.site()
    key = TenantKey(site.tenant.key)
    run_watch(key)
    return work.timed(1, lambda: run_watch(key))


def night_usually(work: _Work) -> dict[str, float]:
    """Denial rates of each payer and group, this month against the one before, over all claims."""
    from django.db.models import Count, Q

    from claimkit.tenants import use_tenant
    from claimkit_django.claims.models import Claim

    def act() -> None:
        now = Q(decided_on__gt=dt.date(2025, 12, 3))
        rows = Claim.objects.values("payer", "procedure_group").annotate(
            now=Count("pk", filter=now),
            denied=Count("pk", filter=now & Q(outcome=2)),
            before=Count("pk", filter=~now),
            denied_before=Count("pk", filter=~now & Q(outcome=2)),
        )
        list(rows)

    site = work.site()
    with use_tenant(site.tenant.key):
        return work.timed(1, act)


def _grouped(site: Any) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT first_decided_on, payer, procedure_group, first_outcome, first_reason,"
            " first_decided_on - submitted_on, count(*), sum(charge), sum(allowed), sum(paid)"
            " FROM claimkit_claims_claim WHERE tenant_id = %s AND first_decided_on IS NOT NULL"
            " GROUP BY 1, 2, 3, 4, 5, 6",
            [site.tenant.pk],
        )
        return len(cursor.fetchall())


# -- requests ---------------------------------------------------------------------------------------


def first_page(work: _Work) -> dict[str, float]:
    site = work.site()
    return _asked(work, lambda: site.get("/api/v1/claims/"))


def deep_page(work: _Work) -> dict[str, float]:
    site = work.site()
    return _asked(work, lambda: site.get(site.deep))


def not_modified(work: _Work) -> dict[str, float]:
    site = work.site()
    return _asked(work, lambda: site.get("/api/v1/claims/", etag=site.etag))


def dashboard(work: _Work) -> dict[str, float]:
    site = work.site()
    return _asked(work, lambda: site.get("/api/v1/dashboard/"))


def dashboard_usually(work: _Work) -> dict[str, float]:
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


def first_page_usually(work: _Work) -> dict[str, float]:
    return _usual_page(work, 1)


def deep_page_usually(work: _Work) -> dict[str, float]:
    site = work.site()
    return _usual_page(work, min(1_000, site.claims // 2 // _PAGE))


def _usual_page(work: _Work, page: int) -> dict[str, float]:
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


def page_bare(work: _Work) -> dict[str, float]:
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


def _asked(work: _Work, ask: Callable[[], object]) -> dict[str, float]:
    ask()

    def act() -> None:
        for _ in range(_REQUESTS):
            ask()

    return work.timed(_REQUESTS, act)


# -- exports and reports ------------------------------------------------------------------------------


def export_csv(work: _Work) -> dict[str, float]:
    return _exported(work, "csv")


def export_xlsx(work: _Work) -> dict[str, float]:
    return _exported(work, "xlsx")


def _exported(work: _Work, form: str) -> dict[str, float]:
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


def export_usually(work: _Work) -> dict[str, float]:
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


def copy_to(work: _Work) -> dict[str, float]:
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


def start_claimkit(work: _Work) -> dict[str, float]:
    return _started([str(Path(sys.executable).with_name("claimkit")), "--version"])


def start_django(work: _Work) -> dict[str, float]:
    return _started([str(Path(sys.executable).with_name("django-admin")), "--version"])


def start_python(work: _Work) -> dict[str, float]:
    return _started([sys.executable, "-c", "pass"])


def _started(command: list[str]) -> dict[str, float]:
    import os

    times = 5
    began = os.times()
    for _ in range(times):
        subprocess.run(command, check=True, capture_output=True)
    ended = os.times()
    spent = ended.children_user - began.children_user
    spent += ended.children_system - began.children_system
    return {"units": times, "client": spent, "server": 0.0}


# -- rows of the file ---------------------------------------------------------------------------------


def _rows(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(1 for _ in stream) - 1


def _typed(file: Path) -> Iterator[tuple[dt.date, int, int | None, int]]:
    with file.open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            allowed = row["Allowed"]
            yield (
                dt.datetime.strptime(row["DOS"], "%m/%d/%Y").date(),  # noqa: DTZ007
                _cents(row["Charge Amount"]),
                _cents(allowed) if allowed else None,
                _cents(row["Ins Paid"] or "0"),
            )


def _cents(text: str) -> int:
    return round(100 * float(text.replace("$", "").replace(",", "")))


def _batches(file: Path) -> Iterator[list[list[str]]]:
    with file.open(encoding="utf-8", newline="") as text:
        rows = csv.reader(text)
        next(rows)
        batch: list[list[str]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        yield batch


if __name__ == "__main__":
    main()
