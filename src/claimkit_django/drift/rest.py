"""Findings over HTTP: what changed, since when, and how much money it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import django_filters
from django.apps import apps
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.drift.findings import Signal, Tier
from claimkit.types import Severity, TenantKey
from claimkit_django.drift.figures import claims_behind
from claimkit_django.drift.models import Finding
from claimkit_django.drift.runs import run_accept
from claimkit_django.rest.fields import MoneyField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import link
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from django.db.models import QuerySet
    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = ["ActiveDriftViewSet", "FindingViewSet"]


def _choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class ActiveFilters(StrictFilterSet):
    """What open findings can be filtered by."""

    signal = django_filters.ChoiceFilter(choices=_choices(Signal))
    severity = django_filters.ChoiceFilter(choices=_choices(Severity))
    tier = django_filters.ChoiceFilter(choices=_choices(Tier))
    payer = django_filters.CharFilter(help_text="Normalized name of the payer, exactly.")
    onset_from = django_filters.DateFilter(field_name="onset", lookup_expr="gte")
    onset_to = django_filters.DateFilter(field_name="onset", lookup_expr="lte")

    class Meta:
        model = Finding
        fields: ClassVar[list[str]] = []


class FindingFilters(ActiveFilters):
    """What all findings can be filtered by."""

    state = django_filters.ChoiceFilter(choices=Finding.State.choices)

    class Meta(ActiveFilters.Meta):
        pass


class FindingSerializer(serializers.ModelSerializer[Finding]):
    """One statement about one incident."""

    dollars_per_month = MoneyField(help_text="Money at risk per 30 days.")
    interval = serializers.SerializerMethodField(help_text="95 % interval of the effect.")
    procedure_groups = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Empty means all."
    )
    places = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        read_only=True,
        help_text="Further dimension and the values of it that the change is confined to.",
    )
    why = serializers.ListField(child=serializers.CharField(), read_only=True)
    _links = serializers.SerializerMethodField()

    class Meta:
        model = Finding
        fields = (
            "uid",
            "fingerprint",
            "state",
            "signal",
            "tier",
            "severity",
            "summary",
            "payer",
            "procedure_groups",
            "category",
            "places",
            "onset",
            "as_of",
            "dollars_per_month",
            "unit",
            "baseline",
            "current",
            "effect",
            "interval",
            "claims",
            "detector",
            "score",
            "threshold",
            "preliminary",
            "why",
            "detected_on",
            "ended_on",
            "revised",
            "accepted_on",
            "accepted_by",
            "_links",
        )
        read_only_fields = fields

    @extend_schema_field(
        {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    )
    def get_interval(self, finding: Finding) -> list[float]:
        """Return both ends."""
        return [finding.low, finding.high]

    @extend_schema_field(
        {"type": "object", "additionalProperties": {"type": "string", "format": "uri-reference"}}
    )
    def get__links(self, finding: Finding) -> dict[str, str]:
        """Return the finding, its list, and the payer's claims where they are kept here."""
        request = self.context["request"]
        links = {
            "self": link(request, "finding-detail", uid=finding.uid),
            "collection": link(request, "finding-list"),
        }
        if apps.is_installed("claimkit_django.claims"):
            claims, asked = link(request, "claim-list"), claims_behind(finding)
            links["claims"] = f"{claims}?{urlencode(asked)}"
            if finding.signal in (Signal.DENIAL_RATE, Signal.DENIAL_REASON_MIX):
                links["denied_claims"] = f"{claims}?{urlencode({**asked, 'outcome': 'denied'})}"
        return links


class FindingDetailSerializer(FindingSerializer):
    """A finding with the numbers behind it."""

    class Meta(FindingSerializer.Meta):
        fields = (*FindingSerializer.Meta.fields, "evidence")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    evidence = serializers.DictField(read_only=True)


