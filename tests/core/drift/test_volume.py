from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.backtest import backtest
from claimkit.drift.findings import ALL_PAYERS, Signal, Tier
from claimkit.drift.volume import VolumeDetector
from claimkit.drift.watch import watch
from claimkit.events import Bus
from claimkit.stores.memory import MemoryStore
from claimkit.types import TenantKey, date_of, day_of

ONSET = 380
MARSH = TenantKey("marsh")
CONFIG = DriftConfig(detectors=("volume",))


class Clock:
    def __init__(self, today):
        self._now = dt.datetime.combine(today, dt.time(6), dt.UTC)

    def now(self):
        return self._now


@pytest.fixture
def world(make_world):
    return make_world(days=418, per_day=60)


def keep(world, mask):
    """Leave out the claims that ``mask`` does not mark, as if they had never been sent."""
    world.columns = {name: column[mask] for name, column in world.columns.items()}


def thin(world, mask, *, keep_part):
    """Keep a part of the marked claims, by chance."""
    draw = np.random.default_rng(7).random(len(mask))
    keep(world, ~mask | (draw < keep_part))


def detect(world, *, config=CONFIG, **asked):
    return VolumeDetector().detect(world.cube(), as_of=world.last, config=config, **asked)


def test_payer_that_went_silent_is_told_with_day_and_money(world):
    thin(world, world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET), keep_part=0.0)

    (found,) = detect(world)

    assert (found.signal, found.segment.payer) == (Signal.VOLUME, "BITTERN")
    assert found.tier is Tier.ALERT
    assert abs((found.onset - world.start).days - ONSET) <= 4
    assert found.detected_on - found.onset <= dt.timedelta(days=14)
    assert (found.unit, found.current, found.claims) == ("claims", 0.0, 0)
    assert found.effect == -found.baseline
    assert found.dollars_per_month > 0
    assert "almost no claims since" in found.summary
    assert found.evidence.observed[-1] == 0.0
    assert found.evidence.low[-1] > 0


def test_more_than_half_of_a_payers_claims_gone_is_an_alert_and_less_is_watched(make_world):
    tiers = []
    for part in (0.35, 0.60):
        world = make_world(days=418, per_day=200)
        thin(world, world.of(payer="BITTERN") & (world.columns["submitted"] >= 340), keep_part=part)
        (found,) = detect(world)
        tiers.append(found.tier)
        assert "fewer claims than usual" in found.summary

    assert tiers == [Tier.ALERT, Tier.WATCH]


def test_everybody_sending_less_is_no_payers_change(world):
    thin(world, world.columns["submitted"] >= 340, keep_part=0.5)

    assert detect(world) == []


def test_payer_that_holds_its_claims_is_slow_and_not_idle(world):
    held = world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET)
    world.columns["decided"] = world.columns["decided"] + 60 * held

    assert detect(world) == []


def test_payer_that_is_back_is_resolved(make_world):
    world = make_world(days=418, per_day=60)
    decided = world.columns["decided"]
    thin(world, world.of(payer="BITTERN") & (decided >= 340) & (decided < 362), keep_part=0.0)
    night = world.start + dt.timedelta(days=360)
    (before,) = VolumeDetector().detect(world.cube(until=night), as_of=night, config=CONFIG)

    (after,) = detect(world, open_findings=[before])

    assert after.fingerprint == before.fingerprint
    assert after.ended is not None
    assert dt.timedelta(days=362) < after.ended - world.start < dt.timedelta(days=392)


def test_open_fall_is_returned_with_the_same_fingerprint(world):
    thin(world, world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET), keep_part=0.0)
    (first,) = VolumeDetector().detect(
        world.cube(until=world.last - dt.timedelta(days=9)),
        as_of=world.last - dt.timedelta(days=9),
        config=CONFIG,
    )

    (again,) = detect(world, config=DriftConfig(scan_days=3), open_findings=[first])

    assert again.fingerprint == first.fingerprint
    assert (again.as_of, again.ended) == (world.last, None)


