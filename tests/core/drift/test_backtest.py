from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from claimkit.builtins import claimkit_register_detectors
from claimkit.config import DriftConfig
from claimkit.drift.backtest import Knowledge, backtest
from claimkit.drift.findings import Signal, Tier
from claimkit.drift.power import PayerState
from claimkit.errors import InvalidWindow, UnknownName
from claimkit.stores.memory import MemoryStore
from claimkit.types import TenantKey, date_of, day_of

MARSH = TenantKey("marsh")
ONSET = 300


class FixedClock:
    """Stands still on the day after the world ends."""

    def __init__(self, today):
        self._now = dt.datetime.combine(today, dt.time(6), dt.UTC)

    def now(self):
        return self._now


@pytest.fixture(scope="module")
def world(make_world):
    made = make_world(days=418, per_day=100)
    made.deny_more(made.of(payer="ALBATROSS"), since=ONSET, points=0.10)
    return made


def posted(world, *, late_days=0, loaded=None):
    """Return a store whose cells became known on their day, or all at once on day ``loaded``."""
    store = MemoryStore()
    for cells in world.cube().values():
        day = cells.numbers[cells.table.day]
        known = np.full(len(cells), loaded) if loaded is not None else day + late_days
        numbers = {**cells.numbers, "known_day": known}
        store.cube.post(MARSH, dataclasses.replace(cells, numbers=numbers))
    return store


def denials_of(result):
    """Return the first alert about denials."""
    return next(one for one in result.alerts if one.signal is Signal.DENIAL_RATE)


def replay(world, store, **asked):
    detectors = {one.name: one for one in claimkit_register_detectors()}
    asked.setdefault("config", DriftConfig())
    return backtest(
        tenant=MARSH,
        store=store,
        detectors=detectors,
        clock=FixedClock(world.last + dt.timedelta(days=1)),
        **asked,
    )


def test_planted_change_is_told_once_with_its_night_and_month(world):
    result = replay(world, posted(world), start=world.start + dt.timedelta(days=150))

    (alert,) = result.alerts
    onset = world.start + dt.timedelta(days=ONSET)
    assert (alert.signal, alert.segment.payer) == (Signal.DENIAL_RATE, "ALBATROSS")
    assert onset <= alert.detected_on <= onset + dt.timedelta(days=28)
    told = {one.month: one.alerts for one in result.months if one.alerts}
    assert told == {alert.detected_on.replace(day=1): 1}


def test_months_cover_every_night_once(world):
    start = world.start + dt.timedelta(days=150)

    result = replay(world, posted(world), start=start)

    assert (result.start, result.end) == (start, world.last)
    assert sum(one.nights for one in result.months) == (world.last - start).days + 1
    assert sum(one.alerts + one.watch for one in result.months) == len(result.findings)


def test_rate_counts_watched_nights_only(world):
    result = replay(world, posted(world), start=world.start)

    watched = (result.end - result.watched_from).days + 1
    assert result.watched_from > world.start + dt.timedelta(days=90)
    assert result.watched_nights == watched
    assert result.alerts_per_month == pytest.approx(len(result.alerts) / watched * 30.4375)


def test_each_payer_has_its_smallest_change(world):
    payers = replay(world, posted(world)).payers

    assert next(one.payer for one in payers) == "ALBATROSS"
    assert {one.state for one in payers} == {PayerState.WATCHED}
    changes = [one.smallest_change for one in payers]
    assert changes == sorted(changes)


def test_nothing_is_recorded(world):
    store = posted(world)

    replay(world, store)

    assert list(store.findings.all(MARSH)) == []


@pytest.mark.slow
def test_knowledge_of_then_tells_later_what_became_known_late(world):
    start = world.start + dt.timedelta(days=250)
    prompt = replay(world, posted(world), start=start, knowledge=Knowledge.THEN)
    late = replay(world, posted(world, late_days=40), start=start, knowledge=Knowledge.THEN)

    first, second = denials_of(prompt), denials_of(late)
    assert first.segment.payer == second.segment.payer == "ALBATROSS"
    assert second.detected_on - first.detected_on >= dt.timedelta(days=28)


