"""Watch the payers of one tenant: cube in, findings out, people told.

The story: :class:`CubeUpkeep` posts each batch of changed claims to the cube, inside the
transaction that stored them. :func:`watch` reads each cube table with one query, lets the
configured detectors look at the nights since it last ran (:meth:`Detector.detect
<claimkit.drift.detectors.Detector.detect>`), and records what they found in one transaction with
the events that tell of it (:meth:`FindingLog.record <claimkit.drift.findings.FindingLog.record>`).
:func:`rebuild_cube` makes the cube again from all claims; it gives the same cells.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from claimkit.batches import without_cycles
from claimkit.drift.cube import DECISIONS, merge
from claimkit.drift.detectors import WatchesFeed, choose_detectors, share_budget
from claimkit.drift.dimensions import check_dimensions
from claimkit.drift.findings import Recorded, Tier, is_same_incident
from claimkit.drift.power import PayerState, watched_payers
from claimkit.drift.reading import reach_days, read_cube
from claimkit.drift.tally import tally
from claimkit.events import (
    ClaimsChanged,
    CubeRefreshed,
    DriftDetected,
    DriftResolved,
    DriftWorsened,
    FactsChange,
)
from claimkit.types import day_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells, CubeStore
    from claimkit.drift.detectors import Detector
    from claimkit.drift.findings import Finding
    from claimkit.drift.measures import Measure
    from claimkit.drift.power import PayerWatch
    from claimkit.drift.reading import CubeReading
    from claimkit.events import Bus, ClaimFacts, DataHold, Event, Phase
    from claimkit.stores import Store
    from claimkit.types import Clock, Day, Progress, TenantKey

__all__ = ["CubeUpkeep", "Keeping", "WatchReport", "WatchState", "rebuild_cube", "watch"]

logger = logging.getLogger(__name__)

#: The onset of a change that bad data makes is known to so many days.
_DOUBT_DAYS = 14
#: Cells that a rebuild holds before it posts them, and that it posts at a time.
_HELD, _POSTED = 200_000, 20_000


class WatchState(StrEnum):
    """What a run could do with the history that there is."""

    WATCHING = "watching"
    #: No payer has enough history yet; nothing can be found, and nothing is.
    LEARNING = "learning"
    #: Not one decision up to the day of the run.
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReport:
    """What one run of :func:`watch` saw, found and changed."""

    tenant: TenantKey
    #: The evening as of which the run looked; the day of the last decision unless asked otherwise.
    as_of: dt.date
    state: WatchState
    #: What is open after the run, alerts and watch list, most dollars per month first.
    findings: tuple[Finding, ...]
    #: What the run changed in the log.
    recorded: Recorded
    #: Each payer, largest volume first.
    payers: tuple[PayerWatch, ...]
    #: Rows read from the cube.
    cells: int
    #: First and last decision day in what was read; None where there is none.
    since: dt.date | None
    until: dt.date | None
    #: First night that the run looked at.
    scanned_from: dt.date
    #: Decisions read.
    decisions: int
    #: Alerts that wait on the watch list because of doubts about the data.
    held: tuple[Finding, ...] = ()

    @property
    def alerts(self) -> tuple[Finding, ...]:
        """Open findings that were pushed to people."""
        return tuple(one for one in self.findings if one.tier is Tier.ALERT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What a tenant's cube keeps beside the tables that all have; rebuild it after a change."""

    dimensions: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()


