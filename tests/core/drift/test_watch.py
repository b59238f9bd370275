from __future__ import annotations

import datetime as dt
import io
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings

from claimkit.claims.intake import import_claims
from claimkit.claims.ledger import facts_of
from claimkit.claims.readers import ReadOptions
from claimkit.config import DriftConfig
from claimkit.drift import watch as watch_module
from claimkit.drift.cube import TABLES, Cells
from claimkit.drift.findings import FindingState, Signal, Tier
from claimkit.drift.lattice import LatticeDetector
from claimkit.drift.power import PayerState
from claimkit.drift.watch import CubeUpkeep, WatchState, rebuild_cube, watch
from claimkit.errors import UnknownName
from claimkit.events import Bus, ClaimsChanged, ClaimsImported, DataHold
from claimkit.plugins import load_plugins
from claimkit.stores.memory import MemoryStore
from claimkit.stores.sqlite import SqliteStore
from claimkit.testing.factories import make_batch, make_finding
from claimkit.testing.strategies import batches
from claimkit.types import Severity, TenantKey, day_of

NORTHSIDE = TenantKey("northside")
NOW = dt.datetime(2026, 3, 22, 3, 4, tzinfo=dt.UTC)
NIGHT = dt.date(2026, 3, 20)


class Scripted:
    """A detector that reports what the test says and remembers what it was asked."""

    name = "scripted"

    def __init__(self, *found):
        self.found = found
        self.asked = []

    def detect(self, cube, *, as_of, config, open_findings=(), accepted_findings=()):
        self.asked.append((as_of, config, tuple(open_findings)))
        self.cube = cube
        return [replace(one, as_of=as_of) for one in self.found]


class Listener:
    def __init__(self, phase="committed", fails=False):
        self.name, self.phase, self.topics, self.told = "listener", phase, frozenset(), []
        self._fails = fails

    def handle(self, event):
        self.told.append(event)
        if self._fails:
            raise RuntimeError("spirou")


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "claims.db")
    yield store
    store.close()


def decisions(*rows):
    """Return cells of payer, decided on, claims; known on the day of decision."""
    days = [day_of(row[1]) for row in rows]
    return Cells.from_columns(
        TABLES["decisions"],
        labels={
            "payer": [row[0] for row in rows],
            **{axis: ["paid" if axis == "outcome" else ""] * len(rows)
               for axis in ("procedure_group", "outcome", "reason")},
        },
        numbers={"decided_day": days, "age_days": [9] * len(rows), "known_day": days},
        measures={
            "claims": [row[2] for row in rows],
            **{name: [0] * len(rows) for name in ("charge", "allowed", "paid")},
        },
    )  # fmt: skip


def look(store, *detectors, listener=None, **options):
    detectors = detectors or (Scripted(),)
    return watch(
        **{
            "tenant": NORTHSIDE,
            "store": store,
            "detectors": {one.name: one for one in detectors},
            "config": DriftConfig(detectors=tuple(one.name for one in detectors)),
            "as_of": NIGHT,
            "bus": Bus([listener] if listener else []),
            "clock": SimpleNamespace(now=lambda: NOW),
            **options,
        }
    )


def topics(listener):
    return [event.topic for event in listener.told]


# -- what people are told -----------------------------------------------------------------------


def test_a_new_alert_is_recorded_and_told_once(store):
    listener = Listener()
    first = look(store, Scripted(make_finding()), listener=listener)
    again = look(store, Scripted(make_finding()), listener=listener)

    assert [one.fingerprint for one in first.recorded.new] == ["fp-marsupilami"]
    assert (again.recorded.new, len(again.recorded.same)) == ((), 1)
    assert len(again.findings) == 1
    (event,) = listener.told
    assert event.topic == "drift.detected"
    assert (event.tenant, event.at, event.finding) == (NORTHSIDE, NOW, "fp-marsupilami")
    assert (event.signal, event.payer, event.severity) == (
        Signal.DENIAL_RATE,
        "MERIDIAN OF OHIO",
        Severity.HIGH,
    )
    assert (event.onset, event.dollars_per_month) == (dt.date(2026, 3, 2), 1_825_000)
    assert event.summary == make_finding().summary