_FINDING: dict[str, Any] = {
    "uid": "fnd_7r2c5m0k9v3t8x1q4w6y2b5d7f",
    "fingerprint": "5f0c2a7d91",
    "state": "open",
    "signal": "denial_rate",
    "tier": "alert",
    "severity": "high",
    "summary": "Aetna denies 21 % of MRI claims instead of 8 % since March 2, 2026.",
    "payer": "Aetna",
    "procedure_groups": ["Imaging: MRI"],
    "category": "authorization_referral",
    "places": {"facility": ["11"]},
    "onset": "2026-03-02",
    "as_of": "2026-04-06",
    "dollars_per_month": "48210.00",
    "unit": "share",
    "baseline": 0.08,
    "current": 0.21,
    "effect": 0.13,
    "interval": [0.09, 0.17],
    "claims": 412,
    "detector": "lattice",
    "score": 31.2,
    "threshold": 14.0,
    "preliminary": False,
    "why": ["The score of 31.2 is above 14.0, which chance reaches once in ten years."],
    "detected_on": "2026-03-16",
    "ended_on": None,
    "revised": False,
    "accepted_on": None,
    "accepted_by": "",
    "_links": {
        "self": "/api/v1/findings/fnd_7r2c5m0k9v3t8x1q4w6y2b5d7f/",
        "collection": "/api/v1/findings/",
        "claims": "/api/v1/claims/?payer=Aetna&decided_from=2026-03-02"
        "&procedure_group=Imaging%3A+MRI",
        "denied_claims": "/api/v1/claims/?payer=Aetna&decided_from=2026-03-02"
        "&procedure_group=Imaging%3A+MRI&outcome=denied",
    },
}
_ONE = OpenApiExample("finding", value=_FINDING, response_only=True, status_codes=["200"])
_WHOLE = OpenApiExample(
    "finding",
    value={**_FINDING, "evidence": {"period_days": 7, "observed": [0.08, 0.21]}},
    response_only=True,
    status_codes=["200"],
)
_ACCEPTED = OpenApiExample(
    "accepted",
    value={
        **_FINDING,
        "state": "accepted",
        "accepted_on": "2026-04-07",
        "accepted_by": "maria",
        "evidence": {},
    },
    response_only=True,
    status_codes=["200"],
)


@extend_schema_view(
    list=operation(summary="List findings", examples=[_ONE]),
    retrieve=operation(summary="Get a finding with its evidence", examples=[_WHOLE]),
)
class FindingViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """All findings ever, the latest first."""

    tag = "drift"
    validated_by = ("drift",)
    model = Finding
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    filterset_class = FindingFilters
    lookup_value_regex = "fnd_[0-9a-z]{1,28}"
    #: Whether an action answers 409.
    conflicts = False
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "as_of": Ordering(SortKey("as_of"), SortKey("id")),
        "dollars_per_month": Ordering(SortKey("dollars_per_month"), SortKey("id")),
    }
    default_ordering = "-as_of"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        return FindingSerializer if self.action == "list" else FindingDetailSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Leave the evidence in the database where it is not shown."""
        rows = super().get_queryset()
        return rows.defer("evidence") if self.action == "list" else rows

    @operation(
        summary="Take a finding's level as normal",
        request=None,
        responses={200: FindingDetailSerializer},
        examples=[_ACCEPTED],
    )
    @action(
        detail=True, methods=["post"], filter_backends=[], pagination_class=None, conflicts=True
    )
    def accept(self, request: Request, uid: str) -> Response:
        """Close an open finding because its new level is normal; detectors compare with it from now on.

        A finding that is not open any more is answered with 409.
        """
        refuse_unknown(request, ())
        row = self.get_object()
        run_accept(TenantKey(row.tenant.key), uid, by=actor_of(request.user))
        return Response(
            self.get_serializer(self.get_object()).data, headers={"Cache-Control": "no-store"}
        )


@extend_schema_view(
    list=operation(
        operation_id="drift_active_list", summary="List open findings by money", examples=[_ONE]
    )
)
class ActiveDriftViewSet(mixins.ListModelMixin, ApiViewSet, TenantRowsView):
    """What is drifting now, the most expensive first."""

    tag = "drift"
    validated_by = ("drift",)
    model = Finding
    serializer_class = FindingSerializer
    filterset_class = ActiveFilters
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "dollars_per_month": Ordering(SortKey("dollars_per_month"), SortKey("id"))
    }
    default_ordering = "-dollars_per_month"

    def get_queryset(self) -> QuerySet[Any]:
        """Return open findings."""
        return super().get_queryset().filter(state=Finding.State.OPEN.value).defer("evidence")