class CubeUpkeep:
    """Listener that keeps the cube true: posts what each batch of claims changed.

    Args:
        cube: Where it is kept.
        dimensions: Further dimensions that all tenants keep.
        measures: Further measures that all tenants keep.
        keeping: What each tenant keeps, where they differ; asked once a batch.
    """

    name: str = "drift.cube"
    topics: frozenset[str] = frozenset({ClaimsChanged.topic})
    phase: Phase = "transaction"

    def __init__(
        self,
        cube: CubeStore,
        *,
        dimensions: Sequence[str] = (),
        measures: Iterable[Measure] = (),
        keeping: Callable[[TenantKey], Keeping] | None = None,
    ) -> None:
        self._cube = cube
        given = Keeping(dimensions=check_dimensions(dimensions), measures=tuple(measures))
        self._keeping = keeping or (lambda _tenant: given)

    def handle(self, event: Event) -> Iterable[Event]:
        """Post the signed deltas of one batch, as known since its day, and tell how long it took."""
        if not isinstance(event, ClaimsChanged):
            return ()
        began = time.perf_counter()
        kept = self._keeping(event.tenant)
        cells = tally(event.changes, dimensions=kept.dimensions, measures=kept.measures)
        _post(self._cube, event.tenant, cells, event.known_day)
        seconds = time.perf_counter() - began
        return (
            CubeRefreshed(
                tenant=event.tenant, at=event.at, changes=len(event.changes), seconds=seconds
            ),
        )


def watch(
    *,
    tenant: TenantKey,
    store: Store,
    detectors: Mapping[str, Detector],
    config: DriftConfig,
    as_of: dt.date | None,
    bus: Bus,
    clock: Clock,
    progress: Progress | None = None,
    known_by: dt.date | None = None,
    holds: Sequence[DataHold] = (),
    has_watched: bool = False,
) -> WatchReport:
    """Look for payers that changed, record what is found, and tell.

    A run looks at the last ``config.scan_days`` nights, as if it had run on each of them, so a
    change that began and was missed weeks ago is found and keeps its first night
    (:attr:`Finding.detected_on <claimkit.drift.findings.Finding.detected_on>`). A tenant's first
    run, and every one until something is found or payers were watched, looks at
    ``config.first_scan_days`` nights. Running again changes nothing.

    Args:
        tenant: Whose claims.
        store: Where its cube and findings are.
        detectors: Name → detector; those that ``config.detectors`` names run, in that order.
        config: Settings of the room.
        as_of: The evening to look back from; None means the day of the last decision.
        bus: Told ``drift.detected``, ``drift.worsened`` and ``drift.resolved`` for alerts.
        clock: Decisions dated after its today are taken for errors and left out.
        progress: Told of each step.
        known_by: Leave out what became known later; None means all that is known.
        holds: Doubts about recent data: alerts about changes since then are kept on the watch
            list, with the reason, and are told once a later run has no such doubt.
        has_watched: An earlier run watched payers of this tenant, so that its past was looked at,
            also where nothing was found. What keeps its runs says so: a look at a year costs
            several times one at ``config.scan_days`` nights.

    Raises:
        UnknownName: a configured detector is not registered.
    """
    chosen = choose_detectors(config.detectors, detectors, progress)
    before = tuple(store.findings.open(tenant))
    is_first = not has_watched and not before and not store.findings.all(tenant)
    setting = share_budget(chosen, config)
    if is_first:
        setting = replace(setting, scan_days=config.first_scan_days)
    history = read_cube(
        tenant,
        store.cube,
        as_of=as_of,
        days=reach_days(_nights(setting, before), setting),
        clock=clock,
        known_by=known_by,
        progress=progress,
    )
    found = _look(chosen, history, setting, before, store.findings.accepted(tenant), progress)
    if as_of is None:
        found.extend(_stopped_feed(chosen, history, clock.now().date(), setting))
    found, held = _held_back(found, before, holds)
    with bus.transaction(store.atomic()):
        recorded = store.findings.record(tenant, found, as_of=history.as_of)
        for event in _events(tenant, recorded, before, clock.now()):
            bus.stage(event)
    payers = watched_payers(history.cube[DECISIONS.name], as_of=history.as_of, config=config)
    _log(found, recorded, history.cells)
    return WatchReport(
        tenant=tenant,
        as_of=history.as_of,
        state=_state(payers),
        findings=tuple(store.findings.open(tenant)),
        recorded=recorded,
        payers=payers,
        cells=history.cells,
        since=history.since,
        until=history.until,
        scanned_from=history.as_of - dt.timedelta(days=setting.scan_days - 1),
        decisions=history.decisions,
        held=held,
    )


