"""Imports and what befalls them: killed at every step, raced, without room, without their tenant.

Each ends as a run that nothing befell: the same counts, the same claims, the same cells.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claimkit.claims.ledger import facts_of
from claimkit.drift.cube import TABLES
from claimkit.drift.watch import CubeUpkeep, rebuild_cube
from claimkit.events import ClaimsChanged
from claimkit.testing.strategies import batches
from claimkit.types import TenantKey, day_of
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.integrity import row_checks
from claimkit_django.claims.models import Adjustment, Claim, ClaimEvent, ServiceLine, Upload
from claimkit_django.runtime import open_store
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import enter
from tests.postgres import durable_server

ROOT = Path(__file__).parents[3]
NORTHSIDE, LAKEVIEW = TenantKey("northside"), TenantKey("lakeview")
BATCH = 20
ROWS = 3 * BATCH
HEADER = "Claim ID,Payer,CPT,DOS,Submitted,Decision Date,Status,Billed,Allowed,Paid,Denial Code\n"


def export(series="A", count=ROWS):
    """Return an export: a tenth denied, one row twice, one row that cannot be taken."""
    lines = [HEADER]
    for n in range(count):
        said = "denied,120.00,0.00,0.00,CO-197" if n % 10 == 3 else "paid,120.00,100.00,80.00,"
        lines.append(
            f"{series}{n:04},Meridian Health,99213,2026-01-05,2026-01-06,2026-01-{10 + n % 18},{said}\n"
        )
    lines.append(lines[5])
    lines.append(f"{series}9999,Meridian Health,99213,2026-01-05,2026-01-06,,paid,much,1,1,\n")
    return "".join(lines).encode()


def cells_of(tenant, store=None):
    """Return the tenant's cube: table → its cells as texts, in no order."""
    cube = (store or open_store()).cube
    found = {}
    for name, table in TABLES.items():
        cells = cube.read(tenant, table)
        columns = [
            *([cells.names[axis][code] for code in cells.labels[axis]] for axis in table.labels),
            *(cells.numbers[axis].tolist() for axis in table.numbers),
            *(cells.measures[measure].tolist() for measure in table.measures),
        ]
        rows = [row for row in zip(*columns, strict=True) if any(row[-len(table.measures) :])]
        found[name] = sorted(map(str, rows))
    return found


def rows_of(tenant):
    """Return how many rows there are of each kind."""
    with enter(Tenant.objects.get(key=tenant)):
        return {one: one.objects.count() for one in (Claim, ClaimEvent, ServiceLine, Adjustment)}


def counts_of(upload):
    names = ("status", "claims_new", "claims_changed", "claims_same", "rows_rejected", "sha256")
    return {name: getattr(upload, name) for name in (*names, "batches_done", "kinds")}


def assert_like_undisturbed():
    assert all(cells_of(LAKEVIEW)[name] for name in ("decisions", "money", "inflow"))
    assert open_store().claims.totals(NORTHSIDE) == open_store().claims.totals(LAKEVIEW)
    assert rows_of(NORTHSIDE) == rows_of(LAKEVIEW)
    assert cells_of(NORTHSIDE) == cells_of(LAKEVIEW)


@pytest.fixture(autouse=True)
def small_batches(settings):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "CLAIMS": {"BATCH_SIZE": BATCH}}


@pytest.fixture
def media(tmp_path, settings):
    """Keep files where other processes read them."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path)},
        },
    }
    return tmp_path


@pytest.fixture
def upload(northside, lakeview, make_upload):
    def make(tenant, content):
        row = northside if tenant == NORTHSIDE else lakeview
        file = ContentFile(content, name="export.csv")
        return make_upload(row, file=file, bytes_total=len(content), name="export.csv")

    return make


#: Has everything loaded and forks an import for each line that it reads: the upload, and the point
#: at which it kills itself. Answers with the signal that ended it.
_NURSERY = """
import os, signal, sys
import django
django.setup()
from claimkit.types import TenantKey
from claimkit_django.claims import intake, writing
from claimkit_django.drift.store import OrmCubeStore

def cut(place, name, *, nth=1, after=False):
    act, seen = getattr(place, name), []

    def instead(*args, **kwargs):
        seen.append(name)
        told = act(*args, **kwargs) if after or len(seen) < nth else None
        if len(seen) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return told

    setattr(place, name, instead)

