"""Follow what passes a threshold over a run of nights: opened, raised to an alert, ended.

For detectors that look at a payer or at one of its groups and compare it with one fit a week. An owner
(a payer) has at most one episode at a time. It keeps the fit of the night that told of it for good,
so that a bad year does not become the new normal; after its end, windows do not reach back across it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from claimkit.drift.findings import Tier
from claimkit.types import day_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from claimkit.drift.findings import Finding
    from claimkit.types import Day

__all__ = ["Episode", "Hit", "Nights", "follow"]

FitT = TypeVar("FitT")
#: Nights between two fits, on a grid of calendar days.
_REFIT = 7
_FAR = 10**6


class Hit(NamedTuple):
    """A place that passed a threshold on one night."""

    owner: int
    place: int
    #: Length of the window that scored best.
    days: int
    score: float
    #: Thresholds: alert, then watch list.
    limits: tuple[float, float]


class Nights(Protocol[FitT]):
    """What a detector answers about nights; all days are positions in its past."""

    def fit(self, night: int) -> FitT | None:
        """Return what serves ``night``, the same for all nights of a calendar week; None if too early."""
        ...

    def hits(self, fit: FitT, night: int, reach: NDArray[np.int64]) -> Iterable[Hit]:
        """Return what passes the watch threshold, one hit per owner.

        ``reach`` is the longest window that may be used, by place.
        """
        ...

    def onset(self, fit: FitT, place: int, first: int, night: int) -> int:
        """Return the likeliest first day, given the first one of the window that told."""
        ...

    def is_over(self, fit: FitT, place: int, told: int, night: int) -> bool:
        """Whether what was told on night ``told`` has ended by ``night``."""
        ...


@dataclass(slots=True, kw_only=True)
class Episode(Generic[FitT]):
    """One incident on its way."""

    owner: int
    place: int
    fit: FitT
    #: First night over the watch threshold, and the night of the tier that it has now.
    opened: int
    told: int
    onset: int
    score: float
    limits: tuple[float, float]
    tier: Tier
    #: The finding that is open already, for episodes of an earlier run.
    known: Finding | None = None
    ended: int | None = None


def follow(
    nights: Nights[FitT],
    *,
    owners: Sequence[int],
    first: int,
    last: int,
    known: Sequence[tuple[int | None, Finding]],
    origin: Day,
) -> list[Episode[FitT]]:
    """Look at the nights ``first <= night <= last`` in order and return all episodes.

    Args:
        nights: Answers about nights.
        owners: The owner of each place.
        first, last: Positions of nights.
        known: Open findings with their place; None where it is not there any more.
        origin: Day number of position 0.
    """
    standing: dict[int, Episode[FitT]] = {}
    episodes: list[Episode[FitT]] = []
    reach = np.full(len(owners), _FAR, np.int64)
    for place, finding in known:
        episode = None if place is None else _adopted(nights, owners, place, finding, origin)
        if episode is not None and episode.owner not in standing:
            standing[episode.owner] = episode
            episodes.append(episode)
    fit: FitT | None = None
    floor = np.full(len(owners), -_FAR, np.int64)
    for night in range(first, last + 1):
        if night == first or (night + origin) % _REFIT == 0:
            fit = nights.fit(night)
        if fit is not None:
            reach = night - floor
            for hit in nights.hits(fit, night, reach):
                _take(nights, fit, hit, night, standing, episodes)
        for episode in list(standing.values()):
            since = night - episode.told
            is_due = since > 0 and (since % _REFIT == 0 or night == last)
            if is_due and nights.is_over(episode.fit, episode.place, episode.told, night):
                episode.ended = night
                del standing[episode.owner]
                floor[np.array(owners) == episode.owner] = night
    return episodes


def _take(
    nights: Nights[FitT],
    fit: FitT,
    hit: Hit,
    night: int,
    standing: dict[int, Episode[FitT]],
    episodes: list[Episode[FitT]],
) -> None:
    """Open an episode, or raise the one of the watch list that now is an alert."""
    is_alert = hit.score > hit.limits[0]
    before = standing.get(hit.owner)
    if before is None:
        episode = Episode(
            owner=hit.owner,
            place=hit.place,
            fit=fit,
            opened=night,
            told=night,
            onset=nights.onset(fit, hit.place, night - hit.days + 1, night),
            score=hit.score,
            limits=hit.limits,
            tier=Tier.ALERT if is_alert else Tier.WATCH,
        )
        standing[hit.owner] = episode
        episodes.append(episode)
    elif is_alert and before.tier is Tier.WATCH and night >= before.told:
        before.tier, before.told = Tier.ALERT, night
        before.place, before.fit = hit.place, fit
        before.score, before.limits = hit.score, hit.limits
        before.onset = nights.onset(fit, hit.place, night - hit.days + 1, night)


def _adopted(
    nights: Nights[FitT], owners: Sequence[int], place: int, finding: Finding, origin: Day
) -> Episode[FitT] | None:
    """Return the episode of an open finding; None where its first night cannot be looked at again."""
    told = day_of(finding.detected_on or finding.onset) - origin
    fit = nights.fit(told) if told >= 0 else None
    if fit is None:
        return None
    return Episode(
        owner=owners[place],
        place=place,
        fit=fit,
        opened=told,
        told=told,
        onset=max(0, day_of(finding.onset) - origin),
        score=finding.score,
        limits=(finding.threshold, finding.threshold),
        tier=finding.tier,
        known=finding,
    )
