"""Serializer fields that the rooms share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from claimkit.types import from_cents

__all__ = ["MoneyField"]


@extend_schema_field({"type": "string", "pattern": r"^-?\d+\.\d{2}$"})
class MoneyField(serializers.Field[int, Any, str, int]):
    """Read-only cents as an exact decimal string: ``"1234.50"``; JSON numbers would be floats."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: int) -> str:
        """Return dollars with two decimals."""
        return str(from_cents(value))
