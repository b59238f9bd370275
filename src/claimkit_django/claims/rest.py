"""Claims over HTTP: what is known of each, and sums per payer. Uploads are in ``rest_uploads``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import django_filters
from django.db.models import Count, Max, Q, Sum
from django.http import Http404
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import exceptions, mixins, serializers
from rest_framework.decorators import action

from claimkit.claims.ledger import claim_key
from claimkit.claims.model import Outcome
from claimkit.errors import did_you_mean
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.models import Claim, Dimension
from claimkit_django.claims.uids import claim_key_of
from claimkit_django.rest.fields import MoneyField
from claimkit_django.rest.filters import Ordering, StrictFilterSet
from claimkit_django.rest.links import LinksField, link
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.rest import TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.response import Response

    Names = Mapping[tuple[str, int], str]

__all__ = ["ClaimViewSet"]

_OUTCOMES = {code: outcome.value for outcome, code in OUTCOMES.items()}
#: Columns of a claim that hold codes into ``Dimension``; the axis has the same name.
_AXES = (
    "payer",
    "procedure_code",
    "procedure_group",
    "facility",
    "line_of_business",
    "provider",
    "category",
    "reason",
    "remark",
)


class NameFilter(django_filters.CharFilter):
    """Rows with an exact name in one axis; a name that never occurred is refused."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Return the rows whose code stands for ``value``.

        Raises:
            ValidationError: the tenant has no such name; the nearest is named.
        """
        if not value:
            return qs
        names = Dimension.objects.filter(axis=self.field_name)
        code = names.filter(name=value).values_list("code", flat=True).first()
        if code is None:
            near = did_you_mean(value, names.values_list("name", flat=True)[:10_000])
            text = exceptions.ErrorDetail(f"no claim has this name{near}", "invalid_choice")
            raise exceptions.ValidationError({str(self.field_name): [text]})
        return qs.filter(**{str(self.field_name): code})


class ClaimFilters(StrictFilterSet):
    """What claims can be filtered by."""

    payer = NameFilter(help_text="Normalized name of the payer, exactly.")
    procedure_group = NameFilter(help_text="Procedure group, exactly.")
    outcome = django_filters.ChoiceFilter(
        choices=[(outcome.value, outcome.value) for outcome in Outcome],
        method="by_outcome",
        help_text="The decision that stands now.",
    )
    decided_from = django_filters.DateFilter(
        method="by_first_day", help_text="Decided on this day or later."
    )
    decided_to = django_filters.DateFilter(
        method="by_last_day", help_text="Decided on this day or earlier."
    )
    patient_control_number = django_filters.CharFilter(
        method="by_number", help_text="Your own claim number; case and blanks do not matter."
    )

    class Meta:
        model = Claim
        fields: ClassVar[list[str]] = []

    def by_outcome(self, rows: QuerySet[Claim], _name: str, value: str) -> QuerySet[Claim]:
        """Keep one outcome."""
        return rows.filter(outcome=OUTCOMES[Outcome(value)])

    def by_first_day(self, rows: QuerySet[Claim], _name: str, value: Any) -> QuerySet[Claim]:
        """Keep decisions of ``value`` and later."""
        # A decided claim is listed under its decision: the second condition is what the index has.
        return rows.filter(decided_on__gte=value, listed_on__gte=value)

    def by_last_day(self, rows: QuerySet[Claim], _name: str, value: Any) -> QuerySet[Claim]:
        """Keep decisions of ``value`` and earlier."""
        return rows.filter(decided_on__lte=value, listed_on__lte=value)

    def by_number(self, rows: QuerySet[Claim], _name: str, value: str) -> QuerySet[Claim]:
        """Keep the claim with the number; identity is folded as in the ledger."""
        return rows.filter(claim_key=claim_key(value))


@extend_schema_field(str)
class NameField(serializers.Field[int, Any, str, int]):
    """The name behind a code; names come from the context, resolved once per page."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: int) -> str:
        """Return the name, ``""`` for none."""
        names: Names = self.context["names"]
        return names.get((str(self.source), value), "")