# A batch writes claims, events and lines that came as columns, then those of records and adjustments.
POINTS = {
    "nothing": lambda: None,
    "taken over": lambda: cut(intake, "_read"),
    "between claims and events": lambda: cut(writing, "insert_columns", nth=2),
    "between lines and adjustments": lambda: cut(writing, "insert_columns", nth=7),
    "claims without cells": lambda: cut(OrmCubeStore, "post"),
    "half of the cells": lambda: cut(OrmCubeStore, "post", nth=2),
    "counted, not committed": lambda: cut(intake._Notes, "take_batch", nth=2, after=True),
    "before the end": lambda: cut(intake._Notes, "finish"),
    "at the end": lambda: cut(intake._Notes, "finish", after=True),
}
for line in sys.stdin:
    uid, point = line.strip().split(" ", 1)
    pid = os.fork()
    if pid == 0:
        POINTS[point]()
        intake.run_import(TenantKey("northside"), uid)
        os._exit(0)
    if point == "nothing":
        print(pid, flush=True)
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
POINTS = (
    "taken over",
    "between claims and events",
    "between lines and adjustments",
    "claims without cells",
    "half of the cells",
    "counted, not committed",
    "before the end",
    "at the end",
)


@pytest.fixture
def nursery(transactional_db, media):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "DJANGO_SETTINGS_MODULE": "tests.projects.bare",
        "CLAIMKIT_TEST_NAME": str(connection.settings_dict["NAME"]),
        "CLAIMKIT_TEST_MEDIA": str(media),
        "CLAIMKIT_TEST_BATCH_SIZE": str(BATCH),
    }
    made = subprocess.Popen(
        [sys.executable, "-c", _NURSERY],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def start(waiting, point):
        made.stdin.write(f"{waiting.uid} {point}\n")
        made.stdin.flush()
        return int(made.stdout.readline())

    yield start
    made.stdin.close()
    made.wait(60)
    made.stdout.close()


def test_a_worker_killed_at_any_step_leaves_no_halves(nursery, upload):
    for number, point in enumerate(POINTS):
        content = export(f"K{number}-")
        undisturbed = run_import(LAKEVIEW, upload(LAKEVIEW, content).uid)
        waiting = upload(NORTHSIDE, content)

        ended_by = nursery(waiting, point)
        halfway = Upload.unscoped.get(uid=waiting.uid)
        ended = run_import(NORTHSIDE, waiting.uid)

        assert (point, ended_by) == (point, -9)
        assert (point, halfway.claims_new) == (point, min(halfway.batches_done * BATCH, ROWS))
        assert (point, counts_of(ended)) == (point, counts_of(undisturbed))
        assert_like_undisturbed()


def test_the_same_file_twice_at_once_is_in_once(nursery, upload):
    content = export()
    undisturbed = run_import(LAKEVIEW, upload(LAKEVIEW, content).uid)
    twice = [upload(NORTHSIDE, content) for _ in range(2)]
    for one in twice:
        nursery(one, "nothing")
    deadline = time.monotonic() + 120
    while Upload.unscoped.filter(finished_at=None).exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    ended = [Upload.unscoped.get(uid=one.uid) for one in twice]

    assert [one.status for one in ended] == [undisturbed.status] * 2
    assert sum(one.claims_new for one in ended) == undisturbed.claims_new
    assert sum(one.claims_new + one.claims_same for one in ended) == 2 * (
        undisturbed.claims_new + undisturbed.claims_same
    )
    assert_like_undisturbed()


@pytest.mark.django_db
def test_a_tenant_deactivated_on_the_way_keeps_what_is_in_and_takes_no_more(upload):
    content = export()
    undisturbed = run_import(LAKEVIEW, upload(LAKEVIEW, content).uid)
    waiting = upload(NORTHSIDE, content)

    def deactivate(step, done, total):
        Tenant.objects.filter(key=NORTHSIDE).update(active=False)

    stopped = run_import(NORTHSIDE, waiting.uid, progress=deactivate)
    Tenant.objects.update(active=True)
    ended = run_import(NORTHSIDE, waiting.uid)

    assert (stopped.status, stopped.error_code) == ("failed", "tenant_unknown")
    assert (stopped.batches_done, stopped.claims_new) == (1, BATCH)
    assert counts_of(ended) == counts_of(undisturbed)
    assert_like_undisturbed()


class _Scarce(io.FileIO):
    """A file on a disk that gives out after some of it was read, the first time."""

    full = False

    def read(self, size=-1):
        if type(self).full and self.tell() > 2_000:
            type(self).full = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().read(min(size, 1_500) if size > 0 else size)


class ScarceStorage(FileSystemStorage):
    def _open(self, name, mode="rb"):
        return File(_Scarce(self.path(name), mode))


@pytest.mark.django_db
def test_a_storage_without_room_fails_the_run_and_not_the_file(settings, tmp_path, upload):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": f"{__name__}.ScarceStorage",
            "OPTIONS": {"location": str(tmp_path)},
        },
    }
    content = export()
    undisturbed = run_import(LAKEVIEW, upload(LAKEVIEW, content).uid)
    waiting = upload(NORTHSIDE, content)
    _Scarce.full = True

    with pytest.raises(OSError, match="No space left"):
        run_import(NORTHSIDE, waiting.uid)
    stopped = Upload.unscoped.get(uid=waiting.uid)
    ended = run_import(NORTHSIDE, waiting.uid)

    assert (stopped.status, stopped.error_code) == ("failed", "internal_error")
    assert counts_of(ended) == counts_of(undisturbed)
    assert_like_undisturbed()


