"""Endpoints of webhooks over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS, transaction
from django.http import Http404
from drf_spectacular.utils import extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.errors import ClaimkitError
from claimkit.tenants import Role, current_tenant
from claimkit.webhooks.payloads import Detail
from claimkit.webhooks.trust import Certificates
from claimkit_django.rest.conditional import IF_MATCH, content_etag, require_match
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.rest import TenantRowsView
from claimkit_django.webhooks import endpoints
from claimkit_django.webhooks.enqueue import ping, replay_since
from claimkit_django.webhooks.models import Endpoint, EndpointKey
from claimkit_django.webhooks.rest_deliveries import (
    ADMINS,
    CREATED_AT,
    ENDPOINT,
    REPLAYED,
    ReplayedSerializer,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

__all__ = ["EndpointViewSet"]


class KeySerializer(serializers.ModelSerializer[EndpointKey]):
    """A key, without the key."""

    class Meta:
        model = EndpointKey
        fields = ("fingerprint", "version", "public", "created_at", "expires_at", "last_used_at")
        read_only_fields = fields


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """A receiver and how it fares."""

    event_types = serializers.ListField(child=serializers.CharField(), read_only=True)
    keys = KeySerializer(many=True, read_only=True)
    has_certificates = serializers.SerializerMethodField(
        help_text="Whether certificates of its own replace those of the system; they are not shown."
    )
    _links = LinksField(
        {
            "self": ("webhook-endpoint-detail", {"uid": "uid"}),
            "collection": ("webhook-endpoint-list", {}),
        }
    )

    class Meta:
        model = Endpoint
        fields = (
            *("uid", "url", "description", "event_types", "detail", "enabled", "disabled_reason"),
            *(
                "disabled_at",
                "confirmed_at",
                "legacy_signature",
                "failures",
                "failing_since",
                "held_until",
            ),
            *("order", "has_certificates", "created_at", "keys", "_links"),
        )
        read_only_fields = fields

    def get_has_certificates(self, row: Endpoint) -> bool:
        """Say whether there are any."""
        return bool(row.sealed_tls)


class CertificatesSerializer(serializers.Serializer[Any]):
    """Who vouches for the receiver, and how it is shown who we are."""

    authority = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=65_536,
        help_text="PEM: authorities, or its own certificate, that alone vouch for the receiver.",
    )
    client = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=65_536,
        help_text="PEM: our certificate for mutual TLS, its chain, and its key without a password.",
    )

    def validate(self, attrs: dict[str, str]) -> Any:
        """Return them as the core knows them."""
        return Certificates(**attrs)


class EndpointChangesSerializer(serializers.Serializer[Any]):
    """What an endpoint is and hears."""

    url = serializers.CharField(max_length=2_000, help_text="An https URL.")
    event_types = serializers.ListField(
        child=serializers.CharField(), help_text="Names of event types; `*` for all."
    )
    description = serializers.CharField(max_length=200, required=False, default="")
    detail = serializers.ChoiceField(
        choices=Endpoint.DetailChoices.choices,
        required=False,
        default=Detail.THIN.value,
        help_text="`full` adds payer and money; only an owner lets an endpoint hear them.",
    )
    headers = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Sent with each request."
    )
    legacy_signature = serializers.BooleanField(
        required=False, default=False, help_text="Also send `X-Signature`, for old receivers."
    )
    order = serializers.ChoiceField(
        choices=Endpoint.OrderChoices.choices,
        required=False,
        default=Endpoint.OrderChoices.ANY.value,
        help_text="What waits until an earlier one is over: nothing (`any`), webhooks about the same"
        " thing (`subject`), or `all`. Counts for what happens from now on.",
    )
    certificates = CertificatesSerializer(
        required=False,
        help_text="Certificates of its own; empty texts stand for those of the system.",
    )


class NewEndpointSerializer(EndpointChangesSerializer):
    """What an endpoint is made of."""

    key_version = serializers.ChoiceField(choices=["v1", "v1a"], required=False, default="v1")


class EndpointWithKeySerializer(EndpointSerializer):
    """An endpoint with its new key, which is shown only now."""

    key = serializers.CharField(read_only=True, help_text="Shown only now; keep it.")

    class Meta(EndpointSerializer.Meta):
        fields = (*EndpointSerializer.Meta.fields, "key")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class NewKeySerializer(serializers.Serializer[Any]):
    """Which kind of key."""

    key_version = serializers.ChoiceField(choices=["v1", "v1a"], required=False, default="v1")


class ChallengeSerializer(serializers.Serializer[Any]):
    """What the receiver was asked to repeat."""

    challenge = serializers.CharField(
        max_length=32, help_text="`data.challenge` of the last `webhooks.ping` that arrived."
    )


class ReplaySerializer(serializers.Serializer[Any]):
    """Which deliveries are sent again."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField(required=False)
    only_failed = serializers.BooleanField(required=False, default=True)


