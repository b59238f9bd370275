"""Webhooks over HTTP: endpoints, what was delivered to them, and what can be subscribed to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.errors import ClaimkitError
from claimkit.tenants import Role, current_tenant
from claimkit.webhooks.payloads import Detail, body_schema
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.runtime import plugins
from claimkit_django.tenants.rest import TenantRowsView, TenantView
from claimkit_django.webhooks import endpoints
from claimkit_django.webhooks.enqueue import ping, replay, replay_since
from claimkit_django.webhooks.models import Attempt, Delivery, Endpoint, EndpointKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

__all__ = ["DeliveryViewSet", "EndpointViewSet", "EventTypesView"]

_ADMINS: Mapping[str, Role] = dict.fromkeys(
    ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"), Role.ADMIN
)
_CREATED_AT = {"created_at": Ordering(SortKey("created_at"), SortKey("id"))}
_ENDPOINT = "whe_3f8k1d6z0q5v9m2r7x4t1nyc8b"
_DELIVERY = "whd_7m2r7x4t1nyc8b3f8k1d6z0q5v"


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
            *("disabled_at", "legacy_signature", "failures", "failing_since", "held_until"),
            *("created_at", "keys", "_links"),
        )
        read_only_fields = fields


class NewEndpointSerializer(serializers.Serializer[Any]):
    """What an endpoint is made of."""

    url = serializers.CharField(max_length=2_000, help_text="An https URL.")
    event_types = serializers.ListField(
        child=serializers.CharField(), help_text="Names of event types; `*` for all."
    )
    description = serializers.CharField(max_length=200, required=False, default="")
    detail = serializers.ChoiceField(
        choices=Endpoint.DetailChoices.choices, required=False, default=Detail.THIN.value
    )
    headers = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Sent with each request."
    )
    legacy_signature = serializers.BooleanField(
        required=False, default=False, help_text="Also send `X-Signature`, for old receivers."
    )
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


class ReplaySerializer(serializers.Serializer[Any]):
    """Which deliveries are sent again."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField(required=False)
    only_failed = serializers.BooleanField(required=False, default=True)


class ReplayedSerializer(serializers.Serializer[Any]):
    """How many deliveries are on their way again."""

    replayed = serializers.IntegerField()


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """What happened once."""

    class Meta:
        model = Attempt
        fields = ("number", "started_at", "milliseconds", "status", "reason", "key_fingerprints")
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One message for one endpoint."""

    endpoint = serializers.CharField(source="lane.uid", read_only=True)
    state = serializers.CharField(
        read_only=True, help_text="`due`, `leased`, `done`, `dead` or `cancelled`."
    )
    message_id = serializers.CharField(source="message.uid", read_only=True)
    event_type = serializers.CharField(source="message.event_type", read_only=True)
    _links = LinksField(
        {
            "self": ("webhook-delivery-detail", {"uid": "uid"}),
            "collection": ("webhook-delivery-list", {}),
            "endpoint": ("webhook-endpoint-detail", {"uid": "lane.uid"}),
        }
    )

    class Meta:
        model = Delivery
        fields = (
            *("uid", "endpoint", "message_id", "event_type", "state", "reason", "attempts"),
            *("due_at", "replay", "created_at", "_links"),
        )
        read_only_fields = fields


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with its attempts."""

    attempts_made = AttemptSerializer(many=True, read_only=True)

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "attempts_made")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class EventTypeSerializer(serializers.Serializer[Any]):
    """What can be subscribed to."""

    name = serializers.CharField()
    version = serializers.IntegerField()
    description = serializers.CharField()
    schema = serializers.SerializerMethodField(help_text="JSON Schema of the whole body.")
    example = serializers.SerializerMethodField(help_text="An example of `data`.")

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_schema(self, event_type: Any) -> dict[str, Any]:
        """Return the schema of full data where there are any, else of thin data."""
        return body_schema(event_type, Detail.THIN)

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_example(self, event_type: Any) -> dict[str, Any]:
        """Return thin data."""
        return {"version": event_type.version, **event_type.example}


class EndpointFilters(StrictFilterSet):
    """What endpoints can be filtered by."""

    enabled = django_filters.BooleanFilter()

    class Meta:
        model = Endpoint
        fields: ClassVar[list[str]] = []


class DeliveryFilters(StrictFilterSet):
    """What deliveries can be filtered by."""

    state = django_filters.ChoiceFilter(choices=Delivery.State.choices)
    endpoint = django_filters.CharFilter(field_name="lane__uid")
    message_id = django_filters.CharFilter(field_name="message__uid")
    event_type = django_filters.CharFilter(field_name="message__event_type")
    created_from = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_to = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Delivery
        fields: ClassVar[list[str]] = []


_ENDPOINT_VALUE: dict[str, Any] = {
    "uid": _ENDPOINT,
    "url": "https://hooks.example.org/claims",
    "description": "Data warehouse",
    "event_types": ["drift.detected"],
    "detail": "thin",
    "enabled": True,
    "disabled_reason": "",
    "disabled_at": None,
    "legacy_signature": False,
    "failures": 0,
    "failing_since": None,
    "held_until": None,
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
        "self": f"/api/v1/webhooks/endpoints/{_ENDPOINT}/",
        "collection": "/api/v1/webhooks/endpoints/",
    },
}
_DELIVERY_VALUE: dict[str, Any] = {
    "uid": _DELIVERY,
    "endpoint": _ENDPOINT,
    "message_id": "msg_0cw4nq8r1v6j3m7x2t9k5hyd0b",
    "event_type": "drift.detected",
    "state": "done",
    "reason": "",
    "attempts": 1,
    "due_at": "2026-04-12T09:30:00Z",
    "replay": 0,
    "created_at": "2026-04-12T09:30:00Z",
    "_links": {
        "self": f"/api/v1/webhooks/deliveries/{_DELIVERY}/",
        "collection": "/api/v1/webhooks/deliveries/",
        "endpoint": f"/api/v1/webhooks/endpoints/{_ENDPOINT}/",
    },
}


