"""Work on files, claims and the cube."""

from __future__ import annotations

import csv
import datetime as dt
from typing import TYPE_CHECKING, Any

from files import rows_by_the_thousand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from work import Work

#: Model objects that are inserted at a time.
_BATCH = 5_000


# -- databases ----------------------------------------------------------------------------------


def make_tables(work: Work) -> None:
    from django.core.management import call_command
    from site_of_requests import Site

    call_command("migrate", verbosity=0)
    Site()


def fill(work: Work) -> None:
    """Add claims, as many as the file says, and their cube."""
    from site_of_requests import Site

    from claimkit.types import TenantKey
    from claimkit_django.drift.runs import run_rebuild

    site = Site()
    site.grow(int(work.file.read_text(encoding="ascii")))
    run_rebuild(TenantKey(site.tenant.key))


# -- reading --------------------------------------------------------------------------------------


def read_csv(work: Work) -> dict[str, float]:
    from claimkit.claims.intake import preview_claims
    from claimkit.plugins import load_plugins

    plugins = load_plugins()

    def act() -> None:
        with work.file.open("rb") as stream:
            preview_claims(stream, name=work.file.name, plugins=plugins)

    return work.timed(_rows(work.file), act)


def read_csv_typed(work: Work) -> dict[str, float]:
    """Rows of ``csv`` with their dates and amounts made and checked, in flat memory."""

    def act() -> None:
        for _ in _typed(work.file):
            pass

    return work.timed(_rows(work.file), act)


# -- imports --------------------------------------------------------------------------------------


def import_file(work: Work) -> dict[str, float]:
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


def import_usually(work: Work) -> dict[str, float]:
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


def import_bare(work: Work) -> dict[str, float]:
    """Texts into one table with one key: COPY into a stage and ON CONFLICT, or ``executemany``."""
    from django.db import connection, transaction

    columns = ", ".join(f"c{at} text" for at in range(13))
    marks = ", ".join(["%s"] * 14)
    merge = " ON CONFLICT (claim) DO UPDATE SET c1 = excluded.c1"

    def act() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE bare (claim text PRIMARY KEY, {columns})")
            for rows in rows_by_the_thousand(work.file):
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


def rebuild(work: Work) -> dict[str, float]:
    from claimkit.types import TenantKey
    from claimkit_django.drift.runs import run_rebuild

    site = work.site()
    return work.timed(site.claims, lambda: run_rebuild(TenantKey(site.tenant.key)))


def group_by(work: Work) -> dict[str, float]:
    """The cells of decisions by one ``GROUP BY`` of the database, kept nowhere."""
    site = work.site()
    return work.timed(site.claims, lambda: _grouped(site))


def night(work: Work) -> dict[str, float]:
    from claimkit.types import TenantKey
    from claimkit_django.drift.runs import run_watch

    site = work.site()
    key = TenantKey(site.tenant.key)
    run_watch(key)
    return work.timed(1, lambda: run_watch(key))


def night_usually(work: Work) -> dict[str, float]:
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
