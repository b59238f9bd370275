from __future__ import annotations

import datetime as dt
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from claimkit.claims.ledger import claim_key
from claimkit.drift.cube import DECISIONS, Cells, CubeTable
from claimkit.errors import StoreError
from claimkit.stores.sqlite import SCHEMA_VERSION, SqliteStore
from claimkit.testing.conformance import StoreConformance
from claimkit.testing.factories import make_batch, make_claim, make_finding, make_line
from claimkit.types import TenantKey

NORTHSIDE = TenantKey("northside")
KNOWN = {"upload": "upl_1", "known_on": dt.date(2026, 4, 1)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "claims.sqlite3"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    yield store
    store.close()


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def store(self, path):
        store = SqliteStore(path)
        yield store
        store.close()

    @pytest.fixture
    def connect(self, path, store):
        return lambda: SqliteStore(path)


def test_a_store_is_there_when_it_is_opened_again(path, store):
    claim = make_claim(lines=[make_line()])
    store.claims.add(NORTHSIDE, make_batch([claim]), **KNOWN)
    store.findings.record(NORTHSIDE, [make_finding()], as_of=dt.date(2026, 3, 20))
    store.close()

    again = SqliteStore(path)

    assert again.claims.find(NORTHSIDE, "PCN-000417").paid == 18_500
    assert again.claims.lines(NORTHSIDE, claim_key("PCN-000417")) == claim.lines
    assert len(again.findings.open(NORTHSIDE)) == 1
    again.close()


_WRITER = """
import datetime as dt, sys
from claimkit.stores.sqlite import SqliteStore
from claimkit.testing.factories import make_batch, make_claim

store = SqliteStore(sys.argv[1])
sys.stdin.readline()
for n in range(8):
    claims = [make_claim(patient_control_number=f"{sys.argv[2]}-{n}", payer=f"PAYER {sys.argv[2]} {n}"),
              make_claim(patient_control_number=f"BOTH-{n}", payer=f"PAYER {n}")]
    with store.atomic():
        store.claims.add("northside", make_batch(claims), upload=sys.argv[2], known_on=dt.date(2026, 4, 1))
store.close()
"""


def test_processes_take_turns_and_share_one_dictionary(path, store):
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name], stdin=subprocess.PIPE)
        for name in ("A", "B")
    ]
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.close()
    codes = [writer.wait(60) for writer in writers]

    assert codes == [0, 0]
    found = [one for page in store.claims.scan(NORTHSIDE) for one in page]
    expected = {f"BOTH-{n}": f"PAYER {n}" for n in range(8)}
    for name in ("A", "B"):
        expected |= {f"{name}-{n}": f"PAYER {name} {n}" for n in range(8)}
    assert {one.patient_control_number: one.payer for one in found} == expected


def test_a_writer_that_waits_too_long_says_so(path, store):
    impatient = SqliteStore(path, busy_timeout_seconds=0.01)

    with store.atomic(), pytest.raises(StoreError, match="another writer"):
        impatient.claims.add(NORTHSIDE, make_batch(), **KNOWN)
    impatient.close()


def test_readers_see_what_is_committed_and_do_not_wait(path, store):
    reader = SqliteStore(path)
    with store.atomic():
        store.claims.add(NORTHSIDE, make_batch(), **KNOWN)
        before = reader.claims.totals(NORTHSIDE).claims
    after = reader.claims.totals(NORTHSIDE).claims
    reader.close()

    assert (before, after) == (0, 1)


def test_a_store_opens_while_another_writes(path, store):
    with store.atomic():
        store.claims.add(NORTHSIDE, make_batch(), **KNOWN)
        other = SqliteStore(path, busy_timeout_seconds=0.01)
        other.close()

    assert store.claims.totals(NORTHSIDE).claims == 1