class EndpointFilters(StrictFilterSet):
    """What endpoints can be filtered by."""

    enabled = django_filters.BooleanFilter()

    class Meta:
        model = Endpoint
        fields: ClassVar[list[str]] = []


_ENDPOINT_VALUE: dict[str, Any] = {
    "uid": ENDPOINT,
    "url": "https://hooks.example.org/claims",
    "description": "Data warehouse",
    "event_types": ["drift.detected"],
    "detail": "thin",
    "enabled": True,
    "disabled_reason": "",
    "disabled_at": None,
    "confirmed_at": "2026-04-12T09:30:04Z",
    "legacy_signature": False,
    "failures": 0,
    "failing_since": None,
    "held_until": None,
    "order": "any",
    "has_certificates": False,
    "created_at": "2026-04-12T09:30:00Z",
    "keys": [
        {
            "fingerprint": "1f9a07c3",
            "version": "v1",
            "public": "",
            "created_at": "2026-04-12T09:30:00Z",
            "expires_at": None,
            "last_used_at": None,
        }
    ],
    "_links": {
        "self": f"/api/v1/webhooks/endpoints/{ENDPOINT}/",
        "collection": "/api/v1/webhooks/endpoints/",
    },
}
_ONE = {
    "request": None,
    "responses": EndpointSerializer,
    "examples": shown("endpoint", _ENDPOINT_VALUE),
}
_KEYED = shown("endpoint", {**_ENDPOINT_VALUE, "key": "whsec_…"}, 201)