def test_history_of_the_first_import_counts_as_known_in_its_time(world):
    start = world.start + dt.timedelta(days=250)
    loaded = day_of(world.last) + 1

    result = replay(world, posted(world, loaded=loaded), start=start, knowledge=Knowledge.THEN)

    assert [one.segment.payer for one in result.alerts] == ["ALBATROSS"]


def test_what_became_known_later_never_changes_an_earlier_night(world):
    """Rows that come after a night leave what it told as it was, bit for bit."""
    start, end = (world.start + dt.timedelta(days=at) for at in (290, 340))
    store = posted(world)
    asked = {"start": start, "end": end, "knowledge": Knowledge.THEN}
    before = replay(world, store, **asked)
    for cells in world.cube().values():
        again = cells.take(cells.numbers[cells.table.day] <= day_of(end))
        store.cube.post(MARSH, again.known_on(day_of(end) + 1))

    after = replay(world, store, **asked)

    assert len(before.alerts) == 1
    assert after == dataclasses.replace(before, cells=after.cells)


def test_detectors_that_cannot_replay_are_asked_night_by_night(world):
    config = DriftConfig(detectors=("threshold",))
    start = world.last - dt.timedelta(days=20)
    steps = []

    result = replay(
        world,
        posted(world),
        config=config,
        start=start,
        progress=lambda step, done, total: steps.append((step, done)),
    )

    assert result.findings
    assert {one.detector for one in result.findings} == {"threshold"}
    assert all(start <= one.detected_on <= world.last for one in result.findings)
    assert steps[-1] == ("replaying nights", 21)


def test_empty_tenant_gives_an_empty_result(world):
    result = replay(world, MemoryStore())

    assert (result.findings, result.payers, result.watched_from) == ((), (), None)
    assert result.alerts_per_month is None


def test_watch_list_and_alerts_are_counted_apart(world):
    result = replay(world, posted(world), config=DriftConfig(watch_budget=5.0))

    watch = [one for one in result.findings if one.tier is Tier.WATCH]
    assert watch
    assert sum(one.watch for one in result.months) == len(watch)


@pytest.mark.parametrize(
    "asked",
    [
        {"start": dt.date(2027, 1, 1), "end": dt.date(2026, 1, 1)},
        {"start": dt.date(2026, 3, 3)},
        {"every_days": 0},
    ],
)
def test_windows_without_a_night_are_refused(world, asked):
    with pytest.raises(InvalidWindow):
        replay(world, posted(world), **asked)


def test_unknown_detector_is_named(world):
    with pytest.raises(UnknownName, match="latice"):
        replay(world, posted(world), config=DriftConfig(detectors=("latice",)))


@pytest.mark.slow
def test_same_nights_give_the_same_result_in_any_order_of_posts(world):
    store = MemoryStore()
    for cells in reversed(list(world.cube().values())):
        for rows in np.array_split(np.arange(len(cells))[::-1], 3):
            store.cube.post(MARSH, cells.take(rows).known_on(day_of(date_of(5))))

    assert replay(world, store) == replay(world, posted(world, loaded=5))


@pytest.mark.parametrize("knowledge", Knowledge)
def test_accepted_level_is_expected_from_the_day_of_its_acceptance_on(world, knowledge):
    store = posted(world)
    start = world.start + dt.timedelta(days=ONSET - 20)
    told = denials_of(replay(world, store, start=start))
    accepted_on = told.detected_on + dt.timedelta(days=20)
    store.findings.record(MARSH, [told], as_of=world.last)
    store.findings.accept(MARSH, told.fingerprint, on=accepted_on, by="spirou")

    result = replay(world, store, start=start, knowledge=knowledge, every_days=14)

    (alert,) = [one for one in result.alerts if one.segment.payer == "ALBATROSS"]
    assert told.ended is None
    assert accepted_on <= alert.ended <= accepted_on + dt.timedelta(days=14)
