"""Acceptance: a person says that a payer's new level is the normal one, and detectors compare with it.

:func:`accept_finding` closes an open finding and tells of it. :func:`rebase` is how the ``lattice``
detector keeps the promise: it looks at a past in which the accepted change has always been there, so
that the new level is expected, and what comes on top of it is found like any other change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from claimkit.drift.findings import Signal
from claimkit.events import DriftAccepted
from claimkit.types import day_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.findings import Finding, Segment
    from claimkit.drift.history import Decisions, History, Payments
    from claimkit.events import Bus
    from claimkit.stores import Store
    from claimkit.types import Clock, TenantKey

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["accept_finding", "rebase"]

#: No more of a group's other outcomes than this become the accepted one.
_MOST = 0.95


def accept_finding(
    *, tenant: TenantKey, store: Store, fingerprint: str, by: str, bus: Bus, clock: Clock
) -> Finding:
    """Take the level of an open finding as the new normal, and tell ``drift.accepted``.

    Args:
        tenant: Whose finding.
        store: Where it is.
        fingerprint: Which finding.
        by: Who says so, as other records name the person.
        bus: Told of it in the same transaction.
        clock: Tells the day of the acceptance.

    Raises:
        FindingUnknown: there is no open finding with this fingerprint.
    """
    now = clock.now()
    with bus.transaction(store.atomic()):
        accepted = store.findings.accept(tenant, fingerprint, on=now.date(), by=by)
        bus.stage(
            DriftAccepted(
                tenant=tenant,
                at=now,
                finding=accepted.fingerprint,
                signal=accepted.signal,
                payer=accepted.segment.payer,
                severity=accepted.severity,
                onset=accepted.onset,
                dollars_per_month=accepted.dollars_per_month,
                summary=accepted.summary,
                dimensions=accepted.segment.dimensions,
                by=by,
            )
        )
    return accepted


def rebase(history: History, accepted: Sequence[Finding]) -> History:
    """Return the history as if the changes that people accepted had been there from its first day.

    Before the onset of an accepted rise, so many paid claims count as denied that the denial rate of
    the segment is what it is since; for other reasons, denials change their reason; for allowed
    amounts, the logarithm of allowed over charge moves. Decision time cannot be moved that way;
    see :func:`~claimkit.drift.lattice.replay`.
    """
    decided, paid = history.decided, history.paid
    for one in sorted(accepted, key=lambda each: (each.onset, each.fingerprint)):
        onset = min(max(0, day_of(one.onset) - history.first), history.days)
        cells = _cells(history, one.segment)
        if not len(cells):
            continue
        if one.signal is Signal.ALLOWED_AMOUNT:
            paid = _moved(paid, np.isin(paid.cell, cells) & (paid.day < onset), one.effect)
        elif one.signal in (Signal.DENIAL_RATE, Signal.DENIAL_REASON_MIX):
            shares = _reason_shares(history, one, cells, onset)
            is_before = np.isin(decided.cell, cells) & (decided.day < onset)
            takes = decided.reason < 0
            if one.signal is Signal.DENIAL_REASON_MIX:
                takes = (decided.reason >= 0) & ~np.isin(decided.reason, list(shares))
            decided = _converted(history, decided, is_before, takes, one.effect, shares)
    return replace(history, decided=decided, paid=paid)


def _cells(history: History, segment: Segment) -> NDArray[np.int64]:
    if segment.payer not in history.payers:
        return np.zeros(0, np.int64)
    where = history.cells_of(list(history.payers).index(segment.payer))
    cells = np.arange(where.start, where.stop)
    if not segment.procedure_groups:
        return cells
    named = [
        history.groups[group] in segment.procedure_groups for group in history.cell_group[cells]
    ]
    return cells[np.array(named, np.bool_)]


def _reason_shares(
    history: History, finding: Finding, cells: NDArray[np.int64], onset: int
) -> Mapping[int, float]:
    """Return category → share of the added denials: the finding's one, or what is seen since."""
    categories = list(history.categories)
    if finding.segment.category in categories:
        return {categories.index(finding.segment.category): 1.0}
    decided = history.decided
    for since in (onset, 0):
        mine = np.isin(decided.cell, cells) & (decided.reason >= 0) & (decided.day >= since)
        counts = np.bincount(decided.reason[mine], decided.claims[mine], len(categories))
        if counts.sum() > 0:
            used = np.flatnonzero(counts).tolist()
            return {at: float(counts[at] / counts.sum()) for at in used}
    return {}


def _converted(
    history: History,
    decided: Decisions,
    is_before: Mask,
    takes: Mask,
    effect: float,
    shares: Mapping[int, float],
) -> Decisions:
    """Turn a part of the rows that ``takes`` marks into denials, ``effect`` per claim of each cell."""
    total = np.bincount(decided.cell[is_before], decided.claims[is_before], history.cells)
    giving = is_before & takes
    given = np.bincount(decided.cell[giving], decided.claims[giving], history.cells)
    part = np.clip(effect * total / np.maximum(given, 1e-9), 0.0, _MOST)
    rows = np.flatnonzero(giving)
    moved = part[decided.cell[rows]]
    if not shares or not moved.any():
        return decided
    keep = np.ones(len(decided.day))
    keep[rows] = 1 - moved
    columns = _scaled(decided, np.arange(len(decided.day)), keep)
    added = []
    for reason, share in shares.items():
        more = _scaled(decided, rows, moved * share)
        more["reason"] = np.full(len(rows), reason, np.int64)
        more["allowed"] = np.zeros(len(rows))
        added.append(more)
    joined = {
        name: np.concatenate([columns[name], *(one[name] for one in added)]) for name in columns
    }
    order = np.lexsort(tuple(joined[name] for name in ("code", "age", "reason", "cell", "day")))
    return replace(
        decided,
        **{name: column[order] for name, column in joined.items()},
        offsets=np.searchsorted(joined["day"][order], np.arange(len(decided.offsets))),
    )


def _scaled(
    decided: Decisions, rows: NDArray[np.int64], factor: Floats
) -> dict[str, NDArray[np.int64] | Floats]:
    kept = ("day", "cell", "age", "band", "reason", "code")
    weighed = ("claims", "charge", "allowed")
    return {name: getattr(decided, name)[rows] for name in kept} | {
        name: getattr(decided, name)[rows] * factor for name in weighed
    }


def _moved(paid: Payments, is_before: Mask, effect: float) -> Payments:
    """Move x by ``effect`` before the onset: Σ(x + e) = Σx + ne, Σ(x + e)² = Σx² + 2eΣx + ne²."""
    step = np.where(is_before, effect, 0.0)
    return replace(
        paid,
        ratio=paid.ratio + step * paid.claims,
        squared=paid.squared + 2 * step * paid.ratio + step**2 * paid.claims,
        allowed=paid.allowed * np.exp(step),
    )