def test_many_may_open_a_new_file_at_once(tmp_path):
    for attempt in range(10):
        problems, start = [], threading.Barrier(6)

        def open_and_close(path=tmp_path / f"{attempt}.sqlite3", problems=problems, start=start):
            start.wait(30)
            try:
                SqliteStore(path).close()
            except StoreError as problem:
                problems.append(problem)

        threads = [threading.Thread(target=open_and_close) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert problems == []


def test_a_file_that_stays_locked_is_refused_in_the_end(path):
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("CREATE TABLE held (id INTEGER)")

    with pytest.raises(StoreError, match="locked"):
        SqliteStore(path, busy_timeout_seconds=0.05)
    holder.close()


def test_names_of_a_transaction_that_failed_are_given_anew(store):
    with pytest.raises(RuntimeError, match="no"):
        with store.atomic():
            store.claims.add(NORTHSIDE, make_batch([make_claim(payer="NEVER SEEN")]), **KNOWN)
            raise RuntimeError("no")
    store.claims.add(NORTHSIDE, make_batch([make_claim(payer="HARBORVIEW")]), **KNOWN)

    assert store.claims.find(NORTHSIDE, "PCN-000417").payer == "HARBORVIEW"


def test_an_inner_transaction_that_failed_leaves_the_outer_one(store):
    with store.atomic():
        store.claims.add(NORTHSIDE, make_batch(), **KNOWN)
        with pytest.raises(RuntimeError, match="no"):
            with store.atomic():
                other = make_claim(patient_control_number="ZORGLUB9", payer="NEVER SEEN")
                store.claims.add(NORTHSIDE, make_batch([other]), **KNOWN)
                raise RuntimeError("no")

    assert store.claims.totals(NORTHSIDE).claims == 1
    assert store.claims.find(NORTHSIDE, "PCN-000417").payer == "MERIDIAN OF OHIO"


def test_work_per_batch_is_a_fixed_number_of_statements(path, store):
    def statements(size, start):
        claims = [
            make_claim(patient_control_number=f"SPIP{n}", lines=[make_line()], payer=f"P{n}")
            for n in range(start, start + size)
        ]
        seen = []
        connection = store._database.connection
        connection.set_trace_callback(lambda sql: seen.append(sql.split("VALUES")[0]))
        store.claims.add(NORTHSIDE, make_batch(claims), **KNOWN)
        connection.set_trace_callback(None)
        return len(set(seen)), sum(not sql.startswith("INSERT") for sql in seen)

    statements(1, 0)

    assert statements(5, 10) == statements(400, 100)


def test_a_newer_store_is_refused(path, store):
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()

    with pytest.raises(StoreError, match=f"version {SCHEMA_VERSION + 1}.*Upgrade claimkit"):
        SqliteStore(path)


def test_a_database_of_another_application_is_refused_and_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.close()

    with pytest.raises(StoreError, match="another application"):
        SqliteStore(path)

    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("invoices",)]
    connection.close()


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"claim_id,payer,paid\n" * 100)

    with pytest.raises(StoreError, match="cannot be used as a SQLite store"):
        SqliteStore(path)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(StoreError, match="cannot open"):
        SqliteStore(tmp_path / "nowhere" / "claims.sqlite3")


def test_a_closed_store_is_refused(store):
    store.close()

    with pytest.raises(StoreError, match="closed"):
        store.claims.totals(NORTHSIDE)