def rebuild_cube(
    *,
    tenant: TenantKey,
    cube: CubeStore,
    facts: Iterable[Sequence[ClaimFacts]],
    known_on: dt.date,
    dimensions: Sequence[str] = (),
    measures: Iterable[Measure] = (),
    progress: Progress | None = None,
) -> int:
    """Make a tenant's cube again from all its claims and return how many claims there were.

    Run it inside one transaction (``store.atomic()``), so that readers never see half a cube.
    Past nights "as known then" are forgotten: everything counts as known on ``known_on``.

    Args:
        tenant: Whose cube.
        cube: Where it is kept.
        facts: Batches of current facts, one per claim: the claims room makes them from a scan. Where
            claims that were decided at about the same time come together, each cell is written
            once or twice; in any other order it is right as well, and slower.
        known_on: The day from which the rebuilt cells count as known.
        dimensions: Further dimensions to keep.
        measures: Further measures to keep.
        progress: Told after each batch.
    """
    kept, watched = check_dimensions(dimensions), tuple(measures)
    cube.clear(tenant)
    held = _HeldCells(cube, tenant, day_of(known_on))
    done = 0
    for batch in without_cycles(facts):
        changes = [FactsChange(None, one) for one in batch]
        held.add(tally(changes, dimensions=kept, measures=watched))
        done += len(changes)
        _tell(progress, "rebuilding the cube", done, None)
    held.post()
    return done


class _HeldCells:
    """Cells of many batches, summed before they are written.

    Written batch by batch, a cell of a busy day is a row that is updated thousands of times in one
    transaction, in which no dead version of it can be removed.
    """

    def __init__(self, cube: CubeStore, tenant: TenantKey, day: Day) -> None:
        self._cube, self._tenant, self._day = cube, tenant, day
        self._parts: dict[str, list[Cells]] = {}
        self._size = 0

    def add(self, kept: Mapping[str, Cells]) -> None:
        """Take the cells of a batch; write what there is where that is too much to hold."""
        for name, cells in kept.items():
            if len(cells):
                self._parts.setdefault(name, []).append(cells)
                self._size += len(cells)
        if self._size > _HELD:
            self._sum()
            # What summing makes small is held on: nearly all of it is cells that come again.
            if self._size > _HELD // 2:
                self.post()

    def post(self) -> None:
        """Write all, in the order of days: neighbors in the index come one after the other."""
        self._sum()
        for (cells,) in self._parts.values():
            order = np.argsort(cells.numbers[cells.table.day], kind="stable")
            for at in range(0, len(cells), _POSTED):
                some = cells.take(order[at : at + _POSTED])
                self._cube.post(self._tenant, some.known_on(self._day))
        self._parts, self._size = {}, 0

    def _sum(self) -> None:
        self._parts = {name: [merge(parts)] for name, parts in self._parts.items()}
        self._size = sum(len(cells) for (cells,) in self._parts.values())


def _look(
    detectors: Sequence[Detector],
    history: CubeReading,
    config: DriftConfig,
    open_findings: Sequence[Finding],
    accepted: Sequence[Finding],
    progress: Progress | None,
) -> list[Finding]:
    """Let each detector look at the nights, in order."""
    found: list[Finding] = []
    for at, detector in enumerate(detectors):
        _tell(progress, f"looking for drift ({detector.name})", at, len(detectors))
        found.extend(
            detector.detect(
                history.cube,
                as_of=history.as_of,
                config=config,
                open_findings=open_findings,
                accepted_findings=accepted,
            )
        )
    _tell(progress, "looking for drift", len(detectors), len(detectors))
    return found


