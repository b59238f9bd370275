"""What people think of alerts: real, noise, or to be followed up; and what noise mutes.

A judgment loses half its weight every :data:`HALF_LIFE`. Noise mutes a fingerprint only while it
outweighs what is real, only if two people said so or one who may decide, and never above a
severity: so it fades by itself, one *real* lifts it, and a critical alert is always told.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from claimkit.types import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["HALF_LIFE", "Judgment", "Verdict", "noise_until", "precision"]

#: After this time a judgment counts half.
HALF_LIFE = dt.timedelta(days=14)
#: Weight of noise below which nothing is muted: two judgments that are half a day old have 1.95.
_ENOUGH = 1.0
#: Noise never mutes anything more severe.
_CAP = Severity.MEDIUM


class Verdict(StrEnum):
    """What an alert was."""

    REAL = "real"
    NOISE = "noise"
    #: Not clear yet; has no weight.
    FOLLOW_UP = "follow_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """What one person thought of an alert."""

    verdict: Verdict
    actor: str
    at: dt.datetime
    #: How severe the alert was that the person judged.
    severity: Severity
    #: Whether the person may mute alone.
    is_decisive: bool = False


def noise_until(
    judgments: Iterable[Judgment], *, severity: Severity, now: dt.datetime
) -> dt.datetime | None:
    """Return until when an alert is muted as noise, None if it is not.

    The weights decay together, so the end is where their balance has fallen to the threshold:
    ``half_life * log2(balance / threshold)`` from now.
    """
    if severity.rank > _CAP.rank:
        return None
    judged = [one for one in judgments if one.verdict is not Verdict.FOLLOW_UP]
    noise = [one for one in judged if one.verdict is Verdict.NOISE]
    latest_real = max((one.at for one in judged if one.verdict is Verdict.REAL), default=None)
    if latest_real is not None:
        # One "real" lifts what was said before it.
        noise = [one for one in noise if one.at > latest_real]
    # What people thought of it says nothing of it once it is worse.
    noise = [one for one in noise if one.severity.rank >= severity.rank]
    if len({one.actor for one in noise}) < 2 and not any(one.is_decisive for one in noise):
        return None
    # The judgment of one who may decide is enough by itself.
    weight = sum((2.0 if one.is_decisive else 1.0) * _decay(now - one.at) for one in noise)
    if weight <= _ENOUGH:
        return None
    return now + HALF_LIFE * math.log2(weight / _ENOUGH)


def precision(real: int, noise: int) -> float | None:
    """Return the share of judged alerts that were real, None where nobody judged any."""
    return real / (real + noise) if real + noise else None


def _decay(age: dt.timedelta) -> float:
    return float(0.5 ** (max(age, dt.timedelta()) / HALF_LIFE))
