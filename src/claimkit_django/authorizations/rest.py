"""Authorizations over HTTP: what payers allow, what was used of it, and when to ask again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import exceptions, mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.authorizations import model as core
from claimkit.claims.payers import payer_of
from claimkit.claims.privacy import patient_token
from claimkit.errors import AuthorizationInvalid
from claimkit.tenants import current_tenant
from claimkit_django.authorizations.intake import renew
from claimkit_django.authorizations.models import (
    Authorization,
    AuthorizationClaim,
    AuthorizationWarning,
)
from claimkit_django.rest.conditional import IF_MATCH, content_etag, require_match
from claimkit_django.rest.fields import StrictTexts, TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.problems import Conflict
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.runtime import patient_key
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = ["AuthorizationViewSet"]

_UID = "aut_3f8k1d6z0q5v9m2r7x4t1nyc8b"
_VALUES = ("number", "payer", "procedure", "valid_from", "valid_until", "units_authorized")


def units_field(**values: Any) -> serializers.DecimalField:
    """Return the field of a number of units with at most three decimals."""
    return serializers.DecimalField(max_digits=12, decimal_places=3, **values)


class LinkedClaimSerializer(serializers.ModelSerializer[AuthorizationClaim]):
    """A service that was done under an authorization."""

    class Meta:
        model = AuthorizationClaim
        fields = ("service_on", "units")
        read_only_fields = fields


class WarningSerializer(serializers.ModelSerializer[AuthorizationWarning]):
    """A step that was told."""

    kind = serializers.ChoiceField(choices=AuthorizationWarning.Kind.choices, read_only=True)

    class Meta:
        model = AuthorizationWarning
        fields = ("kind", "step", "days_left", "ends_on", "told_at")
        read_only_fields = fields


class AuthorizationSerializer(StrictTexts, serializers.ModelSerializer[Authorization]):
    """What a payer allows; the patient is never shown."""

    member_id = TextField(
        max_length=64,
        write_only=True,
        required=False,
        help_text="Makes the token by which claims are found; it is not kept.",
    )
    units_authorized = units_field()
    units_stated = units_field(required=False, min_value=0, help_text="Used, as people say.")
    units_used = units_field(read_only=True, help_text="As stated or as claims say: the larger.")
    has_patient = serializers.SerializerMethodField(help_text="Whether claims can be found.")
    renewal = serializers.SerializerMethodField(help_text="Uid of what follows it.")
    _links = LinksField(
        {"self": ("authorization-detail", {"uid": "uid"}), "collection": ("authorization-list", {})}
    )

    class Meta:
        model = Authorization
        fields = (
            *("uid", *_VALUES, "member_id", "units_stated", "units_linked", "units_used"),
            *("has_patient", "units_per_day", "runs_out", "exhausted_earliest"),
            *("exhausted_likely", "exhausted_latest", "checked_at", "renewal", "_links"),
        )
        read_only_fields = (
            *("uid", "units_linked", "units_per_day", "runs_out", "exhausted_earliest"),
            *("exhausted_likely", "exhausted_latest", "checked_at", "_links"),
        )

    def get_has_patient(self, row: Authorization) -> bool:
        """Return whether somebody said whose it is."""
        return bool(row.patient_token)

    def get_renewal(self, row: Authorization) -> str | None:
        """Return the uid of the successor."""
        return row.renewal.uid if row.renewal is not None else None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what no payer can have given, and keep a token in the place of the member id."""
        told = {name: attrs.get(name, getattr(self.instance, name, None)) for name in _VALUES}
        stated = attrs.get("units_stated", getattr(self.instance, "units_stated", 0))
        try:
            core.Authorization(**told, units_used=stated)  # type: ignore[arg-type]
        except AuthorizationInvalid as error:
            field = "valid_until" if error.code == "period_reversed" else "units_authorized"
            raise serializers.ValidationError({field: [error.message]}, code=error.code) from None
        member = attrs.pop("member_id", "")
        if member:
            attrs["patient_token"] = patient_token(member, patient_key(current_tenant()))
        if "payer" in attrs:
            attrs["payer_folded"] = payer_of(attrs["payer"])
        if "procedure" in attrs:
            attrs["procedure"] = attrs["procedure"].upper()
        return attrs


class AuthorizationDetailSerializer(AuthorizationSerializer):
    """An authorization with its services and warnings."""

    claims = LinkedClaimSerializer(many=True, read_only=True)
    warnings = WarningSerializer(many=True, read_only=True)

    class Meta(AuthorizationSerializer.Meta):
        fields = (*AuthorizationSerializer.Meta.fields, "claims", "warnings")  # type: ignore[assignment]


class RenewSerializer(serializers.Serializer[Any]):
    """What follows an authorization."""

    renewal = serializers.CharField(max_length=32, help_text="Uid of the successor.")