def _stopped_feed(
    detectors: Sequence[Detector], history: CubeReading, today: dt.date, config: DriftConfig
) -> Iterator[Finding]:
    """Yield the notice about a feed that stopped: a run without a day is one of a live feed."""
    for detector in detectors:
        if isinstance(detector, WatchesFeed):
            notice = detector.feed(history.cube, last=history.as_of, today=today, config=config)
            if notice is not None:
                yield notice


def _nights(config: DriftConfig, open_findings: Sequence[Finding]) -> int:
    """Return how many nights before the evening matter to what is open."""
    nights = config.scan_days
    for one in open_findings:
        # An open incident is measured against the baseline of its first night, kept frozen.
        nights = max(nights, (one.as_of - (one.detected_on or one.onset)).days + config.scan_days)
    return nights


def _log(found: Sequence[Finding], recorded: Recorded, cells: int) -> None:
    logger.info(
        "drift watched", extra={"found": len(found), "new": len(recorded.new), "cells": cells}
    )


def _held_back(
    found: Sequence[Finding], before: Sequence[Finding], holds: Sequence[DataHold]
) -> tuple[list[Finding], tuple[Finding, ...]]:
    """Return the findings, alerts that nobody was told of yet on the watch list where in doubt."""
    told = [one for one in before if one.tier is Tier.ALERT]
    kept: list[Finding] = []
    held: list[Finding] = []
    for one in found:
        doubts = [hold for hold in holds if _is_doubtful(day_of(one.onset), hold)]
        is_new = one.tier is Tier.ALERT and one.ended is None
        if doubts and is_new and not any(is_same_incident(each, one) for each in told):
            why = (*one.why, *(f"Held back as an alert: {hold.reason}" for hold in doubts))
            held.append(replace(one, tier=Tier.WATCH, why=why))
            kept.append(held[-1])
        else:
            kept.append(one)
    return kept, tuple(held)


def _is_doubtful(onset: Day, hold: DataHold) -> bool:
    """Whether a change began where the data is in doubt, give or take how well an onset is known."""
    last = onset if hold.until is None else hold.until + _DOUBT_DAYS
    return hold.since - _DOUBT_DAYS <= onset <= last


def _events(
    tenant: TenantKey, recorded: Recorded, before: Sequence[Finding], at: dt.datetime
) -> Iterator[Event]:
    """Yield what people hear of: alerts only, and the end of what they were told."""
    pushed = {one.fingerprint for one in before if one.tier is Tier.ALERT}
    for one in (*recorded.new, *recorded.worse):
        if one.tier is Tier.ALERT:
            kind = DriftWorsened if one.fingerprint in pushed else DriftDetected
            yield _event(kind, tenant, one, at)
    for one in recorded.resolved:
        if one.tier is Tier.ALERT:
            yield _event(DriftResolved, tenant, one, at)


def _event(
    kind: type[DriftDetected | DriftWorsened | DriftResolved],
    tenant: TenantKey,
    finding: Finding,
    at: dt.datetime,
) -> Event:
    return kind(
        tenant=tenant,
        at=at,
        finding=finding.fingerprint,
        signal=finding.signal,
        payer=finding.segment.payer,
        severity=finding.severity,
        onset=finding.onset,
        dollars_per_month=finding.dollars_per_month,
        summary=finding.summary,
        dimensions=finding.segment.dimensions,
    )


def _state(payers: Sequence[PayerWatch]) -> WatchState:
    if not payers:
        return WatchState.EMPTY
    if all(one.state is PayerState.LEARNING for one in payers):
        return WatchState.LEARNING
    return WatchState.WATCHING


def _post(cube: CubeStore, tenant: TenantKey, kept: Mapping[str, Cells], day: Day) -> None:
    for cells in kept.values():
        if len(cells):
            cube.post(tenant, cells.known_on(day))


def _tell(progress: Progress | None, step: str, done: int, total: int | None) -> None:
    if progress is not None:
        progress(step, done, total)
