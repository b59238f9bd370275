from __future__ import annotations

import datetime as dt
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from claimkit.events import Bus, ClaimsImported, Event, Phase
from claimkit.types import TenantKey

IMPORTED = ClaimsImported(
    tenant=TenantKey("northside"),
    at=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
    upload="upl_1",
    new=3,
    changed=0,
    same=0,
    rejected=0,
)


@dataclass
class Recorder:
    phase: Phase
    heard: list[str]
    name: str = "recorder"
    topics: frozenset[str] = frozenset()
    fails: bool = False
    events: list[Event] = field(default_factory=list)

    def handle(self, event: Event) -> None:
        self.heard.append(f"{self.name}:{event.topic}")
        self.events.append(event)
        if self.fails:
            raise RuntimeError("no")


def test_transaction_listeners_are_told_at_once_and_committed_ones_after_the_commit():
    heard: list[str] = []
    bus = Bus(
        [
            Recorder("committed", heard, name="after"),
            Recorder("transaction", heard, name="within"),
        ]
    )

    @contextmanager
    def database():
        yield
        heard.append("commit")

    with bus.transaction(database()):
        bus.stage(IMPORTED)
        heard.append("work")

    assert heard == ["within:claims.imported", "work", "commit", "after:claims.imported"]


def test_nothing_is_told_when_the_work_fails():
    heard: list[str] = []
    bus = Bus([Recorder("committed", heard)])

    with pytest.raises(KeyError), bus.transaction():
        bus.stage(IMPORTED)
        raise KeyError

    assert heard == []


def test_a_transaction_listener_that_fails_aborts_the_work():
    bus = Bus([Recorder("transaction", [], fails=True)])

    with pytest.raises(RuntimeError, match="no"), bus.transaction():
        bus.stage(IMPORTED)


def test_a_committed_listener_that_fails_does_not_keep_others_from_hearing(caplog):
    heard: list[str] = []
    bus = Bus(
        [
            Recorder("committed", heard, name="broken", fails=True),
            Recorder("committed", heard, name="sound"),
        ]
    )

    with caplog.at_level(logging.ERROR), bus.transaction():
        bus.stage(IMPORTED)

    assert heard == ["broken:claims.imported", "sound:claims.imported"]
    assert caplog.records[0].listener == "broken"


def test_a_listener_hears_its_topics_only():
    heard: list[str] = []
    bus = Bus([Recorder("committed", heard, topics=frozenset({"drift.detected"}))])

    with bus.transaction():
        bus.stage(IMPORTED)

    assert heard == []


def test_staging_outside_a_transaction_is_an_error():
    with pytest.raises(RuntimeError, match="outside"):
        Bus([]).stage(IMPORTED)


def test_transactions_do_not_nest():
    bus = Bus([])
    with bus.transaction(), pytest.raises(RuntimeError, match="nest"), bus.transaction():
        pass


def test_the_bus_can_be_used_again_after_a_failure():
    heard: list[str] = []
    bus = Bus([Recorder("committed", heard)])
    with pytest.raises(KeyError), bus.transaction():
        raise KeyError

    with bus.transaction():
        bus.stage(IMPORTED)

    assert heard == ["recorder:claims.imported"]