def test_an_alert_waits_on_the_watch_list_while_there_is_doubt_about_the_data(store):
    doubt = DataHold(reason="week4.csv: no reasons", since=day_of(NIGHT) - 30)
    old = make_finding(fingerprint="old", onset=NIGHT - dt.timedelta(days=45))
    new = make_finding(fingerprint="new", onset=NIGHT - dt.timedelta(days=20))
    listener = Listener()

    held = look(store, Scripted(old, new), listener=listener, holds=[doubt])
    released = look(store, Scripted(old, new), listener=listener)

    assert [(one.fingerprint, one.tier) for one in held.held] == [("new", Tier.WATCH)]
    assert held.held[0].why[-1] == "Held back as an alert: week4.csv: no reasons"
    assert [one.fingerprint for one in held.alerts] == ["old"]
    assert [one.fingerprint for one in released.recorded.worse] == ["new"]
    assert topics(listener) == ["drift.detected", "drift.detected"]


def test_doubt_about_old_days_holds_back_no_change_of_today(store):
    doubt = DataHold(reason="era_1.835", since=day_of(NIGHT) - 90, until=day_of(NIGHT) - 60)
    inside = make_finding(fingerprint="inside", onset=NIGHT - dt.timedelta(days=50))
    after = make_finding(fingerprint="after", onset=NIGHT - dt.timedelta(days=20))

    seen = look(store, Scripted(inside, after), holds=[doubt])

    assert [one.fingerprint for one in seen.held] == ["inside"]
    assert [one.fingerprint for one in seen.alerts] == ["after"]


def test_an_alert_that_was_told_is_not_taken_back_by_doubt(store):
    one = make_finding(onset=NIGHT - dt.timedelta(days=20))
    look(store, Scripted(one))

    again = look(store, Scripted(one), holds=[DataHold(reason="doubt", since=0)])

    assert (len(again.alerts), again.held) == (1, ())


def test_d4_running_again_changes_nothing_and_wipes_nothing(store):
    """Trap: a re-run wiped good findings, and doubled their events."""
    listener = Listener()
    look(store, Scripted(make_finding()), listener=listener)
    kept = store.findings.all(NORTHSIDE)
    look(store, Scripted(make_finding()), listener=listener)
    look(store, Scripted(), listener=listener)

    assert store.findings.all(NORTHSIDE) == kept
    assert topics(listener) == ["drift.detected"]


def test_growth_and_end_are_told_and_the_watch_list_is_not(store):
    listener = Listener()
    watched = make_finding(
        tier=Tier.WATCH, fingerprint="fp-watch", signal=Signal.VOLUME, severity=Severity.LOW
    )
    grown = make_finding(dollars_per_month=3_000_000)
    look(store, Scripted(make_finding(), watched), listener=listener)
    report = look(store, Scripted(grown, watched), listener=listener)
    ended = Scripted(
        make_finding(ended=NIGHT, dollars_per_month=3_000_000), replace(watched, ended=NIGHT)
    )
    look(store, ended, listener=listener)

    assert topics(listener) == ["drift.detected", "drift.worsened", "drift.resolved"]
    assert [one.fingerprint for one in report.alerts] == ["fp-marsupilami"]
    assert [one.dollars_per_month for one in report.findings] == [3_000_000, 1_825_000]
    assert {state for _, state in store.findings.all(NORTHSIDE)} == {FindingState.RESOLVED}


def test_a_finding_of_the_watch_list_that_becomes_an_alert_is_detected(store):
    listener = Listener()
    look(store, Scripted(make_finding(tier=Tier.WATCH)), listener=listener)
    report = look(store, Scripted(make_finding()), listener=listener)

    assert topics(listener) == ["drift.detected"]
    assert [one.tier for one in report.recorded.worse] == [Tier.ALERT]


def test_a_listener_that_fails_inside_the_transaction_leaves_nothing_recorded(store):
    with pytest.raises(RuntimeError, match="spirou"):
        look(store, Scripted(make_finding()), listener=Listener("transaction", fails=True))

    assert store.findings.all(NORTHSIDE) == []


def test_a_tenants_findings_are_its_own(store):
    look(store, Scripted(make_finding()))
    other = look(store, Scripted(), tenant=TenantKey("southside"))

    assert other.findings == ()


# -- what is looked at --------------------------------------------------------------------------


