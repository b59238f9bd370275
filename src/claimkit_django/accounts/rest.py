"""A person's own API tokens in a tenant: make one, see which are used, revoke."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.response import Response

from claimkit.tenants import Role
from claimkit_django.accounts.models import ApiToken
from claimkit_django.accounts.tokens import issue_token
from claimkit_django.rest.fields import TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet, ListSettings
from claimkit_django.tenants.rest import TenantView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

__all__ = ["TokenViewSet"]

_MAX_DAYS = 366


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token, without its secret."""

    _links = LinksField(
        {"self": ("token-detail", {"uid": "uid"}), "collection": ("token-list", {})}
    )

    class Meta:
        model = ApiToken
        fields = (
            "uid",
            "name",
            "prefix",
            "scope",
            "personal",
            "created_at",
            "expires_at",
            "last_used_at",
            "_links",
        )
        read_only_fields = fields


class IssuedSerializer(TokenSerializer):
    """A new token with its secret, shown this once."""

    token = serializers.CharField(help_text="Keep it: it is never shown again.")

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class IssueSerializer(serializers.Serializer[Any]):
    """A token to make."""

    name = TextField(max_length=100, help_text="What will use it.")
    scope = serializers.ChoiceField(choices=ApiToken.Scope.choices, default=ApiToken.Scope.READ)
    personal = serializers.BooleanField(
        default=False,
        help_text="Whether it may download what singles out a patient, where the role may.",
    )
    days = serializers.IntegerField(
        min_value=1, max_value=_MAX_DAYS, default=90, help_text="Days until it expires."
    )


_TOKEN: dict[str, Any] = {
    "uid": "tok_7r2c5m0k9v3t8x1q4w6y2b5d7f",
    "name": "nightly upload",
    "prefix": "ckl_Ab12Cd",
    "scope": "write",
    "personal": False,
    "created_at": "2026-04-06T09:00:00Z",
    "expires_at": "2026-07-05T09:00:00Z",
    "last_used_at": None,
    "_links": {
        "self": "/api/v1/tokens/tok_7r2c5m0k9v3t8x1q4w6y2b5d7f/",
        "collection": "/api/v1/tokens/",
    },
}
_ONE = OpenApiExample("token", value=_TOKEN, response_only=True, status_codes=["200"])
_ISSUED = OpenApiExample(
    "issued",
    value={**_TOKEN, "token": "ckl_Ab12Cd…"},
    response_only=True,
    status_codes=["201"],
)
_UID = OpenApiParameter("uid", str, OpenApiParameter.PATH, description="`tok_…`")


class TokenFilters(StrictFilterSet):
    """Tokens are few; there is nothing to filter by."""

    class Meta:
        model = ApiToken
        fields: ClassVar[list[str]] = []


@extend_schema_view(
    list=operation(summary="List your API tokens", examples=[_ONE]),
    retrieve=operation(summary="Get one of your API tokens", examples=[_ONE], parameters=[_UID]),
)
class TokenViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, ListSettings, TenantView
):
    """The caller's own live tokens in the tenant."""

    tag = "tokens"
    serializer_class = TokenSerializer
    filterset_class = TokenFilters
    roles: ClassVar[Mapping[str, Role]] = dict.fromkeys(
        ("GET", "HEAD", "OPTIONS", "POST", "DELETE"), Role.VIEWER
    )
    rates: ClassVar[Mapping[str, str]] = {"POST": "20/1h"}
    cache_control = "no-store"
    lookup_field = "uid"
    lookup_value_regex = "tok_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "created_at": Ordering(SortKey("created_at"), SortKey("id"))
    }
    default_ordering = "-created_at"

    def get_queryset(self) -> QuerySet[ApiToken]:
        """Return the caller's live tokens; nobody else's exist here."""
        if getattr(self, "swagger_fake_view", False):
            return ApiToken.objects.none()
        person: Any = self.request.user
        mine = ApiToken.objects.filter(tenant_id=self.tenant.pk, user_id=person.pk)
        return mine.filter(revoked_at__isnull=True, expires_at__gt=timezone.now())

    @operation(
        summary="Make an API token",
        request=IssueSerializer,
        responses={201: IssuedSerializer},
        examples=[_ISSUED],
    )
    def create(self, request: Request) -> Response:
        """Return a new token; this is the only time that it is shown. A token cannot make tokens."""
        refuse_unknown(request, ())
        if isinstance(request.auth, ApiToken):
            raise exceptions.PermissionDenied("a token cannot make tokens; sign in yourself")
        asked = IssueSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row, text = issue_token(
            user=request.user,
            tenant=self.tenant,
            name=asked.validated_data["name"],
            scope=asked.validated_data["scope"],
            personal=asked.validated_data["personal"],
            expires_at=timezone.now() + dt.timedelta(days=asked.validated_data["days"]),
        )
        body = {**self.get_serializer(row).data, "token": text}
        return Response(
            body,
            status=status.HTTP_201_CREATED,
            headers={"Location": body["_links"]["self"]},
        )

    @operation(summary="Revoke an API token", parameters=[_UID], responses={204: None})
    def destroy(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Revoke the token at once."""
        refuse_unknown(request, ())
        row = self.get_object()
        ApiToken.objects.filter(pk=row.pk).update(revoked_at=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
