"""Figures over HTTP: sums per payer and the dashboard, read from the cube and never from claims.

So they cost the same whatever the number of claims, and they are the numbers that the watch
works with: first decisions, without rework, duplicates and claims that are only pended.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import django_filters
from django.apps import apps
from django.db.models import Max, Min, Sum
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import exceptions, mixins, serializers
from rest_framework.response import Response

from claimkit.errors import did_you_mean
from claimkit.types import date_of, day_of
from claimkit_django.drift.figures import (
    SPAN,
    WEEKS,
    denied,
    last_watch,
    open_findings,
    rate,
    recent_decisions,
)
from claimkit_django.drift.models import CubeDecision, DriftDimension
from claimkit_django.rest.fields import MoneyField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import link
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.rest import TenantRowsView, TenantView

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

__all__ = ["DashboardView", "PayerSummaryViewSet"]

_LINKS = {"type": "object", "additionalProperties": {"type": "string", "format": "uri-reference"}}


class _NameFilter(django_filters.CharFilter):
    """Cells with an exact name in one axis of the cube; a name that never occurred is refused."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Return the cells whose code stands for ``value``.

        Raises:
            ValidationError: the tenant has no such name; the nearest is named.
        """
        if not value:
            return qs
        names = DriftDimension.objects.filter(axis=self.field_name)
        code = names.filter(name=value).values_list("code", flat=True).first()
        if code is None:
            near = did_you_mean(value, names.values_list("name", flat=True)[:10_000])
            text = exceptions.ErrorDetail(f"no claim has this name{near}", "invalid_choice")
            raise exceptions.ValidationError({str(self.field_name): [text]})
        return qs.filter(**{str(self.field_name): code})


class PayerSummaryFilters(StrictFilterSet):
    """Which decisions are summed."""

    payer = _NameFilter(help_text="Normalized name of the payer, exactly.")
    procedure_group = _NameFilter(help_text="Procedure group, exactly.")
    decided_from = django_filters.DateFilter(
        method="by_first_day", help_text="First decided on this day or later."
    )
    decided_to = django_filters.DateFilter(
        method="by_last_day", help_text="First decided on this day or earlier."
    )

    class Meta:
        model = CubeDecision
        fields: ClassVar[list[str]] = []

    def by_first_day(self, rows: QuerySet[Any], _name: str, value: dt.date) -> QuerySet[Any]:
        """Keep decisions of ``value`` and later."""
        return rows.filter(decided_day__gte=day_of(value))

    def by_last_day(self, rows: QuerySet[Any], _name: str, value: dt.date) -> QuerySet[Any]:
        """Keep decisions of ``value`` and earlier."""
        return rows.filter(decided_day__lte=day_of(value))


class PayerSummarySerializer(serializers.Serializer[dict[str, Any]]):
    """Sums over the first decisions of one payer."""

    payer = serializers.CharField(source="name")
    decided = serializers.IntegerField(help_text="Claims with a first decision.")
    denied = serializers.IntegerField()
    denial_rate = serializers.SerializerMethodField(help_text="Denied of decided.")
    charge = MoneyField(help_text="Billed for the decided claims.")
    paid = MoneyField()
    first_decided_on = serializers.SerializerMethodField()
    last_decided_on = serializers.SerializerMethodField()
    _links = serializers.SerializerMethodField()

    def get_denial_rate(self, row: dict[str, Any]) -> float:
        """Return the share, 0 to 1."""
        return rate(row["denied"], row["decided"]) or 0.0

    @extend_schema_field(serializers.DateField())
    def get_first_decided_on(self, row: dict[str, Any]) -> dt.date:
        """Return the day of the earliest of the decisions."""
        return date_of(row["first_day"])

    @extend_schema_field(serializers.DateField())
    def get_last_decided_on(self, row: dict[str, Any]) -> dt.date:
        """Return the day of the latest of the decisions."""
        return date_of(row["last_day"])

    @extend_schema_field(_LINKS)
    def get__links(self, row: dict[str, Any]) -> dict[str, str]:
        """Return where the payer's claims and findings are."""
        request, query = self.context["request"], urlencode({"payer": row["name"]})
        if not row["name"]:
            return {}
        links = {"findings": f"{link(request, 'finding-list')}?{query}"}
        if apps.is_installed("claimkit_django.claims"):
            links["claims"] = f"{link(request, 'claim-list')}?{query}"
        return links


_PAYER = OpenApiExample(
    "payer",
    value={
        "payer": "Aetna",
        "decided": 3900,
        "denied": 468,
        "denial_rate": 0.12,
        "charge": "2841033.00",
        "paid": "1604117.25",
        "first_decided_on": "2025-05-02",
        "last_decided_on": "2026-04-30",
        "_links": {
            "findings": "/api/v1/findings/?payer=Aetna",
            "claims": "/api/v1/claims/?payer=Aetna",
        },
    },
    response_only=True,
    status_codes=["200"],
)