def test_the_first_run_looks_further_back_than_the_next(store):
    store.cube.post(NORTHSIDE, decisions(("SPIP", NIGHT, 3)))
    detector = Scripted(make_finding())
    reports = [look(store, detector) for _ in range(2)]

    scans = [config.scan_days for _, config, _ in detector.asked]
    assert scans == [365, 56]
    assert [one.scanned_from for one in reports] == [
        NIGHT - dt.timedelta(days=364),
        NIGHT - dt.timedelta(days=55),
    ]
    assert [len(known) for _, _, known in detector.asked] == [0, 1]


def test_a_run_after_one_that_found_nothing_looks_no_further_back(store):
    store.cube.post(NORTHSIDE, decisions(("SPIP", NIGHT, 3)))
    detector = Scripted()
    for has_watched in (False, True):
        look(store, detector, has_watched=has_watched)

    assert [config.scan_days for _, config, _ in detector.asked] == [365, 56]


def test_a_run_reads_only_what_its_nights_need_and_more_for_what_is_open(store):
    long_ago = NIGHT - dt.timedelta(days=900)
    store.cube.post(NORTHSIDE, decisions(("SPIP", long_ago, 5), ("SPIP", NIGHT, 3)))
    ended = make_finding(fingerprint="fp-old", ended=NIGHT)
    store.findings.record(NORTHSIDE, [make_finding(fingerprint="fp-old")], as_of=NIGHT)
    store.findings.record(NORTHSIDE, [ended], as_of=NIGHT)
    near = look(store)
    store.findings.record(
        NORTHSIDE,
        [make_finding(detected_on=long_ago, onset=long_ago, signal=Signal.VOLUME)],
        as_of=NIGHT,
    )
    far = look(store)

    assert (near.decisions, near.since) == (3, NIGHT)
    assert (far.decisions, far.since) == (8, long_ago)


def test_without_a_day_the_run_looks_back_from_the_last_decision(store):
    last = dt.date(2026, 3, 11)
    store.cube.post(NORTHSIDE, decisions(("SPIP", last, 4), ("SPIP", NOW.date(), 0)))
    future = dt.date(2027, 1, 1)
    store.cube.post(NORTHSIDE, decisions(("SPIP", future, 4)))

    report = look(store, as_of=None)

    assert (report.as_of, report.until, report.decisions) == (last, last, 4)


def test_a_tenant_without_decisions_is_empty(store):
    report = look(store, as_of=None)

    assert (report.state, report.as_of) == (WatchState.EMPTY, NOW.date())
    assert (report.payers, report.cells, report.since, report.until) == ((), 0, None, None)


def test_a_tenant_with_a_short_history_is_learning_and_then_watched(store):
    start = NIGHT - dt.timedelta(days=300)
    rows = [("SPIP", start + dt.timedelta(days=n), 4) for n in range(301)]
    store.cube.post(NORTHSIDE, decisions(*rows))
    states = [
        look(store, as_of=start + dt.timedelta(days=days)).state for days in (20, 100, 150, 300)
    ]

    assert states == [WatchState.LEARNING] * 2 + [WatchState.WATCHING] * 2


def test_what_became_known_later_can_be_left_out(store):
    store.cube.post(NORTHSIDE, decisions(("SPIP", NIGHT, 4)))
    late = decisions(("SPIP", NIGHT, 3)).known_on(day_of(NIGHT) + 5)
    store.cube.post(NORTHSIDE, late)

    known = [
        look(store, known_by=day).decisions
        for day in (None, NIGHT, NIGHT + dt.timedelta(days=5), NIGHT - dt.timedelta(days=1))
    ]
    assert known == [7, 4, 7, 0]


def test_an_unknown_detector_is_named_before_anything_is_read(store):
    with pytest.raises(UnknownName, match="did you mean 'scripted'"):
        look(store, config=DriftConfig(detectors=("scripter",)))


def test_progress_is_told_step_by_step(store):
    told = []
    look(store, Scripted(), progress=lambda *one: told.append(one))

    assert told[0] == ("reading the cube", 0, len(TABLES))
    assert ("looking for drift (scripted)", 0, 1) in told
    assert told[-1] == ("looking for drift", 1, 1)


# -- a real drift, end to end -------------------------------------------------------------------


@pytest.fixture
def denying(make_world):
    """Return a world whose BITTERN denies imaging for authorization since day 340."""
    world = make_world(seed=1, per_day=80)
    world.deny_more(
        world.of(payer="BITTERN", group="imaging"),
        since=340,
        points=0.35,
        reason="authorization_referral",
    )
    return world


