"""Where claims, cubes and findings are kept together, and how a store is opened by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from claimkit.claims.store import ClaimStore
    from claimkit.drift.cube import CubeStore
    from claimkit.drift.findings import FindingLog

__all__ = ["Store"]


class Store(Protocol):
    """One place with one transaction over claims, cube and findings."""

    @property
    def claims(self) -> ClaimStore:
        """Claims of all tenants."""
        ...

    @property
    def cube(self) -> CubeStore:
        """Cube tables of all tenants."""
        ...

    @property
    def findings(self) -> FindingLog:
        """Findings of all tenants."""
        ...

    def atomic(self) -> AbstractContextManager[None]:
        """Open a transaction: all of the block or nothing; writers of one tenant take turns."""
        ...

    def close(self) -> None:
        """Release what the store holds; it cannot be used afterwards."""
        ...
