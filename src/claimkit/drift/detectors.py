"""Detector port: pure functions from a cube to findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from claimkit.errors import UnknownName

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding
    from claimkit.types import Progress

__all__ = [
    "Detector",
    "Replays",
    "SpendsPart",
    "TellsProgress",
    "WatchesFeed",
    "choose_detectors",
    "share_budget",
]


class Detector(Protocol):
    """Registered by ``claimkit_register_detectors``."""

    name: str

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

        Args:
            cube: Table name → cells up to ``as_of``, with enough days before it.
            as_of: The evening to look back from.
            config: Settings of the room; a detector looks at ``scan_days`` nights.
            open_findings: What is open in the log. A detector returns its own again, with the
                same fingerprint: as they are tonight, or with ``ended`` set.
            accepted_findings: Changes that people took as normal. A detector compares with the
                level that each of them brought, and reports it no more.
        """
        ...


@runtime_checkable
class TellsProgress(Protocol):
    """What a detector may also be, if its work takes seconds."""

    def telling(self, progress: Progress) -> Detector:
        """Return the same detector, which tells ``progress`` how far it has come."""
        ...


@runtime_checkable
class Replays(Protocol):
    """What a detector may also be, if it can look at a year of nights faster than one by one."""

    def replay(
        self,
        cube: Mapping[str, Cells],
        *,
        start: dt.date,
        end: dt.date,
        config: DriftConfig,
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        """Return every incident that the nights from ``start`` to ``end`` would have told, in order.

        What ended before ``end`` has ``ended`` set; ``detected_on`` is the night that first told.
        Nights from ``accepted_on`` of an accepted finding on compare with its level.
        """
        ...


@runtime_checkable
class WatchesFeed(Protocol):
    """What a detector may also be, if it can tell a feed that stopped from payers that did."""

    def feed(
        self, cube: Mapping[str, Cells], *, last: dt.date, today: dt.date, config: DriftConfig
    ) -> Finding | None:
        """Return the notice that nobody's decisions came after day ``last``, if they were due by now."""
        ...


@runtime_checkable
class SpendsPart(Protocol):
    """What a detector may also be, if it raises fewer false alarms than the budget that it is given."""

    @property
    def budget_part(self) -> float:
        """The part of ``config.budget`` that it uses up, 0 to 1; 0 if it keeps to no budget at all."""
        ...


def share_budget(detectors: Sequence[Detector], config: DriftConfig) -> DriftConfig:
    """Return the settings for each of several detectors, so that all together keep to the budget.

    The expected numbers of false alarms add up, so each gets the budget divided by the sum of the
    parts that detectors use up (:class:`SpendsPart`; the whole, where a detector does not say).
    """
    spent = sum(one.budget_part if isinstance(one, SpendsPart) else 1.0 for one in detectors)
    if spent <= 1.0:
        return config
    return replace(config, budget=config.budget / spent, watch_budget=config.watch_budget / spent)


def choose_detectors(
    wanted: Sequence[str], detectors: Mapping[str, Detector], progress: Progress | None = None
) -> list[Detector]:
    """Return the detectors that settings name, in their order, telling ``progress`` if they can.

    Raises:
        UnknownName: one is not registered.
    """
    chosen: list[Detector] = []
    for name in wanted:
        if name not in detectors:
            raise UnknownName.of("detector", name, detectors)
        detector = detectors[name]
        if progress is not None and isinstance(detector, TellsProgress):
            detector = detector.telling(progress)
        chosen.append(detector)
    return chosen