@extend_schema_view(
    list=operation(
        summary="List endpoints of webhooks", examples=shown("endpoint", _ENDPOINT_VALUE)
    ),
)
class EndpointViewSet(mixins.ListModelMixin, ApiViewSet, TenantRowsView):
    """Who is told."""

    tag = "webhooks"
    model = Endpoint
    roles: ClassVar[Mapping[str, Role]] = ADMINS
    serializer_class = EndpointSerializer
    filterset_class = EndpointFilters
    lookup_value_regex = "whe_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = CREATED_AT
    default_ordering = "-created_at"

    def request_headers(self, method: str) -> dict[str, str]:
        """Add the header by which a change says what it is based on."""
        return super().request_headers(method) | (IF_MATCH if method == "PATCH" else {})

    def get_queryset(self) -> QuerySet[Any]:
        """Read the keys of a page at once."""
        return super().get_queryset().prefetch_related("keys")

    @operation(summary="Get an endpoint of webhooks", examples=shown("endpoint", _ENDPOINT_VALUE))
    def retrieve(self, request: Request, uid: str) -> Response:
        """Return the endpoint; its `ETag` is what a change is based on."""
        del uid
        refuse_unknown(request, ())
        return self._answer(self.get_object())

    @operation(
        summary="Add an endpoint of webhooks",
        request=NewEndpointSerializer,
        responses={201: EndpointWithKeySerializer},
        examples=_KEYED,
    )
    def create(self, request: Request) -> Response:
        """Add an endpoint; the answer shows its key, once. `full` detail takes an owner."""
        refuse_unknown(request, ())
        asked = NewEndpointSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        self._check_detail(asked.validated_data)
        try:
            row, key = endpoints.add_endpoint(using=DEFAULT_DB_ALIAS, **asked.validated_data)
        except ClaimkitError as error:
            raise _of(error) from None
        return self._with_key(row, key)

    @operation(
        summary="Change an endpoint of webhooks",
        request=EndpointChangesSerializer,
        responses=EndpointSerializer,
        examples=shown("endpoint", _ENDPOINT_VALUE),
    )
    def partial_update(self, request: Request, uid: str) -> Response:
        """Change where webhooks go and which; what is due already goes to the new address.

        Where an endpoint hears `full` detail, only an owner changes its address, headers or gives
        it more event types. Once it is `thin`, what is due in full is cancelled.
        """
        del uid
        refuse_unknown(request, ())
        found = self.get_object()
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            row = Endpoint.objects.select_for_update(no_key=True).filter(pk=found.pk).first()
            if row is None:
                raise Http404
            require_match(request, _etag_of(row))
            asked = EndpointChangesSerializer(data=request.data, partial=True)
            asked.is_valid(raise_exception=True)
            self._check_detail(asked.validated_data, row)
            try:
                endpoints.change_endpoint(row, asked.validated_data, using=DEFAULT_DB_ALIAS)
            except ClaimkitError as error:
                raise _of(error) from None
        return self._answer(row)

    @operation(
        summary="Replace the key of an endpoint",
        request=NewKeySerializer,
        responses={201: EndpointWithKeySerializer},
        examples=_KEYED,
    )
    @action(detail=True, methods=["post"], url_path="rotate-key", url_name="rotate-key")
    def rotate_key(self, request: Request, uid: str) -> Response:
        """Add a key; the others still sign beside it for a while."""
        del uid
        # First: what is wrong with a body must not tell whose endpoint it is.
        row = self.get_object()
        asked = NewKeySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            version = asked.validated_data["key_version"]
            key = endpoints.add_key(row, version=version, using=DEFAULT_DB_ALIAS)
        except ClaimkitError as error:
            raise _of(error) from None
        return self._with_key(self.get_object(), key)

    @operation(summary="Enable an endpoint", **_ONE)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, uid: str) -> Response:
        """Send to the endpoint again, with a clean record."""
        del request, uid
        endpoints.enable(self.get_object(), using=DEFAULT_DB_ALIAS)
        return self._shown()

    @operation(
        summary="Confirm an endpoint",
        request=ChallengeSerializer,
        responses=EndpointSerializer,
        examples=shown("endpoint", _ENDPOINT_VALUE),
    )
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, uid: str) -> Response:
        """Begin to send to a receiver that cannot repeat the challenge of a ping by itself."""
        del uid
        row = self.get_object()
        asked = ChallengeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            endpoints.confirm(row, asked.validated_data["challenge"], using=DEFAULT_DB_ALIAS)
        except ClaimkitError as error:
            raise _of(error) from None
        return self._shown()

    @operation(summary="Disable an endpoint", **_ONE)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, uid: str) -> Response:
        """Send nothing more to the endpoint, and cancel what waits for it."""
        del request, uid
        endpoints.disable(self.get_object(), using=DEFAULT_DB_ALIAS)
        return self._shown()

    @operation(summary="Send a test webhook", **_ONE)
    @action(detail=True, methods=["post"])
    def ping(self, request: Request, uid: str) -> Response:
        """Send `webhooks.ping` to the endpoint, whatever it subscribes to."""
        del request, uid
        row = self.get_object()
        ping(current_tenant(), row, using=DEFAULT_DB_ALIAS)
        return Response(self.get_serializer(row).data)

    @operation(
        summary="Send again what an endpoint missed",
        request=ReplaySerializer,
        responses=ReplayedSerializer,
        examples=REPLAYED,
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, uid: str) -> Response:
        """Send again what failed since an instant, or all."""
        del uid
        row = self.get_object()
        asked = ReplaySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        count = replay_since(current_tenant(), row, using=DEFAULT_DB_ALIAS, **asked.validated_data)
        return Response({"replayed": count})

    def _check_detail(self, changes: Mapping[str, Any], row: Endpoint | None = None) -> None:
        """Check that whoever lets payer and money leave the house may.

        Raises:
            PermissionDenied: that takes an owner.
        """
        is_owner = self.role is not None and self.role.includes(Role.OWNER)
        if not is_owner and endpoints.lets_hear_more(changes, row):
            raise exceptions.PermissionDenied(
                "only an owner lets an endpoint hear payer and money: ask one, or use thin detail"
            )

    def _shown(self) -> Response:
        return self._answer(self.get_object())

    def _answer(self, row: Endpoint) -> Response:
        return Response(self.get_serializer(row).data, headers={"ETag": _etag_of(row)})

    def _with_key(self, row: Endpoint, key: str) -> Response:
        shown = EndpointSerializer(row, context=self.get_serializer_context()).data
        answer = Response({**shown, "key": key}, status=status.HTTP_201_CREATED)
        # Nobody on the way may keep a key.
        answer["Cache-Control"] = "no-store"
        return answer


def _etag_of(row: Endpoint) -> str:
    told = (row.uid, row.url, row.description, row.event_types, row.detail, row.legacy_signature)
    sealed = (bytes(row.sealed_headers), bytes(row.sealed_tls))
    return content_etag(*told, row.enabled, row.order, *sealed)


def _of(error: ClaimkitError) -> exceptions.ValidationError:
    """Return the error as one of the field that it is about."""
    fields = {"unknown_name": "event_types", "header_refused": "headers"}
    fields |= {"challenge_wrong": "challenge", "certificate_invalid": "certificates"}
    fields |= dict.fromkeys(
        ("target_invalid", "target_scheme", "target_port", "blocked_address"), "url"
    )
    field = fields.get(error.code, "non_field_errors")
    return exceptions.ValidationError({field: [exceptions.ErrorDetail(str(error), error.code)]})
