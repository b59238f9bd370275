from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from claimkit.config import DriftConfig
from claimkit.drift.acceptance import accept_finding, rebase
from claimkit.drift.findings import FindingState, Signal
from claimkit.drift.history import make_history
from claimkit.drift.lattice import LatticeDetector
from claimkit.drift.threshold import ThresholdDetector
from claimkit.errors import FindingUnknown
from claimkit.events import Bus, DriftAccepted
from claimkit.stores.memory import MemoryStore
from claimkit.testing.factories import make_finding
from claimkit.types import TenantKey, day_of

MARSH = TenantKey("marsh")
ONSET = 330
NOON = dt.datetime(2026, 4, 2, 12, tzinfo=dt.UTC)


class NoonClock:
    def now(self):
        return NOON


class Recorder:
    name = "recorder"
    topics = frozenset({DriftAccepted.topic})
    phase = "transaction"

    def __init__(self):
        self.heard = []

    def handle(self, event):
        self.heard.append(event)


def detect(world, **asked):
    asked.setdefault("config", DriftConfig())
    return LatticeDetector().detect(world.cube(), as_of=world.last, **asked)


def alert_of(world, payer="ALBATROSS"):
    return next(one for one in detect(world) if one.segment.payer == payer)


def test_acceptance_closes_the_finding_and_tells_who_did_it():
    store, recorder = MemoryStore(), Recorder()
    store.findings.record(MARSH, [make_finding()], as_of=dt.date(2026, 3, 20))

    accepted = accept_finding(
        tenant=MARSH,
        store=store,
        fingerprint="fp-marsupilami",
        by="fantasio",
        bus=Bus([recorder]),
        clock=NoonClock(),
    )

    assert (accepted.accepted_on, accepted.accepted_by) == (NOON.date(), "fantasio")
    assert [state for _, state in store.findings.all(MARSH)] == [FindingState.ACCEPTED]
    (event,) = recorder.heard
    assert (event.finding, event.by) == ("fp-marsupilami", "fantasio")


def test_unknown_finding_is_refused_and_nothing_is_told():
    recorder = Recorder()

    with pytest.raises(FindingUnknown):
        accept_finding(
            tenant=MARSH,
            store=MemoryStore(),
            fingerprint="fp-zorglub",
            by="fantasio",
            bus=Bus([recorder]),
            clock=NoonClock(),
        )

    assert recorder.heard == []


def test_accepted_denials_are_reported_no_more(make_world):
    world = make_world(days=418, per_day=120)
    world.deny_more(world.of(payer="ALBATROSS"), since=ONSET, points=0.10)
    accepted = alert_of(world)

    again = detect(world, accepted_findings=[accepted])

    assert [one for one in again if one.segment.payer == "ALBATROSS"] == []


def test_what_comes_on_top_of_an_accepted_level_is_found(make_world):
    world = make_world(days=418, per_day=120)
    world.deny_more(world.of(payer="ALBATROSS"), since=300, points=0.10)
    before = LatticeDetector().detect(
        world.cube(until=world.start + dt.timedelta(days=355)),
        as_of=world.start + dt.timedelta(days=355),
        config=DriftConfig(),
    )
    accepted = next(one for one in before if one.segment.payer == "ALBATROSS")
    world.deny_more(world.of(payer="ALBATROSS"), since=370, points=0.15)

    found = detect(world, accepted_findings=[accepted])

    (worse,) = [one for one in found if one.segment.payer == "ALBATROSS"]
    assert worse.onset >= world.start + dt.timedelta(days=360)
    assert worse.baseline == pytest.approx(accepted.current, abs=0.03)
    assert worse.effect == pytest.approx(0.15, abs=0.05)


def test_accepted_amounts_are_reported_no_more(make_world):
    world = make_world(days=418, per_day=120)
    cut = world.of(payer="ALBATROSS") & (world.columns["decided"] >= ONSET)
    world.columns["ratio"] = world.columns["ratio"] - 0.08 * cut
    accepted = alert_of(world)
    assert accepted.signal is Signal.ALLOWED_AMOUNT

    assert detect(world, accepted_findings=[accepted]) == ()


