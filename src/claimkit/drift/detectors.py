"""Detector port: pure functions from a cube to findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from claimkit.config import DriftConfig
    from claimkit.drift.cube import Cells
    from claimkit.drift.findings import Finding

__all__ = ["Detector"]


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
            cube: Table name → cells, known by ``as_of``.
        """
        ...