def post(store, world):
    for cells in world.cube().values():
        store.cube.post(NORTHSIDE, cells.known_on(day_of(world.start)))


def test_d3_the_same_drift_next_week_is_the_same_finding(denying, store):
    """Trap: every run told the same news anew."""
    post(store, denying)
    listener = Listener()
    nights = [denying.last - dt.timedelta(days=back) for back in (21, 14, 7, 0)]
    reports = [
        look(
            store,
            LatticeDetector(),
            as_of=night,
            listener=listener,
            config=DriftConfig(detectors=("lattice",), first_scan_days=35, scan_days=21),
        )
        for night in nights
    ]
    alerts = [
        [one for one in report.alerts if one.segment.payer == "BITTERN"] for report in reports
    ]

    assert [len(one) for one in alerts] == [1] * 4
    assert len({one[0].fingerprint for one in alerts}) == 1
    assert len({one[0].detected_on for one in alerts}) == 1
    told = [event.topic for event in listener.told if event.payer == "BITTERN"]
    assert told == ["drift.detected"]
    assert reports[0].state is WatchState.WATCHING
    assert reports[0].payers[0].state is PayerState.WATCHED


# -- upkeep -------------------------------------------------------------------------------------

HEADER = "claim id,payer,cpt,dos,submitted,paid date,billed,allowed,paid,status,denial code\n"


def export(day, status, *, numbers=range(12)):
    return HEADER + "".join(
        f"A{n},Payer {n % 3},9921{n % 5},2026-01-02,2026-01-03,2026-01-{day + n % 7:02},100.00,"
        f"{'80.00,60.00' if status == 'paid' else ',0.00'},{status},"
        f"{'' if status == 'paid' else 'CO-197'}\n"
        for n in numbers
    )


def take(store, text, *, known_on=NIGHT):
    return import_claims(
        io.BytesIO(text.encode()),
        name="export.csv",
        tenant=NORTHSIDE,
        store=store,
        plugins=load_plugins(entry_points=False),
        bus=Bus([CubeUpkeep(store.cube)]),
        clock=SimpleNamespace(now=lambda: NOW),
        patient_key=b"a key of the tenant",
        known_on=known_on,
        options=ReadOptions(batch_size=5),
    )


def facts(store):
    return ([facts_of(one) for one in page] for page in store.claims.scan(NORTHSIDE, batch_size=4))


def same_cells(one, other):
    assert one.names == other.names
    for mine, theirs in zip(
        (one.labels, one.numbers, one.measures), (other.labels, other.numbers, other.measures),
        strict=True,
    ):  # fmt: skip
        assert mine.keys() == theirs.keys()
        for axis in mine:
            np.testing.assert_array_equal(mine[axis], theirs[axis])


def cubes(store):
    return {name: store.cube.read(NORTHSIDE, table) for name, table in TABLES.items()}


def test_d5_an_incremental_cube_equals_a_rebuilt_one(store):
    take(store, export(10, "denied"))
    take(store, export(12, "paid", numbers=range(4, 20)))
    take(store, export(10, "denied", numbers=range(2)))
    kept, told = cubes(store), []

    with store.atomic():
        count = rebuild_cube(
            tenant=NORTHSIDE,
            cube=store.cube,
            facts=facts(store),
            known_on=NIGHT,
            progress=lambda *one: told.append(one),
        )

    assert count == 20
    assert told[-1] == ("rebuilding the cube", 20, None)
    assert kept["decisions"].measures["claims"].sum() == 20
    for name, cells in cubes(store).items():
        same_cells(cells, kept[name])


class CountedCube:
    """A cube that counts the cells that are posted to it."""

    def __init__(self, cube):
        self._cube, self.posted = cube, 0

    def clear(self, tenant):
        self._cube.clear(tenant)

    def post(self, tenant, cells):
        self.posted += len(cells)
        self._cube.post(tenant, cells)


def test_d5_a_rebuild_writes_a_cell_of_many_batches_once(store):
    take(store, export(10, "denied", numbers=range(60)))
    batches = list(facts(store))
    cube = CountedCube(store.cube)

    rebuild_cube(tenant=NORTHSIDE, cube=cube, facts=[*batches, *batches], known_on=NIGHT)

    assert cube.posted == sum(map(len, cubes(store).values()))
    assert cubes(store)["decisions"].measures["claims"].sum() == 2 * 60


