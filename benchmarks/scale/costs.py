"""What the work on one tenant costs, counted and timed."""

from __future__ import annotations

import datetime as dt
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpu import Server, Stopwatch, peak_megabytes
from files import write_export

if TYPE_CHECKING:
    from collections.abc import Callable

    from site_of_requests import Site

#: Rows of the file that is imported at each size.
_ROWS = 10_000
_READS = ("SELECT", "WITH")


class Costs:
    """Measures one site again and again, as its tenant grows."""

    def __init__(self, site: Site, rounds: int) -> None:
        self._site = site
        self._rounds = rounds
        self._files = 0
        self._server = Server(_postmaster())

    def measure(self) -> dict[str, dict[str, float]]:
        """Return name of the work → unit → cost."""
        site = self._site
        asked: dict[str, Callable[[], Any]] = {
            "claims, first page": lambda: site.get("/api/v1/claims/"),
            "claims, deep page": lambda: site.get(site.deep),
            "claims of one payer": lambda: site.get("/api/v1/claims/?payer=PAYER%203"),
            "one claim": lambda: site.get(site.detail),
            "304 of a list": lambda: site.get("/api/v1/claims/", etag=site.etag),
        }
        told = {name: self._request(ask) for name, ask in asked.items()}
        told["cube from all claims"] = self._rebuild()
        told[f"import of {_ROWS:,} rows"] = self._import()
        told["a night"] = self._night()
        for name, address in (
            ("payer summary", "/api/v1/claims/payer-summary/"),
            ("dashboard", "/api/v1/dashboard/"),
        ):
            told[name] = self._request(lambda address=address: site.get(address))
        return told

    def _request(self, ask: Callable[[], Any]) -> dict[str, float]:
        """Return what one request costs: all of the way through the middleware, in process."""
        assert ask().status_code in {200, 304}
        times = []
        for _ in range(self._rounds):
            began = time.perf_counter()
            ask()
            times.append(1_000 * (time.perf_counter() - began))
        statements, pages = _counted(ask)
        cut = sorted(times)[int(0.99 * (len(times) - 1))]
        return {
            "statements": statements,
            "pages": pages,
            "ms": statistics.median(times),
            "p99_ms": cut,
        }

    def _rebuild(self) -> dict[str, float]:
        from django.db import connection

        from claimkit.types import TenantKey
        from claimkit_django.drift.runs import run_rebuild

        watch = Stopwatch(self._server)
        run_rebuild(TenantKey(self._site.tenant.key))
        cpu = watch.read()["cpu"]
        cells = _value("SELECT count(*) FROM claimkit_drift_cubedecision")
        with connection.cursor() as cursor:
            # What a rebuild leaves behind is taken away within a minute or so on a site.
            cursor.execute("VACUUM ANALYZE claimkit_drift_cubedecision")
        return {"cpu": cpu, "cells": cells}

    def _import(self) -> dict[str, float]:
        """Import a file of claims that are not there yet."""
        from django.core.files.base import ContentFile
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        from claimkit.tenants import use_tenant
        from claimkit.types import TenantKey
        from claimkit_django.claims.intake import run_import
        from claimkit_django.claims.models import Upload

        self._files += 1
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fresh.csv"
            write_export(path, _ROWS, seed=self._files)
            # Other claim numbers than those of the files before.
            header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        text = header + "".join(f"{self._files}F{line}" for line in lines)
        key = TenantKey(self._site.tenant.key)
        with use_tenant(key):
            upload = Upload.objects.create(
                tenant=self._site.tenant,
                file=ContentFile(text.encode(), name="fresh.csv"),
                name="fresh.csv",
                bytes_total=len(text),
                known_on=dt.date(2026, 7, 1),
            )
            logged, held = _log_position(), _bytes_held()
            watch = Stopwatch(self._server)
            with CaptureQueriesContext(connection) as seen:
                ended = run_import(key, upload.uid)
        assert ended.claims_new, ended.error_message
        return {
            "statements": len(seen),
            "cpu_us_per_row": 1e6 * watch.read()["cpu"] / _ROWS,
            "wal_per_row": (_log_position() - logged) / _ROWS,
            "bytes_per_row": (_bytes_held() - held) / _ROWS,
        }

    def _night(self) -> dict[str, float]:
        """Watch the tenant as it is watched every night; the first one of a size warms up."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        from claimkit.types import TenantKey
        from claimkit_django.drift.runs import run_watch

        key = TenantKey(self._site.tenant.key)
        run_watch(key)
        watch = Stopwatch(self._server)
        with CaptureQueriesContext(connection) as seen:
            run_watch(key)
        return {
            "statements": len(seen),
            "cpu": watch.read()["cpu"],
            "megabytes": peak_megabytes(),
        }


def _counted(ask: Callable[[], Any]) -> tuple[int, int]:
    """Return how many statements a request makes, and how many pages its reads touch."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as seen:
        ask()
    pages = 0
    with connection.cursor() as cursor:
        for one in seen.captured_queries:
            if one["sql"].startswith(_READS):
                cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + one["sql"])
                plan = cursor.fetchone()[0][0]["Plan"]
                pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return len(seen), pages


def _log_position() -> int:
    return int(_value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))


def _bytes_held() -> int:
    """Return what the tables of claims take with their indexes."""
    return int(
        _value(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relkind = 'r' AND relname LIKE 'claimkit\\_claims\\_%'"
        )
    )


def _postmaster() -> int:
    home = _value("SELECT current_setting('data_directory')")
    return int(Path(home, "postmaster.pid").read_text(encoding="ascii").split()[0])


def _value(sql: str) -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]
