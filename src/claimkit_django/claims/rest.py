"""Claims over HTTP: what is known of each. Uploads are in ``rest_uploads``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS
from django.http import Http404
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import exceptions, mixins, serializers

from claimkit.claims.ledger import claim_key
from claimkit.claims.model import Outcome
from claimkit.errors import did_you_mean
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.listing import AXES, names_of, outcome_word
from claimkit_django.claims.models import Claim, Dimension
from claimkit_django.claims.uids import claim_key_of
from claimkit_django.rest.fields import MoneyField
from claimkit_django.rest.filters import Ordering, StrictFilterSet
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.rows import FlatRows
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.rest import TenantRowsView
from claimkit_django.trail import digest_of, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.response import Response

    from claimkit_django.claims.listing import Names

__all__ = ["ClaimViewSet"]


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


#: Filters by which somebody looks for the claim of one patient.
_LOOKUPS = ("patient_control_number", "search")


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

    search = django_filters.CharFilter(
        method="by_search",
        max_length=100,
        help_text="Your claim number, or else how the name of a payer begins.",
    )

    class Meta:
        model = Claim
        fields: ClassVar[list[str]] = []

    def by_search(self, rows: QuerySet[Claim], _name: str, value: str) -> QuerySet[Claim]:
        """Keep the claim with the number, else claims of payers; each by an index."""
        numbered = rows.filter(claim_key=claim_key(value))
        if numbered.exists():
            return numbered
        payers = Dimension.objects.filter(axis="payer", name__istartswith=value)
        return rows.filter(payer__in=list(payers.values_list("code", flat=True)[:100]))

    @extend_schema_field({"type": "string", "enum": [outcome.value for outcome in Outcome]})
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
        return self._names.get((self._axis, value), "")

    @cached_property
    def _names(self) -> Names:
        names: Names = self.context["names"]
        return names

    @cached_property
    def _axis(self) -> str:
        return str(self.source)


@extend_schema_field(
    {"type": "string", "enum": [outcome.value for outcome in Outcome]}, component_name="Outcome"
)
class OutcomeField(serializers.Field[int, Any, str, int]):
    """The word behind an outcome's code."""

    def to_representation(self, value: int) -> str:
        """Return the word."""
        return outcome_word(value)


class ClaimSerializer(FlatRows, serializers.ModelSerializer[Claim]):
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
            *AXES,
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

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return what is known of the claim; the audit trail keeps who asked."""
        answer = super().retrieve(request, *args, **kwargs)
        self._tell("claim.read", target=str(self.kwargs["uid"]))
        return answer

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a page of claims; the audit trail keeps who looked for a number."""
        answer = super().list(request, *args, **kwargs)
        asked = [text for name in _LOOKUPS if (text := request.query_params.get(name))]
        if asked:
            told = digest_of("claim", " ".join(asked))
            rows = len(answer.data["results"])
            self._tell("claim.looked_up", changes={"number": (None, told), "rows": (None, rows)})
        return answer

    def _tell(self, action: str, **told: Any) -> None:
        using = self.tenant._state.db or DEFAULT_DB_ALIAS
        record(action, tenant_id=self.tenant.pk, is_read=True, using=using, **told)

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
        if getattr(self, "swagger_fake_view", False):
            return super().get_serializer(*args, **kwargs)
        rows = args[0] if args else []
        names = names_of(self.tenant, rows if kwargs.get("many") else [rows] if rows else [])
        kwargs["context"] = {**self.get_serializer_context(), "names": names}
        return self.get_serializer_class()(*args, **kwargs)
