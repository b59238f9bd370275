"""Strict filters: an unknown parameter or a bad value is a 400 that names it.

A documented parameter that does nothing, or a typing error that silently returns everything, is
worse than an error: somebody acts on the numbers.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import django_filters
from django_filters import rest_framework as drf_filters
from rest_framework import exceptions
from rest_framework.filters import BaseFilterBackend

from claimkit.errors import did_you_mean
from claimkit_django.rest.pagination import CURSOR, PAGE_SIZE, SortKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.models import Model, QuerySet
    from rest_framework.request import Request
    from rest_framework.views import APIView

__all__ = [
    "ORDERING",
    "Ordering",
    "OrderingBackend",
    "StrictFilterBackend",
    "StrictFilterSet",
    "refuse_unknown",
]

#: Name of the ordering parameter.
ORDERING = "ordering"
#: Parameters of the kit itself, and of content negotiation.
_OWN = frozenset({CURSOR, PAGE_SIZE, "format"})
_M = TypeVar("_M", bound="Model")


@dataclass(frozen=True, slots=True)
class Ordering:
    """One public ordering: the columns it sorts by, ending in a unique one.

    >>> Ordering(SortKey("decided_on", nullable=True), SortKey("pk")).reversed().keys[0].descending
    True
    """

    keys: tuple[SortKey, ...]

    def __init__(self, *keys: SortKey) -> None:
        object.__setattr__(self, "keys", keys)

    def reversed(self) -> Ordering:
        """Return the same ordering in the other direction."""
        return Ordering(*(key.reverse() for key in self.keys))


class StrictFilterSet(django_filters.FilterSet):
    """A filter set that is declared by hand; its filters are the whole allow-list."""

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Ask for instants in UTC: ISO 8601 knows zones of up to a day, PostgreSQL of 15:59.

        Raises:
            ValidationError: an instant that UTC has no year for.
        """
        values = self.form.cleaned_data
        for name, value in values.items():
            if isinstance(value, dt.datetime) and value.tzinfo is not None:
                try:
                    values[name] = value.astimezone(dt.UTC)
                except OverflowError:
                    raise exceptions.ValidationError({name: ["there is no such time"]}) from None
        return super().filter_queryset(queryset)


class StrictFilterBackend(drf_filters.DjangoFilterBackend):
    """Applies ``view.filterset_class`` and refuses what it does not know."""

    filterset_base = StrictFilterSet

    def filter_queryset(  # type: ignore[override]
        self, request: Request, queryset: QuerySet[_M], view: APIView
    ) -> QuerySet[_M]:
        """Return the filtered rows.

        Raises:
            ValidationError: an unknown parameter, a repeated one, or a bad value; each named.
        """
        filterset = self.get_filterset(request, queryset, view)
        known = [] if filterset is None else list(filterset.filters)
        refuse_unknown(request, [*known, *_ordering_of(view)])
        if filterset is None:
            return queryset
        _refuse_empty(request, filterset)
        if not filterset.is_valid():
            raise exceptions.ValidationError(_named(filterset))
        return filterset.qs


class OrderingBackend(BaseFilterBackend):
    """Documents ``ordering`` and checks it; the paginator sorts by :meth:`chosen`.

    The view lists what may be sorted by: ``orderings`` maps public names to :class:`Ordering`, and
    ``default_ordering`` names one, with ``-`` for descending.
    """

    def filter_queryset(  # type: ignore[override]
        self, request: Request, queryset: QuerySet[_M], view: APIView
    ) -> QuerySet[_M]:
        """Refuse a bad ``ordering``; sorting itself belongs to the page."""
        self.chosen(request, view)
        return queryset

    @staticmethod
    def chosen(request: Request, view: APIView) -> Ordering:
        """Return the ordering that the request asks for, or the view's default.

        Raises:
            ValidationError: the name is not on the view's list.
        """
        orderings: Mapping[str, Ordering] = view.orderings  # type: ignore[attr-defined]
        default: str = view.default_ordering  # type: ignore[attr-defined]
        asked = request.query_params.get(ORDERING, default)
        name = asked.removeprefix("-")
        if name not in orderings:
            near = did_you_mean(name, orderings) or f"; choose from {', '.join(orderings)}"
            raise exceptions.ValidationError(
                {
                    ORDERING: [
                        exceptions.ErrorDetail(
                            f"nothing can be ordered by {_shown(name)}{near}", "invalid_choice"
                        )
                    ]
                }
            )
        return orderings[name].reversed() if asked.startswith("-") else orderings[name]

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Describe the parameter for OpenAPI."""
        names = _ordering_names(view)
        if not names:
            return []
        return [
            {
                "name": ORDERING,
                "in": "query",
                "required": False,
                "description": "What to sort by; `-` in front sorts descending.",
                "schema": {
                    "type": "string",
                    "enum": names,
                    "default": getattr(view, "default_ordering", names[0]),
                },
            }
        ]


def refuse_unknown(request: Request, known: Iterable[str]) -> None:
    """Check that every query parameter is known and given once.

    Raises:
        ValidationError: naming each unknown or repeated parameter, and the nearest known one.
    """
    allowed = {*known, *_OWN}
    problems: dict[str, list[exceptions.ErrorDetail]] = {}
    for name, values in request.query_params.lists():
        if name not in allowed:
            text = f"unknown parameter{did_you_mean(name, sorted(allowed))}"
            problems[_cut(name)] = [exceptions.ErrorDetail(text, "unknown_parameter")]
        elif len(values) > 1:
            text = "given more than once; name it once"
            problems[name] = [exceptions.ErrorDetail(text, "repeated_parameter")]
    if problems:
        raise exceptions.ValidationError(problems)


def _refuse_empty(request: Request, filterset: django_filters.FilterSet) -> None:
    """Refuse an empty value of anything but text: it would not filter, and look as if it did."""
    empty = [
        name
        for name, one in filterset.filters.items()
        if request.query_params.get(name) == "" and not isinstance(one, django_filters.CharFilter)
    ]
    if empty:
        detail = exceptions.ErrorDetail("empty; leave the parameter out", "empty_parameter")
        raise exceptions.ValidationError({name: [detail] for name in empty})


def _named(filterset: django_filters.FilterSet) -> dict[str, list[exceptions.ErrorDetail]]:
    """Return the form's errors by parameter, with the nearest choice where there are choices."""
    problems: dict[str, list[exceptions.ErrorDetail]] = {}
    for name, errors in filterset.form.errors.get_json_data().items():
        field = filterset.form.fields.get(name)
        choices = [str(key) for key, _ in getattr(field, "choices", ()) if key]
        sent = str((filterset.data or {}).get(name, ""))
        problems[name] = [
            exceptions.ErrorDetail(
                f"not one of {', '.join(choices)}{did_you_mean(sent, choices)}"
                if choices
                else one["message"],
                one["code"] or "invalid",
            )
            for one in errors
        ]
    return problems


def _ordering_of(view: APIView) -> list[str]:
    return [ORDERING] if getattr(view, "orderings", None) else []


def _ordering_names(view: APIView) -> list[str]:
    names = list(getattr(view, "orderings", ()))
    return [*names, *(f"-{name}" for name in names)]


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _shown(text: str) -> str:
    return repr(_cut(text))