def test_accepted_fall_is_reported_no_more(world):
    thin(world, world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET), keep_part=0.0)
    (found,) = detect(world)

    assert detect(world, accepted_findings=[found]) == []


def test_young_and_small_payers_are_not_judged(make_world):
    young = make_world(days=110, per_day=60)
    thin(young, young.of(payer="BITTERN") & (young.columns["decided"] >= 90), keep_part=0.0)
    small = make_world(days=418, per_day=60)
    thin(small, small.of(payer="EGRET"), keep_part=0.02)
    thin(small, small.of(payer="EGRET") & (small.columns["decided"] >= ONSET), keep_part=0.0)

    assert detect(young) == []
    assert detect(small) == []


def test_clean_worlds_are_quiet(make_world):
    """Nine worlds, three months of nights each: no alert; chance may put a payer on the watch list."""
    config = DriftConfig(scan_days=90)
    found = [
        one
        for seed in range(9)
        for one in detect(make_world(seed=seed, days=418, per_day=60), config=config)
    ]

    assert [one for one in found if one.tier is Tier.ALERT] == []
    assert len(found) <= 2


def test_feed_that_stopped_is_one_notice_and_ends_with_the_next_file(world):
    store = MemoryStore()
    stop = world.start + dt.timedelta(days=400)

    def look(until, today):
        store.cube.clear(MARSH)
        for cells in world.cube(until=until).values():
            store.cube.post(MARSH, cells.known_on(day_of(until)))
        return watch(
            tenant=MARSH,
            store=store,
            detectors={"volume": VolumeDetector()},
            config=CONFIG,
            as_of=None,
            bus=Bus([]),
            clock=Clock(today),
        )

    early = look(stop, stop + dt.timedelta(days=3))
    late = look(stop, stop + dt.timedelta(days=9))
    again = look(world.last, world.last + dt.timedelta(days=1))

    assert early.findings == ()
    (notice,) = late.recorded.new
    assert (notice.segment.payer, notice.signal) == (ALL_PAYERS, Signal.VOLUME)
    assert "look at your uploads" in notice.summary
    assert [one.fingerprint for one in again.recorded.resolved] == [notice.fingerprint]
    assert again.findings == ()


@pytest.mark.parametrize("quiet", [2, 200])
def test_old_files_and_short_pauses_are_no_stopped_feed(world, quiet):
    notice = VolumeDetector().feed(
        world.cube(), last=world.last, today=world.last + dt.timedelta(days=quiet), config=CONFIG
    )

    assert notice is None


def test_backtest_tells_of_silence_too(world):
    thin(world, world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET), keep_part=0.0)
    store = MemoryStore()
    for cells in world.cube().values():
        store.cube.post(MARSH, cells.known_on(day_of(world.last)))

    result = backtest(
        tenant=MARSH,
        store=store,
        detectors={"volume": VolumeDetector()},
        config=CONFIG,
        clock=Clock(world.last),
        start=world.last - dt.timedelta(days=60),
    )

    assert [(one.segment.payer, one.signal) for one in result.alerts] == [
        ("BITTERN", Signal.VOLUME)
    ]


@pytest.mark.parametrize("days", [0, 1, 40])
def test_hardly_any_history_is_no_drift(make_world, days):
    world = make_world(days=max(days, 1), per_day=30)
    cube = world.cube() if days else {}

    assert VolumeDetector().detect(cube, as_of=date_of(day_of(world.last)), config=CONFIG) in (
        [],
        (),
    )


def test_same_cells_in_another_order_give_the_same_findings(world):
    thin(world, world.of(payer="BITTERN") & (world.columns["decided"] >= ONSET), keep_part=0.0)
    cube = dict(world.cube())
    rows = np.random.default_rng(3).permutation(len(cube["decisions"]))
    shuffled = {**cube, "decisions": cube["decisions"].take(rows)}

    def found(cells):
        return VolumeDetector().detect(cells, as_of=world.last, config=CONFIG)

    assert [dataclasses.asdict(one) for one in found(shuffled)] == [
        dataclasses.asdict(one) for one in found(cube)
    ]
