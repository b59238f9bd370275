"""Method ``claimkit``: the library, night by night on its own cube, with the settings it ships."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from alert import Alert, Estimate, Told
from cells import first_day, group_name
from simulation import EVAL_START, REASONS

from claimkit.config import DriftConfig
from claimkit.drift.findings import Signal, Tier, reconcile
from claimkit.drift.history import OTHER_GROUPS, make_history
from claimkit.drift.incidents import replay_nights
from claimkit.drift.volume import VolumeDetector
from claimkit.types import date_of, day_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claims import Claims

    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding
    from claimkit.drift.history import History
    from claimkit.drift.incidents import Incident, Measured

__all__ = ["claimkit", "claimkit_volume", "claimkit_watch"]

#: Days between two runs of the detector of silence.
_RUN_DAYS = 7
_METRICS = {
    Signal.DENIAL_RATE: "denial",
    Signal.DENIAL_REASON_MIX: "reason",
    Signal.DECISION_TIME: "lag",
    Signal.ALLOWED_AMOUNT: "allowed",
}


def claimkit(
    claims: Claims, cube: Mapping[str, Cells], *, config: DriftConfig | None = None
) -> list[Alert]:
    """Return what the library would have told, each night with what it could know."""
    origin = first_day(claims)
    history = make_history(cube, as_of=origin + claims.days - 1)
    if history is None:
        return []
    shift = origin - history.first
    run = replay_nights(history, EVAL_START + shift, history.days - 1, config or DriftConfig())
    names = {group_name(code): code for code in range(claims.groups)}
    told = Told()
    for incident in sorted(run.incidents, key=lambda one: one.told):
        if incident.alerted is not None:
            told.add(_alert(incident, history, names, shift))
    return told.alerts


def claimkit_watch(claims: Claims, cube: Mapping[str, Cells]) -> list[Alert]:
    """Return the same with the watch list's budget, one false finding a month."""
    return claimkit(claims, cube, config=DriftConfig(budget=DriftConfig().watch_budget))


def claimkit_volume(claims: Claims, cube: Mapping[str, Cells]) -> list[Alert]:
    """Return what the library's detector of silence would have told, run once a week."""
    origin, detector = first_day(claims), VolumeDetector()
    config = replace(DriftConfig(), scan_days=_RUN_DAYS)
    told, standing = Told(), dict[str, "Finding"]()
    for night in range(EVAL_START + _RUN_DAYS - 1, claims.days, _RUN_DAYS):
        as_of = date_of(origin + night)
        known = tuple(standing.values())
        found = detector.detect(cube, as_of=as_of, config=config, open_findings=known)
        recorded = reconcile(known, found, as_of=as_of)
        for one in (*recorded.new, *recorded.worse, *recorded.same):
            is_known = standing.get(one.fingerprint, one).tier is Tier.ALERT
            if one.tier is Tier.ALERT and (one.fingerprint not in standing or not is_known):
                told.add(_silence(one, origin))
            standing[one.fingerprint] = one
        for one in recorded.resolved:
            standing.pop(one.fingerprint, None)
    return told.alerts


def _silence(finding: Finding, origin: int) -> Alert:
    usual = max(finding.baseline, 1e-9)
    return Alert(
        day=day_of(finding.detected_on or finding.onset) - origin,
        metric="volume",
        payer=int(finding.segment.payer.split()[-1]),
        effect=finding.effect / usual,
        error=(finding.interval[1] - finding.interval[0]) / 3.92 / usual,
        level="VOLUME",
    )


def _alert(incident: Incident, history: History, names: Mapping[str, int], shift: int) -> Alert:
    first = incident.course[0] if incident.course else None
    groups = _groups(incident.payer, None if first is None else first.cells, history, names)
    later = {}
    for one in incident.course[1:]:
        after = one.night - incident.told
        later[after] = _estimate(one, incident.payer, history, names)
    return Alert(
        day=incident.told - shift,
        metric=_METRICS[incident.signal] if incident.payer >= 0 else "tenant",
        payer=int(history.payers[incident.payer].split()[-1]) if incident.payer >= 0 else -1,
        groups=groups,
        reason=_reason(history, None if first is None else first.reason),
        effect=incident.effect if first is None else first.effect,
        error=incident.error if first is None else first.error,
        level=incident.level.name,
        later=later,
    )


def _estimate(one: Measured, payer: int, history: History, names: Mapping[str, int]) -> Estimate:
    groups = _groups(payer, one.cells, history, names)
    return Estimate(one.effect, one.error, groups, _reason(history, one.reason))


def _groups(
    payer: int, cells: tuple[int, ...] | None, history: History, names: Mapping[str, int]
) -> tuple[int, ...] | None:
    if cells is None:
        return None
    own = {history.groups[at] for at in history.cell_group[history.cells_of(payer)].tolist()}
    chosen: set[int] = set()
    for at in history.cell_group[np.array(cells)].tolist():
        name = history.groups[at]
        if name == OTHER_GROUPS:
            chosen |= {code for group, code in names.items() if group not in own}
        else:
            chosen.add(names[name])
    return tuple(sorted(chosen))


def _reason(history: History, reason: int | None) -> int | None:
    if reason is None or history.categories[reason] not in REASONS:
        return None
    return REASONS.index(history.categories[reason])
