"""Normalizer port; the built-in normalizers live beside it once written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from claimkit.claims.model import ClaimBatch

__all__ = ["NormalizeContext", "Normalizer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizeContext:
    """What normalizers may know of where a batch comes from."""

    #: Key for hashing patient identifiers; per tenant, never stored beside the hashes.
    patient_key: bytes = field(repr=False)
    source_name: str = ""


class Normalizer(Protocol):
    """Cleans a whole batch in place. Registered by ``claimkit_register_normalizers``."""

    name: str
    #: Names of normalizers that must have run before this one.
    after: tuple[str, ...]

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        """Fill or repair fields of ``batch.claims``; move hopeless ones to ``batch.problems``."""
        ...
