"""Detector port: pure functions from a cube to findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding
    from claimkit.types import Progress

__all__ = ["Detector", "TellsProgress"]


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
    ) -> Sequence[Finding]:
        """Return what is drifting as of the end of day ``as_of``; pure and deterministic.

        Args:
            cube: Table name → cells up to ``as_of``, with enough days before it.
            as_of: The evening to look back from.
            config: Settings of the room; a detector looks at ``scan_days`` nights.
            open_findings: What is open in the log. A detector returns its own again, with the
                same fingerprint: as they are tonight, or with ``ended`` set.
        """
        ...


@runtime_checkable
class TellsProgress(Protocol):
    """What a detector may also be, if its work takes seconds."""

    def telling(self, progress: Progress) -> Detector:
        """Return the same detector, which tells ``progress`` how far it has come."""
        ...
