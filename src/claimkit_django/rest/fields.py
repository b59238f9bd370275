"""Serializer fields that the rooms share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from claimkit.errors import InvalidMoney
from claimkit.types import from_cents, to_cents

__all__ = [
    "ClockField",
    "MoneyField",
    "PartSerializer",
    "RegexField",
    "SentFileField",
    "SlugField",
    "StrictTexts",
    "TextField",
]

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


class _OnlyText(serializers.Field[Any, Any, Any, Any]):
    """DRF takes a number for a text; a client that sends one meant another field."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Refuse numbers, and check the rest."""
        if isinstance(data, (int, float)):
            self.fail("invalid")
        return super().run_validation(data)


class TextField(_OnlyText, serializers.CharField):
    """A text, and no number instead."""


class SlugField(_OnlyText, serializers.SlugField):
    """A word, and no number instead."""


class RegexField(_OnlyText, serializers.RegexField):
    """A text of some form, and no number instead."""


class SentFileField(serializers.FileField):
    """A file; that it is empty is in what was sent, not in how."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "empty_file": serializers.FileField.default_error_messages["empty"]
    }

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        """Refuse under a code of its own: no schema says that a file holds something."""
        super().fail("empty_file" if key == "empty" else key, **kwargs)


class PartSerializer(serializers.Serializer[Any]):
    """A part of a resource, which is sent whole where the resource is changed in part, too.

    In a PATCH, DRF asks for no field of any depth, and fills in no default.
    """

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Ask for what is required, and fill in what is not there."""
        mine = [field for field in self._writable_fields if field.field_name is not None]
        if isinstance(data, Mapping):
            missing = {
                str(field.field_name): [
                    ErrorDetail(str(field.error_messages["required"]), "required")
                ]
                for field in mine
                if field.required and field.field_name not in data
            }
            if missing:
                raise serializers.ValidationError(missing)
        found: dict[str, Any] = super().to_internal_value(data)
        for field in mine:
            if field.field_name not in found and field.default is not serializers.empty:
                found[str(field.field_name)] = field.get_default()
        return found


class StrictTexts:
    """Takes texts for the model's texts, and no numbers instead; mix it in before a serializer."""

    serializer_field_mapping: ClassVar[dict[type[models.Field[Any, Any]], type[Any]]] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
        models.TextField: TextField,
    }
