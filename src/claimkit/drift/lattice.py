"""Detector ``lattice``: few false alarms, one statement per incident.

The story of a night: :func:`~claimkit.drift.history.make_history` turns the cube into arrays;
:class:`~claimkit.drift.nights.Week` fits what is normal and lays out the streams of payer,
procedure and reason; :func:`~claimkit.drift.scan.scan` scores all trailing windows of all streams
against one budget of false alarms; :class:`~claimkit.drift.incidents.Run` opens, refines and ends
incidents; :func:`~claimkit.drift.statement.make_finding` says what happened. The method and its
measurements are in ``explanation/drift`` of the docs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from claimkit.drift.acceptance import rebase
from claimkit.drift.findings import ALL_PAYERS, Signal, Tier
from claimkit.drift.history import make_history
from claimkit.drift.incidents import Incident, replay_nights
from claimkit.drift.nights import Family
from claimkit.drift.places import narrow
from claimkit.drift.plateau import SETTLE_DAYS, Plateau
from claimkit.drift.statement import DETECTOR, make_finding
from claimkit.drift.streams import Level
from claimkit.drift.tenantwide import ALL
from claimkit.types import day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Mapping, Sequence

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding
    from claimkit.drift.history import History
    from claimkit.drift.incidents import Run
    from claimkit.types import Progress

__all__ = ["LatticeDetector", "replay"]

_FAMILIES = {
    Signal.DENIAL_RATE: (Family.DENIAL, Level.PAYER),
    Signal.DENIAL_REASON_MIX: (Family.DENIAL, Level.SWAP),
    Signal.DECISION_TIME: (Family.SPEED, Level.SPEED),
    Signal.ALLOWED_AMOUNT: (Family.ALLOWED, Level.ALLOWED_PAYER),
}


class LatticeDetector:
    """Denials, reasons, decision time and allowed amounts, against each payer's own past."""

    name = DETECTOR

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress

    def telling(self, progress: Progress) -> LatticeDetector:
        """Return the same detector, which tells ``progress`` of each night."""
        return LatticeDetector(progress)

    def detect(
        self,
        cube: Mapping[str, Cells],
        *,
        as_of: dt.date,
        config: DriftConfig,
        open_findings: Sequence[Finding] = (),
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return what is drifting as of the end of day ``as_of``; pure and deterministic.

        Looks at the last ``config.scan_days`` nights one after the other, each with what it could
        know. Findings that are open are followed from their own first night on, against the
        baseline of that time, and are returned again, with ``ended`` set once they are over.

        Levels that people accepted are expected from the first day on. A payer whose slower pace
        was accepted is compared with its days since then, until its baseline lies wholly after the
        change.
        """
        mine = [one for one in open_findings if one.detector == self.name]
        accepted = [one for one in accepted_findings if one.detector == self.name]
        history = make_history(cube, as_of=day_of(as_of))
        if history is None:
            return ()
        last = history.days - 1
        run = _replay(
            history,
            last - config.scan_days + 1,
            last,
            config,
            mine,
            accepted=accepted,
            progress=self._progress,
        )
        return tuple(
            narrow(make_finding(run, incident, last), run, incident, cube)
            for incident in run.incidents
            if incident.ended is None or incident.fingerprint
        )

    def replay(
        self,
        cube: Mapping[str, Cells],
        *,
        start: dt.date,
        end: dt.date,
        config: DriftConfig,
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return every incident of the nights from ``start`` to ``end``; see :func:`replay`."""
        accepted = [one for one in accepted_findings if one.detector == self.name]
        return replay(
            cube, start=start, end=end, config=config, accepted=accepted, progress=self._progress
        )


def replay(
    cube: Mapping[str, Cells],
    *,
    start: dt.date,
    end: dt.date,
    config: DriftConfig,
    accepted: Sequence[Finding] = (),
    progress: Progress | None = None,
) -> tuple[Finding, ...]:
    """Return every incident that the nights from ``start`` to ``end`` would have told, in order.

    What ended before ``end`` has ``ended`` set. ``detected_on`` is the night it was first told. From
    the day of an acceptance on, nights compare with the accepted level, and what is open of
    its payer and family is closed.
    """
    history = make_history(cube, as_of=day_of(end))
    if history is None:
        return ()
    first, last = max(0, day_of(start) - history.first), history.days - 1
    dated = [(_accepted_on(one) - history.first, one) for one in accepted]
    run = replay_nights(
        rebase(history, [one for day, one in dated if day <= first]),
        first,
        last,
        config,
        paces=_paces(history, [one for day, one in dated if day <= first]),
        acceptances={
            day: partial(_accept, history, [one for on, one in dated if on <= day], day)
            for day, _ in dated
            if first < day <= last
        },
        on_night=_telling(progress, first, last),
    )
    return tuple(
        narrow(make_finding(run, one, last if one.ended is None else one.ended), run, one, cube)
        for one in run.incidents
    )


def _accept(history: History, accepted: Sequence[Finding], night: int, run: Run) -> None:
    """Go on with a run as if people had accepted some findings, the last ones before ``night``."""
    moved, paces = rebase(history, accepted), _paces(history, accepted)
    for one in accepted:
        if _accepted_on(one) - history.first == night and one.segment.payer in history.payers:
            payer = history.payers.index(one.segment.payer)
            run.accept(_FAMILIES[one.signal][0], payer, night, moved, paces)


def _accepted_on(finding: Finding) -> int:
    return day_of(finding.accepted_on or finding.as_of)


def _telling(progress: Progress | None, first: int, last: int) -> Callable[[int], None]:
    def tell(night: int) -> None:
        if progress is not None:
            progress("looking for drift, night by night", night - first + 1, last - first + 1)

    return tell


def _replay(
    history: History,
    first: int,
    last: int,
    config: DriftConfig,
    open_findings: Sequence[Finding],
    *,
    accepted: Sequence[Finding],
    progress: Progress | None,
) -> Run:
    first = max(first, 0)
    rebased = {one.segment.payer for one in accepted}
    return replay_nights(
        rebase(history, accepted),
        first,
        last,
        config,
        known=[
            partial(_known, one, rebased=rebased)
            for one in sorted(open_findings, key=lambda each: each.detected_on or each.onset)
        ],
        paces=_paces(history, accepted),
        on_night=_telling(progress, first, last),
    )


def _paces(history: History, accepted: Sequence[Finding]) -> Mapping[int, Plateau]:
    """Return the plateau of each payer whose slower pace was accepted, the latest one."""
    paces: dict[int, Plateau] = {}
    for one in sorted(accepted, key=lambda each: each.onset):
        if one.signal is Signal.DECISION_TIME and one.segment.payer in history.payers:
            payer = history.payers.index(one.segment.payer)
            onset = max(0, day_of(one.onset) - history.first)
            until = _accepted_on(one) - history.first
            paces[payer] = Plateau(
                payer=payer, onset=onset, start=onset, end=max(onset + SETTLE_DAYS, until)
            )
    return paces


def _known(finding: Finding, run: Run, *, rebased: Collection[str]) -> Incident | None:
    """Return the incident of a finding that is open already; None if it cannot be followed.

    An alert is revised once its night, looked at again with what became known since, would not
    even make the watch list; not where the payer's past was ``rebased`` meanwhile.
    """
    history = run.history
    place = finding.segment
    told = day_of(finding.detected_on or finding.onset) - history.first
    is_everybody = place.payer == ALL_PAYERS
    if not (is_everybody or place.payer in history.payers) or not 0 <= told < history.days:
        return None
    week = run.week(told)
    family = (Family.TENANT, Level.TENANT) if is_everybody else _FAMILIES.get(finding.signal)
    if week is None or family is None:
        return None
    payer = ALL if is_everybody else history.payers.index(place.payer)
    raised = run.raised_week(week, told)
    if raised is not None and (family[0], payer) in raised.plateaus:
        week = raised
    is_judged = finding.tier is Tier.ALERT and place.payer not in rebased
    where = slice(0, 0) if is_everybody else history.cells_of(payer)
    named = set(place.procedure_groups)
    cells = tuple(
        cell
        for cell in range(where.start, where.stop)
        if history.groups[history.cell_group[cell]] in named
    )
    categories = list(history.categories)
    reason = categories.index(place.category) if place.category in categories else None
    return Incident(
        family=family[0],
        signal=finding.signal,
        payer=payer,
        level=family[1],
        score=finding.score,
        limits=(finding.threshold, finding.threshold),
        week=week,
        opened=told,
        alerted=told if finding.tier is Tier.ALERT else None,
        told=told,
        onset=max(0, day_of(finding.onset) - history.first),
        cells=cells or None,
        reason=reason,
        effect=finding.effect,
        error=(finding.interval[1] - finding.interval[0]) / 3.92,
        believed=finding.effect,
        is_settled=not finding.preliminary,
        is_revised=is_judged and not week.supports(told, family[0], payer),
        fingerprint=finding.fingerprint,
    )