class PayerSummaryViewSet(mixins.ListModelMixin, ApiViewSet, TenantRowsView):
    """First decisions summed by payer."""

    tag = "claims"
    validated_by = ("drift",)
    model = CubeDecision
    serializer_class = PayerSummarySerializer
    filterset_class = PayerSummaryFilters
    orderings: ClassVar[Mapping[str, Ordering]] = {
        name: Ordering(SortKey(name), SortKey("payer")) for name in ("decided", "charge", "denied")
    }
    default_ordering = "-decided"

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter cells first, then sum what is left."""
        cells = super().filter_queryset(queryset).order_by()
        rows: QuerySet[Any] = (
            cells.values("payer")
            .annotate(
                decided=Sum("claims"),
                denied=denied(),
                charge=Sum("charge"),
                paid=Sum("paid"),
                first_day=Min("decided_day"),
                last_day=Max("decided_day"),
            )
            .filter(decided__gt=0)
        )
        return rows

    def paginate_queryset(self, queryset: Any) -> Any:
        """Give the rows of the page their names: joined to the cells, each cell would look one up."""
        page: list[dict[str, Any]] = super().paginate_queryset(queryset) or []
        known = _seen_payers(self.tenant._state.db, self.tenant.pk, self.tenant.created_at)
        missing = {row["payer"] for row in page} - known.keys()
        if missing:
            found = DriftDimension.objects.filter(code__in=missing)
            known.update(found.values_list("code", "name"))
        for row in page:
            row["name"] = known.get(row["payer"], "")
        return page

    @operation(
        operation_id="claims_payer_summary_list",
        summary="Sum first decisions by payer",
        responses=PayerSummarySerializer(many=True),
        examples=[_PAYER],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Sum the first decisions of each payer; filters choose the decisions that are summed."""
        return super().list(request, *args, **kwargs)


@functools.lru_cache(maxsize=64)
def _seen_payers(_using: str | None, _tenant_id: int, _since: dt.datetime) -> dict[int, str]:
    """Return the names that this process has seen of a tenant: a code never changes its name."""
    return {}


class _SpanSerializer(serializers.Serializer[Any]):
    """Sums over one span of days."""

    decided = serializers.IntegerField()
    denied = serializers.IntegerField()
    denial_rate = serializers.FloatField(allow_null=True, help_text="Null if nothing was decided.")
    charge = MoneyField()
    paid = MoneyField()


class _WeekSerializer(serializers.Serializer[Any]):
    """One week of first decisions."""

    starts_on = serializers.DateField()
    decided = serializers.IntegerField()
    denied = serializers.IntegerField()


class DashboardSerializer(serializers.Serializer[Any]):
    """What somebody looks at first in the morning."""

    as_of = serializers.DateField(allow_null=True, help_text="Day of the latest decision.")
    now = _SpanSerializer(help_text=f"The {SPAN} days until `as_of`.")
    before = _SpanSerializer(help_text=f"The {SPAN} days before those.")
    weeks = _WeekSerializer(many=True, help_text=f"The last {WEEKS} weeks, oldest first.")
    open_findings = serializers.DictField(
        child=serializers.IntegerField(), help_text="Open findings by severity."
    )
    at_risk_per_month = MoneyField(help_text="Of all open findings, except money that comes late.")
    held_up_per_month = MoneyField(help_text="Money that comes late; it is still owed.")
    watched_at = serializers.DateTimeField(
        allow_null=True, help_text="When the last watch that succeeded ended."
    )
    _links = serializers.DictField(child=serializers.CharField())


_SPAN = {
    "decided": 1204,
    "denied": 168,
    "denial_rate": 0.1395,
    "charge": "841033.00",
    "paid": "504117.25",
}
_DASHBOARD = OpenApiExample(
    "a morning in April",
    value={
        "as_of": "2026-04-06",
        "now": _SPAN,
        "before": {**_SPAN, "denied": 96, "denial_rate": 0.0797},
        "weeks": [{"starts_on": "2026-03-31", "decided": 301, "denied": 44}],
        "open_findings": {"low": 0, "medium": 1, "high": 1, "critical": 0},
        "at_risk_per_month": "48210.00",
        "held_up_per_month": "0.00",
        "watched_at": "2026-04-07T04:00:12Z",
        "_links": {"self": "/api/v1/dashboard/", "active_drift": "/api/v1/drift/active/"},
    },
    response_only=True,
    status_codes=["200"],
)


class DashboardView(TenantView):
    """The figures of a tenant's dashboard."""

    tag = "dashboard"
    validated_by = ("drift",)

    @operation(
        operation_id="dashboard_retrieve",
        summary="Get the figures of the dashboard",
        responses=DashboardSerializer,
        examples=[_DASHBOARD],
    )
    def get(self, request: Request) -> Response:
        """Return this month against the one before, the last weeks, and the open findings."""
        refuse_unknown(request, ())
        run = last_watch()
        body = {
            **recent_decisions(),
            **open_findings(),
            "watched_at": run.finished_at if run is not None else None,
            "_links": _links(request),
        }
        return Response(DashboardSerializer(body).data)


def _links(request: Request) -> dict[str, str]:
    names = {
        "self": "dashboard",
        "active_drift": "drift-active",
        "findings": "finding-list",
        "runs": "run-list",
        "payer_summary": "claim-payer-summary",
    }
    return {relation: link(request, name) for relation, name in names.items()}
