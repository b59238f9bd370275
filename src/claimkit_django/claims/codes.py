"""Small integers for closed sets of words; open sets live in the table ``Dimension``.

The numbers are written in rows and CHECK constraints: they never change and are never reused,
and each set counts from 0 without a gap.
"""

from __future__ import annotations

from typing import Final

from claimkit.claims.model import ClaimKind, EventKind, Outcome

__all__ = ["EVENT_KINDS", "OUTCOMES", "SOURCES"]

OUTCOMES: Final[dict[Outcome, int]] = {
    Outcome.PENDING: 0,
    Outcome.PAID: 1,
    Outcome.DENIED: 2,
    Outcome.PARTIAL: 3,
    Outcome.REVERSED: 4,
    Outcome.ZERO_PAID: 5,
    Outcome.OTHER: 6,
}
EVENT_KINDS: Final[dict[EventKind, int]] = {
    EventKind.SUBMITTED: 0,
    EventKind.DECIDED: 1,
    EventKind.REVERSED: 2,
    EventKind.VOIDED: 3,
    EventKind.NOTED: 4,
}
SOURCES: Final[dict[ClaimKind, int]] = {
    ClaimKind.CSV: 0,
    ClaimKind.REMITTANCE: 1,
    ClaimKind.PROFESSIONAL: 2,
    ClaimKind.INSTITUTIONAL: 3,
    ClaimKind.DENTAL: 4,
    ClaimKind.FHIR: 5,
}
