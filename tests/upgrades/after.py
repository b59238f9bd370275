"""What today's claimkit makes of a database that an earlier one left; prints it as JSON.

Run by ``test_upgrade.py`` in a process of its own, on a database that holds one of the dumps.
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import django
from django.conf import settings

from tests.upgrades.live import lines


def tables() -> dict[str, list[str]]:
    """Return our tables with their columns, as the database has them now."""
    from django.db import connection

    found = {}
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            if name.startswith("claimkit_"):
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)} LIMIT 0")
                found[name] = sorted(one[0] for one in cursor.description)
    return found


def rows(columns: dict[str, list[str]]) -> dict[str, list[dict[str, object]]]:
    """Return what the columns hold."""
    from django.db import connection

    found = {}
    with connection.cursor() as cursor:
        for name, wanted in columns.items():
            quoted = ", ".join(map(connection.ops.quote_name, wanted))
            cursor.execute(f"SELECT {quoted} FROM {connection.ops.quote_name(name)}")
            found[name] = [dict(zip(wanted, row, strict=True)) for row in cursor.fetchall()]
    return found


def changed(
    before: dict[str, list[dict[str, object]]],
    after: dict[str, list[dict[str, object]]],
    columns: dict[str, list[str]],
) -> dict[str, int]:
    """Return how many rows of each table are no longer there as they were, in these columns."""
    found = {}
    for name, wanted in columns.items():
        then = sorted(repr([row[one] for one in wanted]) for row in before[name])
        now = sorted(repr([row[one] for one in wanted]) for row in after[name])
        if then != now:
            found[name] = len(set(then) - set(now)) or abs(len(then) - len(now))
    return found


def call(name: str, *arguments: str, **options: object) -> str:
    """Return what a command printed."""
    from django.core.management import call_command

    out = io.StringIO()
    call_command(name, *arguments, stdout=out, **options)
    return out.getvalue()


def read_again() -> dict[str, str]:
    """Import the same files once more, and watch, by today's code."""
    told = {}
    path = Path(settings.MEDIA_ROOT) / "export.csv"
    for key, days in (("northside", 240), ("lakeview", 40)):
        path.write_text(lines(days=days))
        told[f"import {key}"] = call("claimkit_import", str(path), tenant=key)
        told[f"watch {key}"] = call("claimkit_watch", tenant=key)
    return told


def cells() -> list[str]:
    """Return the cube of decisions, by every column but its keys."""
    from django.db import connection

    from claimkit_django.drift.models import CubeDecision

    table = CubeDecision._meta.db_table
    columns = [one.column for one in CubeDecision._meta.local_concrete_fields if one.name != "id"]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")
        return sorted(map(repr, cursor.fetchall()))


def doctor() -> dict[str, object]:
    """Return what the doctor finds wrong."""
    out = io.StringIO()
    try:
        from django.core.management import call_command

        call_command("claimkit_doctor", format="json", stdout=out)
    except SystemExit:
        pass
    return {one["check"]: one for one in json.loads(out.getvalue())["findings"]}


def pages() -> dict[str, int]:
    """Sign in with the password of then, and look at the finding, its alert and its claims."""
    from django.test import Client

    from claimkit_django.drift.models import Finding
    from claimkit_django.tenants.models import Tenant
    from claimkit_django.tenants.scope import enter

    browser = Client()
    assert browser.login(username="dora", password="zorglub-417")
    browser.post("/dashboard/organizations/", {"tenant": "northside"})
    with enter(Tenant.objects.get(key="northside")):
        uid = Finding.objects.get().uid
    urls = ["/dashboard/", f"/dashboard/findings/{uid}/", "/dashboard/alerts/"]
    return {one: browser.get(one).status_code for one in urls}


def main() -> None:
    """Migrate, compare, and go on with the work."""
    django.setup()
    settings.MEDIA_ROOT = tempfile.mkdtemp()
    then = tables()
    before = rows(then)
    call("migrate", verbosity=0)
    now = tables()
    kept = {
        name: [one for one in columns if one in now[name]]
        for name, columns in then.items()
        if name in now
    }
    differing = changed(before, rows(kept), kept)
    call("makemigrations", check=True, dry_run=True, verbosity=0)
    told = read_again()
    by_upkeep = cells()
    call("claimkit_rebuild_cube", all=True)
    print(
        json.dumps(
            {
                "counted": {name: len(found) for name, found in before.items()},
                "gone": sorted(set(then) - set(now)),
                "dropped": sorted(
                    f"{name}.{one}" for name in kept for one in set(then[name]) - set(kept[name])
                ),
                "changed": differing,
                "told": told,
                "cells": by_upkeep == cells(),
                "audit": json.loads(call("claimkit_audit_verify", format="json")),
                "doctor": doctor(),
                "pages": pages(),
            }
        )
    )


if __name__ == "__main__":
    main()