def _shown(name: str, value: Any, code: int = 200) -> list[OpenApiExample]:
    return [OpenApiExample(name, value=value, response_only=True, status_codes=[str(code)])]


_ONE = {
    "request": None,
    "responses": EndpointSerializer,
    "examples": _shown("endpoint", _ENDPOINT_VALUE),
}
_KEYED = _shown("endpoint", {**_ENDPOINT_VALUE, "key": "whsec_…"}, 201)
_REPLAYED = _shown("replayed", {"replayed": 3})


@extend_schema_view(
    list=operation(
        summary="List endpoints of webhooks", examples=_shown("endpoint", _ENDPOINT_VALUE)
    ),
    retrieve=operation(
        summary="Get an endpoint of webhooks", examples=_shown("endpoint", _ENDPOINT_VALUE)
    ),
)
class EndpointViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """Who is told."""

    tag = "webhooks"
    model = Endpoint
    roles: ClassVar[Mapping[str, Role]] = _ADMINS
    serializer_class = EndpointSerializer
    filterset_class = EndpointFilters
    lookup_value_regex = "whe_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = _CREATED_AT
    default_ordering = "-created_at"

    def get_queryset(self) -> QuerySet[Any]:
        """Read the keys of a page at once."""
        return super().get_queryset().prefetch_related("keys")

    @operation(
        summary="Add an endpoint of webhooks",
        request=NewEndpointSerializer,
        responses={201: EndpointWithKeySerializer},
        examples=_KEYED,
    )
    def create(self, request: Request) -> Response:
        """Add an endpoint; the answer shows its key, once."""
        refuse_unknown(request, ())
        asked = NewEndpointSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            row, key = endpoints.add_endpoint(using=DEFAULT_DB_ALIAS, **asked.validated_data)
        except ClaimkitError as error:
            raise _of(error) from None
        return self._with_key(row, key)

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
        del request
        row = self.get_object()
        ping(current_tenant(), uid, using=DEFAULT_DB_ALIAS)
        return Response(self.get_serializer(row).data)

    @operation(
        summary="Send again what an endpoint missed",
        request=ReplaySerializer,
        responses=ReplayedSerializer,
        examples=_REPLAYED,
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

    def _shown(self) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    def _with_key(self, row: Endpoint, key: str) -> Response:
        shown = EndpointSerializer(row, context=self.get_serializer_context()).data
        answer = Response({**shown, "key": key}, status=status.HTTP_201_CREATED)
        # Nobody on the way may keep a key.
        answer["Cache-Control"] = "no-store"
        return answer


@extend_schema_view(
    list=operation(
        summary="List deliveries of webhooks", examples=_shown("delivery", _DELIVERY_VALUE)
    ),
    retrieve=operation(
        summary="Get a delivery with its attempts",
        examples=_shown("delivery", {**_DELIVERY_VALUE, "attempts_made": []}),
    ),
)
class DeliveryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """What was told to whom, the latest first."""

    tag = "webhooks"
    model = Delivery
    roles: ClassVar[Mapping[str, Role]] = _ADMINS
    filterset_class = DeliveryFilters
    lookup_value_regex = "whd_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = _CREATED_AT
    default_ordering = "-created_at"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        return DeliverySerializer if self.action == "list" else DeliveryDetailSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Read what a page shows at once, and leave the bodies in the database."""
        rows = super().get_queryset().select_related("lane", "message").defer("message__body")
        return rows if self.action == "list" else rows.prefetch_related("attempts_made")

    @operation(
        summary="Send a delivery again",
        request=None,
        responses=ReplayedSerializer,
        examples=_REPLAYED,
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, uid: str) -> Response:
        """Send the message to the endpoint again, with the same id."""
        del request, uid
        count = replay(current_tenant(), [self.get_object()], using=DEFAULT_DB_ALIAS)
        return Response({"replayed": count})


class EventTypesView(TenantView):
    """What can be subscribed to."""

    tag = "webhooks"

    @operation(
        operation_id="webhooks_event_types_list",
        summary="List event types of webhooks",
        responses=EventTypeSerializer(many=True),
        examples=[
            OpenApiExample(
                "ping",
                value={
                    "name": "claims.imported",
                    "version": 1,
                    "description": "A file of claims is in.",
                    "schema": {"type": "object"},
                    "example": {"version": 1, "upload": "upl_0cw4nq8r1v6j3m7x2t9k5hyd0b"},
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """Return each event type with its JSON Schema and an example."""
        refuse_unknown(request, ())
        offered = [one for one in plugins().event_types.values() if one.can_subscribe]
        return Response(EventTypeSerializer(offered, many=True).data)


def _of(error: ClaimkitError) -> exceptions.ValidationError:
    """Return the error as one of the field that it is about."""
    fields = {"unknown_name": "event_types", "header_refused": "headers"}
    fields |= dict.fromkeys(
        ("target_invalid", "target_scheme", "target_port", "blocked_address"), "url"
    )
    field = fields.get(error.code, "non_field_errors")
    return exceptions.ValidationError({field: [exceptions.ErrorDetail(str(error), error.code)]})