@extend_schema_field(
    {"type": "string", "enum": [outcome.value for outcome in Outcome]}, component_name="Outcome"
)
class OutcomeField(serializers.Field[int, Any, str, int]):
    """The word behind an outcome's code."""

    def to_representation(self, value: int) -> str:
        """Return the word."""
        return _OUTCOMES[value]


class ClaimSerializer(serializers.ModelSerializer[Claim]):
    """What is known of one claim now. Who the patient is, is not known here."""

    payer = NameField()
    procedure_code = NameField()
    procedure_group = NameField()
    facility = NameField()
    line_of_business = NameField()
    provider = NameField()
    category = NameField()
    reason = NameField()
    remark = NameField()
    outcome = OutcomeField(read_only=True)
    first_outcome = OutcomeField(read_only=True)
    charge = MoneyField()
    allowed = MoneyField(allow_null=True)
    paid = MoneyField()
    patient_responsibility = MoneyField()
    uid = serializers.CharField(read_only=True)
    _links = LinksField(
        {"self": ("claim-detail", {"uid": "uid"}), "collection": ("claim-list", {})}
    )

    class Meta:
        model = Claim
        fields = (
            "uid",
            "patient_control_number",
            "payer_claim_control_number",
            "authorization_number",
            *_AXES,
            "outcome",
            "first_outcome",
            "service_from",
            "submitted_on",
            "first_decided_on",
            "decided_on",
            "paid_on",
            "lag_days",
            "charge",
            "allowed",
            "paid",
            "patient_responsibility",
            "reversals",
            "_links",
        )
        read_only_fields = fields


class PayerSummarySerializer(serializers.Serializer[dict[str, Any]]):
    """Sums over the claims of one payer."""

    payer = NameField()
    claims = serializers.IntegerField()
    pending = serializers.IntegerField()
    decided = serializers.IntegerField(help_text="Claims with a decision that stands.")
    denied = serializers.IntegerField()
    denial_rate = serializers.SerializerMethodField(help_text="Denied of decided; null if none.")
    charge = MoneyField()
    paid = MoneyField()
    last_decided_on = serializers.DateField(allow_null=True)
    _links = serializers.SerializerMethodField()

    def get_denial_rate(self, row: dict[str, Any]) -> float | None:
        """Return the share, 0 to 1."""
        return round(row["denied"] / row["decided"], 4) if row["decided"] else None

    @extend_schema_field(
        {"type": "object", "additionalProperties": {"type": "string", "format": "uri-reference"}}
    )
    def get__links(self, row: dict[str, Any]) -> dict[str, str]:
        """Return where the payer's claims are; none are listed without a payer's name."""
        names: Names = self.context["names"]
        name = names.get(("payer", row["payer"]), "")
        listing = link(self.context["request"], "claim-list")
        return {"claims": f"{listing}?{urlencode({'payer': name})}"} if name else {}


_CLAIM = OpenApiExample(
    "denied",
    value={
        "uid": "clm_3k9v3t8x1q4w6",
        "patient_control_number": "A100732",
        "payer_claim_control_number": "2026040412345",
        "authorization_number": "",
        "payer": "Aetna",
        "procedure_code": "73721",
        "procedure_group": "Imaging: MRI",
        "facility": "22",
        "line_of_business": "commercial",
        "provider": "1912301953",
        "category": "authorization_referral",
        "reason": "CO-197",
        "remark": "N54",
        "outcome": "denied",
        "first_outcome": "denied",
        "service_from": "2026-03-02",
        "submitted_on": "2026-03-06",
        "first_decided_on": "2026-04-04",
        "decided_on": "2026-04-04",
        "paid_on": None,
        "lag_days": 29,
        "charge": "1450.00",
        "allowed": None,
        "paid": "0.00",
        "patient_responsibility": "0.00",
        "reversals": 0,
        "_links": {"self": "/api/v1/claims/clm_3k9v3t8x1q4w6/", "collection": "/api/v1/claims/"},
    },
    response_only=True,
    status_codes=["200"],
)
_PAYER = OpenApiExample(
    "payer",
    value={
        "payer": "Aetna",
        "claims": 4210,
        "pending": 310,
        "decided": 3900,
        "denied": 468,
        "denial_rate": 0.12,
        "charge": "2841033.00",
        "paid": "1604117.25",
        "last_decided_on": "2026-04-30",
        "_links": {"claims": "/api/v1/claims/?payer=Aetna"},
    },
    response_only=True,
    status_codes=["200"],
)
_UID = OpenApiParameter("uid", str, OpenApiParameter.PATH, description="`clm_…`")


