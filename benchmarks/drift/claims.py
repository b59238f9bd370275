"""The claims of one simulated tenant as columns, and what is true of its changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from scenario import Change

__all__ = ["Claims", "Truth", "without"]

_COLUMNS = (
    "payer",
    "group",
    "submitted",
    "decided",
    "denied",
    "reason",
    "charge",
    "allowed",
    "paid",
    "is_rework",
)


@dataclass
class Truth:
    """One change, as it was drawn."""

    metric: str
    payer: int
    #: None means all groups of the payer.
    groups: tuple[int, ...] | None
    reason: int | None
    onset: int
    #: Share, days, or log units.
    effect: float
    axis: str
    change: Change
    #: First-pass decisions in 28 days of the segment before onset, and their denial probability.
    n28: float = 0.0
    rate: float = 0.0
    #: Share of the reason that carries the change in the segment's claims before onset.
    reason_rate: float = 0.0
    #: Last day of the change; None is for good.
    until: int | None = None


@dataclass
class Claims:
    """One row per claim; ``decided`` may be later than the last day: pending."""

    days: int
    payers: int
    groups: int
    weekday: int
    holidays: np.ndarray
    payer: np.ndarray
    group: np.ndarray
    submitted: np.ndarray
    decided: np.ndarray
    denied: np.ndarray
    #: −1 where paid.
    reason: np.ndarray
    charge: np.ndarray
    allowed: np.ndarray
    paid: np.ndarray
    #: Corrected claims and duplicates.
    is_rework: np.ndarray
    truths: list[Truth] = field(default_factory=list)


def without(claims: Claims, gone: np.ndarray) -> Claims:
    """Return the claims without some rows."""
    for name in _COLUMNS:
        setattr(claims, name, getattr(claims, name)[~gone])
    return claims
