"""Rows of a list as they are shown, decided once per page instead of once per field and row."""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FlatRows"]


class FlatRows:
    """Shows rows whose fields are plain attributes of them; mix it in before a serializer.

    DRF asks every field of every row where its value is, whether it can be called and whether it
    must be left out: for 50 claims that is most of the time of the request. The fields themselves
    show the values, as always.
    """

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return field → what is shown, None for what is None."""
        return {
            name: None if (value := read(instance)) is None else show(value)
            for name, read, show in self._plan
        }

    @cached_property
    def _plan(self) -> list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]:
        fields: Iterable[Any] = self._readable_fields  # type: ignore[attr-defined]
        return [
            (
                field.field_name,
                _itself if field.source == "*" else attrgetter(field.source),
                field.to_representation,
            )
            for field in fields
        ]


def _itself(instance: Any) -> Any:
    return instance