def test_d5_a_rebuild_of_more_cells_than_it_holds_gives_the_same(store, monkeypatch):
    take(store, export(10, "denied", numbers=range(60)))
    kept = cubes(store)
    monkeypatch.setattr(watch_module, "_HELD", 20)
    monkeypatch.setattr(watch_module, "_POSTED", 7)
    cube = CountedCube(store.cube)

    rebuild_cube(tenant=NORTHSIDE, cube=cube, facts=facts(store), known_on=NIGHT)

    assert cube.posted > sum(map(len, kept.values()))
    for name, cells in cubes(store).items():
        same_cells(cells, kept[name])


@given(batches(), batches())
@settings(max_examples=30)
def test_d5_upkeep_equals_a_rebuild_whatever_is_imported(first, second):
    store = MemoryStore()
    upkeep = CubeUpkeep(store.cube)
    for batch in (first, second, first):
        bus = Bus([upkeep])
        with bus.transaction(store.atomic()):
            merged = store.claims.add(NORTHSIDE, batch, upload="upl_1", known_on=NIGHT)
            bus.stage(changed(merged.changes))
    kept = cubes(store)
    rebuild_cube(tenant=NORTHSIDE, cube=store.cube, facts=facts(store), known_on=NIGHT)

    for name, cells in cubes(store).items():
        same_cells(cells, kept[name])


def changed(changes):
    return ClaimsChanged(tenant=NORTHSIDE, at=NOW, changes=changes, known_day=day_of(NIGHT))


def test_upkeep_hears_of_changes_only():
    store = MemoryStore()
    CubeUpkeep(store.cube).handle(
        ClaimsImported(tenant=NORTHSIDE, at=NOW, upload="u", new=1, changed=0, same=0, rejected=0)
    )

    assert len(store.cube.read(NORTHSIDE, TABLES["decisions"])) == 0


def test_a_batch_that_is_taken_back_leaves_the_cube_as_it_was(store):
    class Fails(Listener):
        def handle(self, event):
            raise RuntimeError("spirou")

    upkeep = CubeUpkeep(store.cube)
    bus = Bus([upkeep, Fails("transaction")])
    with pytest.raises(RuntimeError, match="spirou"), bus.transaction(store.atomic()):
        merged = store.claims.add(NORTHSIDE, make_batch(), upload="upl_1", known_on=NIGHT)
        bus.stage(changed(merged.changes))

    assert store.claims.totals(NORTHSIDE).claims == 0
    assert len(store.cube.read(NORTHSIDE, TABLES["decisions"])) == 0


# -- two runs at once (D4) ----------------------------------------------------------------------

_RUN = """
import datetime as dt, sys
from dataclasses import replace
from types import SimpleNamespace
from claimkit.config import DriftConfig
from claimkit.drift.watch import watch
from claimkit.events import Bus
from claimkit.stores.sqlite import SqliteStore
from claimkit.testing.factories import make_finding

class Detector:
    name = "scripted"
    def detect(self, cube, *, as_of, config, open_findings=(), accepted_findings=()):
        return [make_finding(fingerprint=f"fp-{n}", payer=f"PAYER {n}") for n in range(20)]

class Listener:
    name, phase, topics = "listener", "committed", frozenset()
    def handle(self, event):
        print(event.topic, event.finding)

store = SqliteStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    watch(tenant="northside", store=store, detectors={"scripted": Detector()},
        config=DriftConfig(detectors=("scripted",)), as_of=dt.date(2026, 3, 20),
        bus=Bus([Listener()]), clock=SimpleNamespace(now=lambda: dt.datetime(2026, 3, 22, tzinfo=dt.UTC)))
store.close()
"""


@pytest.mark.slow
def test_d4_runs_at_once_make_one_set_of_findings_and_tell_it_once(tmp_path):
    """Trap: lock and unique key still doubled the events."""
    path = tmp_path / "claims.db"
    SqliteStore(path).close()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _RUN, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for run in runs:
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    told = [line for run in runs for line in run.communicate(timeout=120)[0].splitlines()]
    store = SqliteStore(path)
    kept = store.findings.all(NORTHSIDE)
    store.close()

    assert [run.returncode for run in runs] == [0, 0, 0]
    assert sorted(told) == sorted(f"drift.detected fp-{n}" for n in range(20))
    assert sorted(one.fingerprint for one, _ in kept) == sorted(f"fp-{n}" for n in range(20))
