"""Where claims are kept: the port that every store implements, and its questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from claimkit.claims.model import Added, ClaimBatch, ClaimEvent, ClaimPosition, ServiceLine
    from claimkit.events import FactsChange
    from claimkit.types import TenantKey

__all__ = ["ClaimStore", "ClaimTotals", "Merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The outcome of :meth:`ClaimStore.add`."""

    added: Added
    #: Claims whose facts differ from before; what the cube lives on.
    changes: Sequence[FactsChange]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTotals:
    """Sums over a tenant's claims; money in cents."""

    claims: int = 0
    pending: int = 0
    denied: int = 0
    charge: int = 0
    paid: int = 0
    #: Claims with a submission and a decision.
    joined: int = 0
    reversals: int = 0


class ClaimStore(Protocol):
    """Claims of all tenants; every question names its tenant."""

    def add(
        self, tenant: TenantKey, batch: ClaimBatch, *, upload: str, known_on: dt.date
    ) -> Merged:
        """Add a batch of normalized claims: idempotent, set-based, in the caller's transaction.

        Statements that are known already change nothing; corrected ones replace what they
        correct; the position of every touched claim is folded anew from all its events.
        The work is a fixed number of statements per batch, whatever its size.
        """
        ...

    def find(self, tenant: TenantKey, patient_control_number: str) -> ClaimPosition | None:
        """Return the position of one claim by its (folded) patient control number."""
        ...

    def history(self, tenant: TenantKey, claim_key: int) -> Sequence[ClaimEvent]:
        """Return a claim's events, oldest decision first."""
        ...

    def lines(self, tenant: TenantKey, claim_key: int) -> Sequence[ServiceLine]:
        """Return the service lines of a claim's events, in file order."""
        ...

    def scan(self, tenant: TenantKey, *, batch_size: int = 5_000) -> Iterator[list[ClaimPosition]]:
        """Yield all positions of a tenant by claim key, in constant memory."""
        ...

    def totals(self, tenant: TenantKey) -> ClaimTotals:
        """Return sums over the tenant's current positions."""
        ...