def ran(statement):
    """Run one statement; the connection may be another one than for the statement before."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone() if cursor.description else None


@contextmanager
def scarce_sqlite(path):
    """The database may grow by half a megabyte."""
    (pages,) = ran("PRAGMA page_count")
    ran(f"PRAGMA max_page_count = {pages + 128}")
    try:
        yield
    finally:
        ran("PRAGMA max_page_count = 1073741823")


@contextmanager
def scarce_postgres(path):
    """The claims are on a disk of their own, with room for half a megabyte more."""
    table = connection.ops.quote_name(Claim._meta.db_table)
    (size,) = ran(f"SELECT pg_table_size('{table}'::regclass) / 1024 + 512")
    disk = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tiny", path]
    subprocess.run(disk, check=True)
    try:
        shutil.chown(path, "postgres")
        path.chmod(0o700)
        ran(f"CREATE TABLESPACE tiny LOCATION '{path}'")
        try:
            ran(f"ALTER TABLE {table} SET TABLESPACE tiny")
            yield
        finally:
            ran(f"ALTER TABLE {table} SET TABLESPACE pg_default")
            ran("DROP TABLESPACE tiny")
    finally:
        subprocess.run(["umount", path], check=True)


def can_mount():
    """Whether this machine lets the tests have a disk of their own, and the server is here."""
    if connection.vendor == "sqlite":
        return True
    with tempfile.TemporaryDirectory() as path:
        mounted = (
            shutil.which("mount")
            and not subprocess.run(
                ["mount", "-t", "tmpfs", "tiny", path], check=False, capture_output=True
            ).returncode
        )
        if mounted:
            subprocess.run(["umount", path], check=True)
    return bool(mounted) and str(connection.settings_dict["HOST"]).startswith("/")


@pytest.mark.slow
@pytest.mark.skipif("not can_mount()", reason="a small disk needs the right to mount one")
@pytest.mark.django_db(transaction=True)
def test_a_database_without_room_keeps_whole_batches_and_says_so(
    northside, lakeview, make_upload, settings
):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "CLAIMS": {"BATCH_SIZE": 500}}
    content = export(count=4_000)

    def upload(tenant):
        file = ContentFile(content, name="export.csv")
        return make_upload(tenant, file=file, bytes_total=len(content), name="export.csv")

    undisturbed = run_import(LAKEVIEW, upload(lakeview).uid)
    waiting = upload(northside)
    disk = Path(tempfile.mkdtemp(dir="/tmp"))
    scarce = scarce_sqlite if connection.vendor == "sqlite" else scarce_postgres
    try:
        with scarce(disk), pytest.raises(DatabaseError, match=r"(?i)full|no space"):
            run_import(NORTHSIDE, waiting.uid)
    finally:
        disk.rmdir()
    stopped = Upload.unscoped.get(uid=waiting.uid)
    left = rows_of(NORTHSIDE)

    assert (stopped.status, stopped.error_code) == ("failed", "database_full")
    assert "make room" in stopped.error_message
    assert left[Claim] == stopped.claims_new < undisturbed.claims_new
    assert [one.look().figures for one in row_checks("default")] == [{}]

    ended = run_import(NORTHSIDE, waiting.uid)

    assert counts_of(ended) == counts_of(undisturbed)
    assert_like_undisturbed()


@pytest.mark.django_db
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(batches(max_size=6), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_cube_equals_a_rebuild_after_any_uploads(northside, sent, random):
    """Submissions, decisions, corrections and reversals of a few claims, in any order and again."""
    deliveries = [*sent, *random.sample(sent, k=random.randint(0, len(sent)))]
    random.shuffle(deliveries)
    with transaction.atomic():
        store = open_store()
        upkeep = CubeUpkeep(store.cube)
        for number, batch in enumerate(deliveries):
            known_on = northside.created_at.date()
            merged = store.claims.add(NORTHSIDE, batch, upload=f"upl_{number}", known_on=known_on)
            upkeep.handle(
                ClaimsChanged(
                    tenant=NORTHSIDE,
                    at=northside.created_at,
                    changes=merged.changes,
                    known_day=day_of(known_on),
                )
            )
        kept = cells_of(NORTHSIDE, store)
        facts = list(store.claims.facts_by_day(NORTHSIDE, batch_size=3))
        told = Counter(facts_of(one) for page in store.claims.scan(NORTHSIDE) for one in page)
        rebuild_cube(tenant=NORTHSIDE, cube=store.cube, facts=facts, known_on=known_on)
        rebuilt = cells_of(NORTHSIDE, store)
        transaction.set_rollback(True)

    assert kept == rebuilt
    assert Counter(chain.from_iterable(facts)) == told
    assert all(len(page) == 3 for page in facts[:-1])


#: Imports an export undisturbed, then again for another tenant whose database goes in the middle.
_RESTARTED = """
import json, sys
import django
django.setup()
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import DatabaseError, connection
from claimkit.drift.cube import TABLES
from claimkit.types import TenantKey
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.models import Upload
from claimkit_django.runtime import open_store
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import enter