def test_accepted_pace_is_reported_no_more(make_world):
    world = make_world(days=418, per_day=120)
    slow = world.of(payer="ALBATROSS") & (world.columns["decided"] >= ONSET)
    world.columns["decided"] = world.columns["decided"] + 9 * slow
    accepted = next(one for one in detect(world) if one.signal is Signal.DECISION_TIME)

    again = detect(world, accepted_findings=[accepted])

    assert [one for one in again if one.signal is Signal.DECISION_TIME] == []


def test_rebased_past_has_as_many_claims_and_the_accepted_rate(make_world):
    world = make_world(days=418, per_day=120)
    history = make_history(world.cube(), as_of=day_of(world.last))
    accepted = make_finding(
        payer="BITTERN", onset=world.start + dt.timedelta(days=ONSET), effect=0.12
    )
    accepted = dataclasses.replace(
        accepted, segment=dataclasses.replace(accepted.segment, category="eligibility")
    )

    moved = rebase(history, [accepted])

    def rates(past):
        payer = past.cell_payer[past.decided.cell]
        mine = (payer == list(past.payers).index("BITTERN")) & (past.decided.day < ONSET)
        claims = past.decided.claims
        return claims[mine & (past.decided.reason >= 0)].sum() / claims[mine].sum()

    onset = day_of(accepted.onset) - history.first
    assert moved.decided.claims.sum() == pytest.approx(history.decided.claims.sum())
    assert rates(moved) - rates(history) == pytest.approx(0.12, abs=0.005)
    after, before = (one.decided.rows(onset, history.days) for one in (moved, history))
    assert np.array_equal(moved.decided.claims[after], history.decided.claims[before])


def test_findings_of_strangers_leave_the_past_alone(make_world):
    world = make_world(days=200)
    history = make_history(world.cube(), as_of=day_of(world.last))

    moved = rebase(history, [make_finding(payer="NOBODY")])

    assert np.array_equal(moved.decided.claims, history.decided.claims)


def test_threshold_rule_leaves_out_what_was_accepted_while_its_windows_hold_the_old_level(
    make_world,
):
    world = make_world(days=418, per_day=200)
    world.deny_more(world.of(payer="ALBATROSS"), since=395, points=0.30)
    detector = ThresholdDetector()
    found = detector.detect(world.cube(), as_of=world.last, config=DriftConfig())
    accepted = [one for one in found if one.signal is Signal.DENIAL_RATE]
    old = [dataclasses.replace(one, onset=one.onset - dt.timedelta(days=104)) for one in accepted]

    def again(findings):
        return detector.detect(
            world.cube(), as_of=world.last, config=DriftConfig(), accepted_findings=findings
        )

    assert accepted
    assert [one for one in again(accepted) if one.signal is Signal.DENIAL_RATE] == []
    assert len(again(old)) == len(found)


def test_alert_that_later_data_no_longer_supports_is_revised_and_stays(make_world):
    world = make_world(days=418, per_day=120)
    told = world.start + dt.timedelta(days=380)
    mended = make_world(days=418, per_day=120)
    world.deny_more(world.of(payer="ALBATROSS"), since=360, points=0.20)
    (alert,) = [
        one
        for one in LatticeDetector().detect(
            world.cube(until=told), as_of=told, config=DriftConfig()
        )
        if one.segment.payer == "ALBATROSS"
    ]
    night = told + dt.timedelta(days=1)

    def tomorrow(claims):
        (one,) = [
            one
            for one in LatticeDetector().detect(
                claims.cube(until=night),
                as_of=night,
                config=DriftConfig(scan_days=1),
                open_findings=[alert],
            )
            if one.segment.payer == "ALBATROSS"
        ]
        return one

    assert (tomorrow(world).revised, tomorrow(mended).revised) == (False, True)
    assert tomorrow(mended).fingerprint == alert.fingerprint
    assert any("no longer support" in why for why in tomorrow(mended).why)