def test_threads_use_one_store(store):
    def write(number):
        claim = make_claim(patient_control_number=f"SPIP{number}", payer=f"PAYER {number}")
        store.claims.add(NORTHSIDE, make_batch([claim]), **KNOWN)

    threads = [threading.Thread(target=write, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    payers = [store.claims.find(NORTHSIDE, f"SPIP{number}").payer for number in range(6)]
    assert payers == [f"PAYER {number}" for number in range(6)]


REFUNDS = CubeTable(
    name="refunds", labels=("payer",), numbers=("week",), day="week", measures=("cents",)
)


def _refunds(cents, table=REFUNDS):
    return Cells.from_columns(
        table,
        labels={axis: ["MERIDIAN"] for axis in table.labels},
        numbers={axis: [9] for axis in (*table.numbers, "known_day")},
        measures={axis: [cents] for axis in table.measures},
    )


def test_cube_tables_of_plugins_are_made_when_they_are_first_posted(store):
    before = store.cube.read(NORTHSIDE, REFUNDS)
    store.cube.post(NORTHSIDE, _refunds(0))
    store.cube.post(NORTHSIDE, _refunds(417))

    found = store.cube.read(NORTHSIDE, REFUNDS)

    assert len(before) == 0
    assert (found.names["payer"], found.numbers["week"].tolist()) == (("MERIDIAN",), [9])
    assert np.array_equal(found.measures["cents"], [417])
    store.cube.clear(NORTHSIDE)
    assert len(store.cube.read(NORTHSIDE, REFUNDS)) == 0


def test_a_cube_table_with_a_strange_name_is_refused(store):
    strange = CubeTable(
        name="refunds; DROP TABLE claim",
        labels=("payer",),
        numbers=("week",),
        day="week",
        measures=("cents",),
    )

    with pytest.raises(StoreError, match="cannot have a column"):
        store.cube.post(NORTHSIDE, _refunds(1, strange))


# -- what can go wrong on the way ---------------------------------------------------------------

_IMPORTER = """
import datetime as dt, os, signal, sys
from types import SimpleNamespace
from claimkit.claims.intake import import_claims
from claimkit.claims.readers import ReadOptions
from claimkit.drift.watch import CubeUpkeep
from claimkit.events import Bus
from claimkit.plugins import load_plugins
from claimkit.stores.sqlite import SqliteStore

def on_batch(batch, added):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

left = int(sys.argv[3])
store = SqliteStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
with open(sys.argv[2], "rb") as stream:
    import_claims(stream, name="export.csv", tenant="northside", store=store, upload="upl_1",
        plugins=load_plugins(entry_points=False), bus=Bus([CubeUpkeep(store.cube)]),
        clock=SimpleNamespace(now=lambda: dt.datetime(2026, 4, 2, tzinfo=dt.UTC)),
        patient_key=b"a key of the tenant", options=ReadOptions(batch_size=7), on_batch=on_batch)
store.close()
"""


@pytest.fixture
def export(tmp_path):
    rows = [
        f"A{n},PAYER {n % 4},2026-01-02,2026-01-03,2026-01-{10 + n % 9},100.00,{n}.00,paid"
        for n in range(60)
    ]
    path = tmp_path / "export.csv"
    header = "claim id,payer,dos,submitted,paid date,billed,paid,status"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def importers(path, export, *kills):
    """Start one import per number of batches after which it is killed, 0 for never."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _IMPORTER, str(path), str(export), str(batches)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for batches in kills
    ]
    for one in started:
        assert one.stdout.readline() == "ready\n"
    for one in started:
        one.stdin.write("\n")
        one.stdin.flush()
    for one in started:
        one.communicate(timeout=120)
    return [one.returncode for one in started]


def state(path):
    """Return what a store holds: claims by number, and decisions by payer."""
    store = SqliteStore(path)
    claims = [
        (one.patient_control_number, one.payer, one.paid, one.outcome)
        for page in store.claims.scan(NORTHSIDE)
        for one in page
    ]
    cells = store.cube.read(NORTHSIDE, DECISIONS)
    payers = {
        name: int(cells.measures["claims"][cells.labels["payer"] == code].sum())
        for code, name in enumerate(cells.names["payer"])
    }
    store.close()
    return sorted(claims), payers


@pytest.mark.slow
def test_imports_of_one_file_at_once_are_one_import(tmp_path, export):
    path, alone = tmp_path / "many.db", tmp_path / "alone.db"

    assert importers(path, export, 0, 0, 0) == [0, 0, 0]
    assert importers(alone, export, 0) == [0]
    assert state(path) == state(alone)
    assert state(path)[1] == {f"PAYER {n}": 15 for n in range(4)}


@pytest.mark.slow
def test_a_killed_import_leaves_claims_and_cube_of_whole_batches(tmp_path, export):
    path, alone = tmp_path / "killed.db", tmp_path / "alone.db"
    importers(alone, export, 0)

    assert importers(path, export, 3) == [-signal.SIGKILL]
    claims, payers = state(path)
    assert len(claims) == sum(payers.values()) == 14
    # Another one may go on at once: nothing is locked by the dead.
    assert importers(path, export, 5, 0) == [-signal.SIGKILL, 0]
    assert state(path) == state(alone)


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_the_import_can_be_repeated(tmp_path, export):
    path = tmp_path / "full.db"
    SqliteStore(path).close()
    command = [sys.executable, "-m", "claimkit", "import", export, "--store", f"sqlite:///{path}"]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    # What measures coverage in processes writes files of its own, and complains too.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    full = subprocess.run(
        command, capture_output=True, check=False, text=True, preexec_fn=limit, env=unmeasured
    )
    again = subprocess.run(command, capture_output=True, check=False, text=True)

    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert full.stderr.startswith("claimkit: error: ")
    assert full.stderr.count("\n") == 1
    assert (again.returncode, "60 new" in again.stdout) == (0, True)


def test_what_sqlite_cannot_do_inside_a_transaction_is_a_store_error(store):
    with pytest.raises(StoreError, match="no such table"), store.atomic():
        store._database.connection.execute("SELECT * FROM zorglub")
    store.claims.add(NORTHSIDE, make_batch(), **KNOWN)

    assert store.claims.totals(NORTHSIDE).claims == 1


def test_a_damaged_file_is_a_store_error(path, store):
    for number in range(200):
        claim = make_claim(patient_control_number=f"SPIP{number}", lines=[make_line()])
        store.claims.add(NORTHSIDE, make_batch([claim]), **KNOWN)
    store.close()
    content = bytearray(path.read_bytes())
    content[8_192:] = bytes(b"\xa5" * (len(content) - 8_192))
    path.write_bytes(content)

    with pytest.raises(StoreError):
        damaged = SqliteStore(path)
        try:
            list(damaged.claims.scan(NORTHSIDE))
        finally:
            damaged.close()