content = sys.stdin.buffer.read(int(sys.argv[1]))
call_command("migrate", verbosity=0)

def imported(key, **values):
    tenant, _ = Tenant.objects.get_or_create(key=key, name=key)
    with enter(tenant):
        upload = Upload.objects.filter(name=key).first() or Upload.objects.create(
            file=ContentFile(content, name="export.csv"), bytes_total=len(content), name=key,
            known_on="2026-04-12")
    return run_import(TenantKey(key), upload.uid, **values)

def told(upload):
    store, key = open_store(), TenantKey(upload.name)
    cells = [store.cube.read(key, table) for table in TABLES.values()]
    names = ("status", "error_code", "claims_new", "claims_changed", "claims_same",
        "statements_same", "rows_rejected", "batches_done")
    return {**{name: getattr(upload, name) for name in names},
        "totals": str(store.claims.totals(key)),
        "cells": [sorted(column.tolist()) for one in cells for column in one.measures.values()]}

def vanish(step, done, total):
    if not vanished:
        vanished.append(step)
        print(json.dumps("now"), flush=True)
        sys.stdin.buffer.readline()

vanished = []
print(json.dumps(told(imported("lakeview"))), flush=True)
try:
    imported("northside", progress=vanish)
except DatabaseError:
    connection.close()
print(json.dumps(told(Upload.unscoped.get(name="northside"))), flush=True)
print(json.dumps(told(imported("northside"))), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a server to restart")
def test_a_database_that_restarts_in_the_middle_costs_a_second_run_only(media):
    """The batch that is in is counted once; what it had changed is no news to the second run."""
    content = export()
    with durable_server() as server:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.projects.bare",
            "CLAIMKIT_TEST_MEDIA": str(media),
            "CLAIMKIT_TEST_BATCH_SIZE": str(BATCH),
            "DATABASE_URL": server.url,
        }
        command = [sys.executable, "-c", _RESTARTED, str(len(content))]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as worker:
            worker.stdin.write(content)
            worker.stdin.flush()
            undisturbed, now = (json.loads(worker.stdout.readline()) for _ in range(2))
            server.restart()
            worker.stdin.write(b"go on\n")
            worker.stdin.flush()
            stopped, ended = (json.loads(worker.stdout.readline()) for _ in range(2))

    assert now == "now"
    assert (stopped["status"], stopped["error_code"]) == ("failed", "internal_error")
    assert (stopped["batches_done"], stopped["claims_new"]) == (1, BATCH)
    assert ended == undisturbed
    # A row that is there twice, and one that cannot be taken, as in any run of this export.
    assert (ended["claims_same"], ended["rows_rejected"]) == (1, 1)