@extend_schema_view(
    list=operation(summary="List claims", examples=[_CLAIM]),
    retrieve=operation(summary="Get a claim", examples=[_CLAIM], parameters=[_UID]),
)
class ClaimViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """Claims, those with the latest news first."""

    tag = "claims"
    validated_by = ("claims",)
    model = Claim
    serializer_class = ClaimSerializer
    filterset_class = ClaimFilters
    lookup_value_regex = "clm_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "listed_on": Ordering(SortKey("listed_on"), SortKey("id"))
    }
    default_ordering = "-listed_on"

    def get_object(self) -> Claim:
        """Return the claim behind the identifier, or 404.

        Raises:
            Http404: the tenant has no such claim.
        """
        key = claim_key_of(self.kwargs["uid"])
        found = None if key is None else self.get_queryset().filter(claim_key=key).first()
        if found is None:
            raise Http404
        claim: Claim = found
        return claim

    def get_serializer(self, *args: Any, **kwargs: Any) -> serializers.BaseSerializer[Any]:
        """Return the serializer with the names of what it is about to show; one query."""
        rows = args[0] if args else []
        names = _names_of(rows if kwargs.get("many") else [rows] if rows else [])
        kwargs["context"] = {**self.get_serializer_context(), "names": names}
        return self.get_serializer_class()(*args, **kwargs)

    @operation(
        summary="Sum claims by payer",
        responses=PayerSummarySerializer(many=True),
        examples=[_PAYER],
    )
    @action(
        detail=False,
        url_path="payer-summary",
        serializer_class=PayerSummarySerializer,
        orderings={
            "claims": Ordering(SortKey("claims"), SortKey("payer")),
            "charge": Ordering(SortKey("charge"), SortKey("payer")),
            "denied": Ordering(SortKey("denied"), SortKey("payer")),
        },
        default_ordering="-claims",
    )
    def payer_summary(self, request: Request) -> Response:  # noqa: ARG002
        """Sum the claims of each payer, after the same filters as the list of claims."""
        # Filters first: they mean claims, not sums.
        claims = self.filter_queryset(self.get_queryset()).order_by()
        decided = ~Q(outcome=OUTCOMES[Outcome.PENDING])
        rows = claims.values("payer").annotate(
            pending=Count("id", filter=~decided),
            decided=Count("id", filter=decided),
            denied=Count("id", filter=Q(outcome=OUTCOMES[Outcome.DENIED])),
            claims=Count("id"),
            last_decided_on=Max("decided_on"),
            charge=Sum("charge", default=0),
            paid=Sum("paid", default=0),
        )
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


def _names_of(rows: Iterable[Any]) -> Names:
    """Return the names of all codes in ``rows``; one query whatever their number."""
    wanted = Q()
    for axis in _AXES:
        codes = {_code(row, axis) for row in rows} - {0}
        if codes:
            wanted |= Q(axis=axis, code__in=codes)
    if not wanted:
        return {}
    found = Dimension.objects.filter(wanted).values_list("axis", "code", "name")
    return {(axis, code): name for axis, code, name in found}


def _code(row: Any, axis: str) -> int:
    code: int = row.get(axis, 0) if isinstance(row, dict) else getattr(row, axis)
    return code