class AuthorizationFilters(StrictFilterSet):
    """What authorizations can be filtered by."""

    payer = django_filters.CharFilter(help_text="Normalized name of the payer, exactly.")
    procedure = django_filters.CharFilter()
    number = django_filters.CharFilter()
    ends_from = django_filters.DateFilter(field_name="valid_until", lookup_expr="gte")
    ends_to = django_filters.DateFilter(field_name="valid_until", lookup_expr="lt")
    renewed = django_filters.BooleanFilter(field_name="renewal", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Authorization
        fields: ClassVar[list[str]] = []


_ONE: dict[str, Any] = {
    "uid": _UID,
    "number": "A-2026-00417",
    "payer": "Aetna",
    "procedure": "97110",
    "valid_from": "2026-01-01",
    "valid_until": "2026-04-30",
    "units_authorized": "24.000",
    "units_stated": "0.000",
    "units_linked": "18.000",
    "units_used": "18.000",
    "has_patient": True,
    "units_per_day": 0.21,
    "runs_out": 0.93,
    "exhausted_earliest": "2026-04-12",
    "exhausted_likely": "2026-04-20",
    "exhausted_latest": "2026-05-09",
    "checked_at": "2026-04-01T06:00:00Z",
    "renewal": None,
    "_links": {"self": f"/api/v1/authorizations/{_UID}/", "collection": "/api/v1/authorizations/"},
}
_WHOLE: dict[str, Any] = {
    **_ONE,
    "claims": [{"service_on": "2026-03-30", "units": "2.000"}],
    "warnings": [
        {
            "kind": "expiry",
            "step": 30,
            "days_left": 29,
            "ends_on": "2026-04-30",
            "told_at": "2026-04-01T06:00:00Z",
        }
    ],
}


def _shown(value: Any) -> list[OpenApiExample]:
    return [
        OpenApiExample(
            "authorization", value=value, response_only=True, status_codes=["200", "201"]
        )
    ]


@extend_schema_view(
    list=operation(summary="List authorizations", examples=_shown(_ONE)),
    create=operation(
        summary="Add an authorization",
        request=AuthorizationSerializer,
        responses={201: AuthorizationDetailSerializer},
        examples=_shown(_WHOLE),
    ),
)
class AuthorizationViewSet(
    mixins.ListModelMixin, mixins.CreateModelMixin, ApiViewSet, TenantRowsView
):
    """What payers allow until when, the next end first."""

    tag = "authorizations"
    model = Authorization
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    filterset_class = AuthorizationFilters
    lookup_value_regex = "aut_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "valid_until": Ordering(SortKey("valid_until"), SortKey("id"))
    }
    default_ordering = "valid_until"

    def request_headers(self, method: str) -> dict[str, str]:
        """Add the header by which a change says what it is based on."""
        return super().request_headers(method) | (IF_MATCH if method == "PATCH" else {})

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        return AuthorizationSerializer if self.action == "list" else AuthorizationDetailSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Read successors along, and what belongs to one authorization at once."""
        rows = super().get_queryset().select_related("renewal")
        return rows if self.action == "list" else rows.prefetch_related("claims", "warnings")

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save an authorization under a number that is free."""
        save_unique(serializer, "number")

    @operation(
        summary="Get an authorization with its services and warnings", examples=_shown(_WHOLE)
    )
    def retrieve(self, request: Request, uid: str) -> Response:
        """Return the authorization; its `ETag` is what a change is based on."""
        del uid
        refuse_unknown(request, ())
        return self._answer()

    @operation(
        summary="Change an authorization",
        request=AuthorizationSerializer,
        responses=AuthorizationDetailSerializer,
        examples=_shown(_WHOLE),
    )
    def partial_update(self, request: Request, uid: str) -> Response:
        """Change what the payer allows, or what was used of it."""
        del uid
        refuse_unknown(request, ())
        found = self.get_object()
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            take_turn(current_tenant(), DEFAULT_DB_ALIAS)
            row = Authorization.objects.select_related("renewal").get(pk=found.pk)
            require_match(request, _etag_of(row))
            asked = AuthorizationSerializer(
                row, data=request.data, partial=True, context=self.get_serializer_context()
            )
            asked.is_valid(raise_exception=True)
            save_unique(asked, "number")
        return self._answer()

    @operation(
        summary="Say what follows an authorization",
        request=RenewSerializer,
        responses=AuthorizationDetailSerializer,
        examples=_shown(_WHOLE),
    )
    @action(detail=True, methods=["post"])
    def renew(self, request: Request, uid: str) -> Response:
        """Link it to its successor: nobody is warned of it any more."""
        refuse_unknown(request, ())
        # First: what is wrong with a body must not tell whose authorization it is.
        self.get_object()
        asked = RenewSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            renew(
                uid, by=asked.validated_data["renewal"], now=timezone.now(), using=DEFAULT_DB_ALIAS
            )
        except AuthorizationInvalid as error:
            if error.code == "renewed_already":
                raise Conflict(str(error)) from None
            raise serializers.ValidationError(
                {"renewal": [error.message]}, code=error.code
            ) from None
        except Authorization.DoesNotExist:
            raise serializers.ValidationError(
                {"renewal": ["there is no such authorization"]}, code="does_not_exist"
            ) from None
        return self._answer()

    def _answer(self) -> Response:
        row = self.get_object()
        return Response(self.get_serializer(row).data, headers={"ETag": _etag_of(row)})


def save_unique(serializer: serializers.BaseSerializer[Any], field: str, **values: Any) -> None:
    """Save a row whose ``field`` must be free in the tenant.

    Raises:
        ValidationError: it is taken.
    """
    try:
        with transaction.atomic():
            serializer.save(**values)
    except IntegrityError:
        raise exceptions.ValidationError({field: ["it is taken"]}, code="unique") from None


def _etag_of(row: Authorization) -> str:
    told = [getattr(row, name) for name in (*_VALUES, "units_stated")]
    return content_etag(row.uid, *map(str, told), row.patient_token, row.renewal_id)
