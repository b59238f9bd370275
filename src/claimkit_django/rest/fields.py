"""Serializer fields that the rooms share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from claimkit.errors import InvalidMoney
from claimkit.types import from_cents, to_cents

__all__ = ["ClockField", "MoneyField"]

#: A sign, thirteen digits, the point and two decimals: what fits a column of cents.
_LONGEST = 17


@extend_schema_field({"type": "string", "pattern": r"^-?\d+\.\d{2}$"})
class MoneyField(serializers.Field[int, Any, str, int]):
    """Cents as an exact decimal string: ``"1234.50"``; JSON numbers would be floats.

    Read-only unless ``read_only=False``.
    """

    default_error_messages = {
        "invalid": 'Money is a string with at most two decimals, such as "1234.50".'
    }

    def __init__(self, *, read_only: bool = True, **kwargs: Any) -> None:
        super().__init__(read_only=read_only, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        """Return cents."""
        if not isinstance(data, str) or len(data) > _LONGEST:
            self.fail("invalid")
        try:
            return to_cents(data)
        except InvalidMoney:
            self.fail("invalid")

    def to_representation(self, value: int) -> str:
        """Return dollars with two decimals."""
        return str(from_cents(value))


@extend_schema_field({"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"})
class ClockField(serializers.TimeField):
    """A time on somebody's clock, ``07:00`` or ``07:00:00``; OpenAPI's own ``time`` has a zone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_formats=["%H:%M:%S", "%H:%M"], **kwargs)
