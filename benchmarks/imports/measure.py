"""One measurement in a process of its own: ``measure.py WHAT URL FILE [--postmaster PID]``.

Prints one JSON object. A fresh process for each, because peak memory cannot be reset, and because
imports of one site would warm the next one's caches.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import site_of_imports as site
from cpu import Server, Stopwatch, peak_megabytes
from files import rows_by_the_thousand

_BARE = "claim text PRIMARY KEY, " + ", ".join(f"c{at} text" for at in range(13))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=sorted(_WORK))
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--postmaster", type=int)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    server = Server(asked.postmaster)
    if asked.profile:
        import cProfile
        import pstats

        profile = cProfile.Profile()
        profile.enable()
        told = _WORK[asked.what](asked.url, asked.file, server)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    else:
        told = _WORK[asked.what](asked.url, asked.file, server)
    print(json.dumps({"what": asked.what, **told, "peak_mb": round(peak_megabytes(), 1)}))


def imported(url: str, file: Path, server: Server) -> dict[str, Any]:
    """The real way: an upload's file through the pipeline of the Django apps."""
    with tempfile.TemporaryDirectory() as media:
        site.set_up(url, Path(media))
        from django.core.files import File

        from claimkit.types import TenantKey
        from claimkit_django.claims.intake import run_import
        from claimkit_django.claims.models import Upload

        with site.tenant() as tenant:
            with file.open("rb") as stream:
                upload = Upload.objects.create(
                    tenant=tenant,
                    file=File(stream, name=file.name),
                    name=file.name,
                    bytes_total=file.stat().st_size,
                    known_on=dt.date(2026, 7, 1),
                )
            watch = Stopwatch(server)
            ended = run_import(TenantKey(site.TENANT), upload.uid)
            told = watch.read()
    if ended.status not in (Upload.Status.SUCCESS, Upload.Status.PARTIAL):
        raise SystemExit(f"{ended.status}: {ended.error_code} {ended.error_message}")
    counts = {name: getattr(ended, f"claims_{name}") for name in ("new", "changed", "same")}
    return {**told, **counts, "rejected": ended.rows_rejected}


def rebuilt(url: str, file: Path, server: Server) -> dict[str, Any]:
    """The cube from all claims."""
    with tempfile.TemporaryDirectory() as media:
        site.set_up(url, Path(media))
        from claimkit.types import TenantKey
        from claimkit_django.drift.runs import run_rebuild

        with site.tenant():
            watch = Stopwatch(server)
            claims = run_rebuild(TenantKey(site.TENANT))
            return {**watch.read(), "claims": claims}


def bare_copy(url: str, file: Path, server: Server) -> dict[str, Any]:
    """The limit on PostgreSQL: csv, COPY into a stage, INSERT … ON CONFLICT, as text, one key."""
    import psycopg

    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS bare ({_BARE})")
        cursor.execute("CREATE TEMPORARY TABLE stage (LIKE bare)")
        connection.commit()
        watch = Stopwatch(server)
        total = 0
        for rows in rows_by_the_thousand(file):
            with cursor.copy("COPY stage FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                "INSERT INTO bare SELECT DISTINCT ON (claim) * FROM stage"
                " ON CONFLICT (claim) DO UPDATE SET c1 = excluded.c1"
            )
            cursor.execute("TRUNCATE stage")
            connection.commit()
            total += len(rows)
        return {**watch.read(), "new": total}


def bare_executemany(url: str, file: Path, server: Server) -> dict[str, Any]:
    """The limit on SQLite: csv, ``executemany``, as text, one key."""
    with sqlite3.connect(url.removeprefix("sqlite://"), isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"CREATE TABLE IF NOT EXISTS bare ({_BARE})")
        watch = Stopwatch(server)
        total = 0
        marks = ", ".join("?" * 14)
        for rows in rows_by_the_thousand(file):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                f"INSERT INTO bare VALUES ({marks}) ON CONFLICT (claim) DO UPDATE SET c1 = excluded.c1",
                rows,
            )
            connection.execute("COMMIT")
            total += len(rows)
        return {**watch.read(), "new": total}


def read_only(url: str, file: Path, server: Server) -> dict[str, Any]:
    """The file as normalized claims, kept nowhere."""
    from claimkit.claims.intake import preview_claims
    from claimkit.plugins import load_plugins

    plugins = load_plugins()
    watch = Stopwatch(server)
    with file.open("rb") as stream:
        report = preview_claims(stream, name=file.name, plugins=plugins)
    return {**watch.read(), "new": report.claims}


_WORK = {
    "import": imported,
    "rebuild": rebuilt,
    "bare_copy": bare_copy,
    "bare_executemany": bare_executemany,
    "read": read_only,
}

if __name__ == "__main__":
    main()
