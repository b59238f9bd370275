"""Exports of claims against the bare limit of PostgreSQL and the usual way, in one run.

``bench.py`` writes 200,000 claims, ``--rows 1000000`` a million, ``--database sqlite`` from a file.
The limit is ``COPY … TO`` of the same columns with their names joined; the usual way is what most
sites do, ``csv.writer`` over all rows in memory. CPU seconds are those of this process and of the
server. It fails where a ratio falls below half of what was measured, or where memory grows with
the rows.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent.parent
sys.path[:0] = [str(_ROOT), str(_HERE.parent / "imports")]

import psycopg  # noqa: E402
from cpu import Server, Stopwatch, peak_megabytes  # noqa: E402
from site_of_imports import set_up, tenant  # noqa: E402

from tests.postgres import postgres_url, stop  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

#: Rows per CPU second as a part of what COPY does; half of what was measured.
_FLOOR = 0.16
#: Rows per CPU second as a multiple of the usual way; half of what was measured.
_LEAST_GAIN = 2.0
#: Megabytes that memory may grow while most of the rows are written.
_MAX_GROWTH = 30
#: Rows that the usual way gets: it keeps them all, two kilobytes each.
_MOST_IN_MEMORY = 200_000
_SERIES = """
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {rows})
"""
_MAKE = (
    """INSERT INTO claimkit_claims_dimension (tenant_id, axis, code, name)"""
    + _SERIES.format(rows=30)
    + """SELECT {tenant}, 'payer', n, 'Payer ' || n FROM series""",
    """INSERT INTO claimkit_claims_claim ({columns})""" + _SERIES + "SELECT {values} FROM series",
)
_DAY = {
    "postgresql": "DATE '2026-01-01' + (n % 300)::int",
    "sqlite": "date('2026-01-01', (n % 300) || ' days')",
}
_NAMES = (
    *("uid", "payer", "procedure_group", "outcome", "category", "reason", "service_from"),
    *("submitted_on", "decided_on", "lag_days", "charge", "allowed", "paid"),
    *("patient_responsibility", "first_pass"),
)


class _Sink(io.RawIOBase):
    """Takes bytes and forgets them."""

    def __init__(self) -> None:
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--formats", nargs="+", default=["csv", "ndjson", "parquet", "xlsx"])
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _report(asked.rows, asked.database, asked.formats, Path(folder))
    finally:
        stop()


def _database(name: str, folder: Path) -> tuple[str, Server]:
    """Return the URL of an empty database, and the server behind it."""
    if name == "sqlite":
        return f"sqlite://{folder / 'exports.sqlite3'}", Server(None)
    url = postgres_url()
    with psycopg.connect(url, autocommit=True) as connection:
        home = connection.execute("SHOW data_directory").fetchone()
        connection.execute("CREATE DATABASE exports")
    assert home is not None
    server = Server(int(Path(home[0], "postmaster.pid").read_text().split()[0]))
    return url.replace("@/postgres", "@/exports"), server


def _report(rows: int, database: str, formats: list[str], folder: Path) -> int:
    url, server = _database(database, folder)
    set_up(url, folder)
    with tenant() as row:
        _fill(row.pk, rows)
        ours = {
            form: _timed(f"claimkit {form}", rows, server, lambda form=form: _ours(form))
            for form in dict.fromkeys(["csv", *formats])
        }
        limit = None
        if database == "postgresql":
            limit = _timed("COPY TO (limit)", rows, server, lambda: _copy(row.pk))
        few = min(rows, _MOST_IN_MEMORY)
        usual = _timed("all rows, csv.writer", few, server, lambda: _usual(few))
    gain = ours["csv"][0] / usual[0]
    growth = max(grown for form, (_, grown) in ours.items() if form in {"csv", "ndjson"})
    ratio = ours["csv"][0] / limit[0] if limit else 1.0
    print(f"\ncsv is {gain:.1f} times the usual way (at least {_LEAST_GAIN})")
    if limit:
        print(f"csv is {ratio:.2f} of the limit (at least {_FLOOR})")
    print(f"memory grew by {growth:.0f} MB (at most {_MAX_GROWTH})")
    return int(ratio < _FLOOR or gain < _LEAST_GAIN or growth > _MAX_GROWTH)


def _fill(tenant_id: int, rows: int) -> None:
    from django.db import connection

    from claimkit_django.claims.models import Claim

    values = {
        "tenant_id": str(tenant_id),
        "claim_key": "CAST(n AS bigint) * 7919",
        "patient_control_number": "'A' || n",
        "payer": "1 + n % 30",
        "listed_on": _DAY[connection.vendor],
        "service_from": _DAY[connection.vendor],
        "decided_on": _DAY[connection.vendor],
        "charge": "10000 + n % 90000",
        "paid": "5000 + n % 40000",
        "allowed": "6000 + n % 50000",
        "lag_days": "n % 40",
        "first_pass": "true",
        "has_submission": "true",
        "has_decision": "true",
    }
    columns = [field.column for field in Claim._meta.concrete_fields if field.column != "id"]
    for field in Claim._meta.concrete_fields:
        if field.column not in values and field.column != "id":
            kind = field.get_internal_type()
            empty = "NULL" if field.null else "''" if kind == "TextField" else "0"
            values[field.column] = empty
    with connection.cursor() as cursor:
        for sql in _MAKE:
            cursor.execute(
                sql.format(
                    tenant=tenant_id,
                    rows=rows,
                    columns=", ".join(columns),
                    values=", ".join(values[one] for one in columns),
                )
            )
        cursor.execute("ANALYZE claimkit_claims_claim")


def _timed(what: str, rows: int, server: Server, work: Callable[[], int]) -> tuple[float, float]:
    """Return rows per CPU second, and by how many megabytes the peak of memory rose."""
    watch, peak = Stopwatch(server), peak_megabytes()
    size = work()
    seconds, grown = watch.read()["cpu"], peak_megabytes() - peak
    print(
        f"{what:<22} {rows / seconds:>10,.0f} rows/CPU s  {size / 1e6:>7.1f} MB  +{grown:.0f} MB memory"
    )
    return rows / seconds, grown


def _ours(form: str) -> int:
    from claimkit.reports.exports import write_export
    from claimkit_django.claims.exports import ClaimExport

    source = ClaimExport("default")
    offered = {one.name: one for one in source.columns}
    sink = _Sink()
    out = io.BytesIO() if form == "xlsx" else sink
    write_export(form, [offered[name] for name in _NAMES], source.batches(_NAMES, None, None), out)
    return out.tell() if isinstance(out, io.BytesIO) else sink.size


def _copy(tenant_id: int) -> int:
    from django.db import connection

    query = f"""COPY (SELECT c.claim_key, p.name, c.procedure_group, c.outcome, c.category, c.reason,
        c.service_from, c.submitted_on, c.decided_on, c.lag_days, c.charge / 100.0,
        c.allowed / 100.0, c.paid / 100.0, c.patient_responsibility / 100.0, c.first_pass
        FROM claimkit_claims_claim c LEFT JOIN claimkit_claims_dimension p
        ON p.tenant_id = c.tenant_id AND p.code = c.payer
        WHERE c.tenant_id = {int(tenant_id)}) TO STDOUT (FORMAT csv)"""
    size = 0
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for block in copy:
            size += len(block)
    return size


def _usual(rows_wanted: int) -> int:
    from claimkit_django.claims.models import Claim

    text = io.StringIO()
    rows = csv.writer(text)
    for claim in list(Claim.objects.all()[:rows_wanted]):
        rows.writerow([getattr(claim, name) for name in _NAMES])
    return text.tell()


if __name__ == "__main__":
    sys.exit(main())
