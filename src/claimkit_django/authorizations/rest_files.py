"""Files of authorizations, lead times of payers, and the calendar, over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from django.core import signing
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from claimkit.authorizations.ics import CalendarEntry, render_calendar
from claimkit.tenants import current_tenant
from claimkit_django.authorizations.intake import import_authorizations
from claimkit_django.authorizations.models import (
    Authorization,
    AuthorizationImport,
    ImportProblem,
    LeadTime,
)
from claimkit_django.authorizations.rest import save_unique
from claimkit_django.conf import config
from claimkit_django.rest.fields import SentFileField, StrictTexts
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField, link
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.models import Membership
from claimkit_django.tenants.rest import ANALYST_WRITES, READ, TenantRowsView, TenantView
from claimkit_django.tenants.scope import enter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = ["CalendarView", "ImportViewSet", "LeadTimeViewSet", "show_calendar"]

_SALT = "claimkit.authorizations.calendar"
#: What a calendar shows of the past.
_PAST = dt.timedelta(days=31)
_MOST_ENTRIES = 2_000


class NoFilters(StrictFilterSet):
    """Nothing to filter by: there are few."""


class ImportProblemSerializer(serializers.ModelSerializer[ImportProblem]):
    """One row that could not be taken."""

    class Meta:
        model = ImportProblem
        fields = ("line", "code", "field_name", "message", "remedy")
        read_only_fields = fields


class AuthorizationImportSerializer(serializers.ModelSerializer[AuthorizationImport]):
    """What became of a file."""

    _links = LinksField(
        {
            "self": ("authorization-import-detail", {"uid": "uid"}),
            "collection": ("authorization-import-list", {}),
        }
    )

    class Meta:
        model = AuthorizationImport
        fields = (
            *("uid", "name", "actor", "imported_at", "new", "changed", "same", "rejected"),
            "_links",
        )
        read_only_fields = fields


class AuthorizationImportDetailSerializer(AuthorizationImportSerializer):
    """What became of a file, with the rows that could not be taken."""

    problems = ImportProblemSerializer(many=True, read_only=True)

    class Meta(AuthorizationImportSerializer.Meta):
        fields = (*AuthorizationImportSerializer.Meta.fields, "problems")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class SendAuthorizationsSerializer(serializers.Serializer[Any]):
    """A file of authorizations."""

    file = SentFileField(help_text="CSV.", max_length=255, write_only=True)

    def validate_file(self, file: Any) -> Any:
        """Refuse what is larger than the room takes."""
        most = config().authorizations.max_import_bytes
        if file.size > most:
            raise serializers.ValidationError(f"a file has at most {most:,} bytes; split it")
        return file


_IMPORT: dict[str, Any] = {
    "uid": "aim_7m2r7x4t1nyc8b3f8k1d6z0q5v",
    "name": "authorizations.csv",
    "actor": "user:7",
    "imported_at": "2026-04-12T09:30:00Z",
    "new": 12,
    "changed": 3,
    "same": 40,
    "rejected": 1,
    "_links": {
        "self": "/api/v1/authorizations/imports/aim_7m2r7x4t1nyc8b3f8k1d6z0q5v/",
        "collection": "/api/v1/authorizations/imports/",
    },
}
_WITH_PROBLEMS = {
    **_IMPORT,
    "problems": [
        {
            "line": 17,
            "code": "date_invalid",
            "field_name": "valid_until",
            "message": "valid_until is no day between 1970 and 2069",
            "remedy": "Write 2026-01-31 or 01/31/2026",
        }
    ],
}
_LEAD: dict[str, Any] = {
    "uid": "ltm_2x4t1nyc8b3f8k1d6z0q5v7m2r",
    "payer": "Aetna",
    "days": 21,
    "_links": {
        "self": "/api/v1/authorizations/lead-times/ltm_2x4t1nyc8b3f8k1d6z0q5v7m2r/",
        "collection": "/api/v1/authorizations/lead-times/",
    },
}
_FEED = "/api/v1/authorizations/calendar/eyJ0IjoibiJ9:1x:abc.ics"


def _shown(name: str, value: Any) -> list[OpenApiExample]:
    return [OpenApiExample(name, value=value, response_only=True, status_codes=["200", "201"])]


@extend_schema_view(
    list=operation(summary="List imports of authorizations", examples=_shown("import", _IMPORT)),
    retrieve=operation(
        summary="Get an import with the rows that were rejected",
        examples=_shown("import", _WITH_PROBLEMS),
    ),
)
class ImportViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """Files of authorizations, the latest first."""

    tag = "authorizations"
    model = AuthorizationImport
    parser_classes = (MultiPartParser,)
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    filterset_class = NoFilters
    lookup_value_regex = "aim_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "imported_at": Ordering(SortKey("imported_at"), SortKey("id"))
    }
    default_ordering = "-imported_at"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        if self.action == "list":
            return AuthorizationImportSerializer
        return AuthorizationImportDetailSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Read the problems of one import at once."""
        rows = super().get_queryset()
        return rows if self.action == "list" else rows.prefetch_related("problems")

    @operation(
        summary="Import authorizations",
        request={"multipart/form-data": SendAuthorizationsSerializer},
        responses={201: AuthorizationImportDetailSerializer},
        examples=_shown("import", _WITH_PROBLEMS),
    )
    def create(self, request: Request) -> Response:
        """Take all rows that can be taken, now, and say what is wrong with the others."""
        refuse_unknown(request, ())
        sent = SendAuthorizationsSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        file = sent.validated_data["file"]
        done = import_authorizations(
            current_tenant(),
            file.read(),
            name=file.name,
            actor=actor_of(request.user),
            now=timezone.now(),
            using=DEFAULT_DB_ALIAS,
        )
        return Response(self.get_serializer(done).data, status=status.HTTP_201_CREATED)


class LeadTimeSerializer(StrictTexts, serializers.ModelSerializer[LeadTime]):
    """Days that a payer needs to answer."""

    days = serializers.IntegerField(min_value=1, max_value=180)
    _links = LinksField(
        {
            "self": ("authorization-lead-time-detail", {"uid": "uid"}),
            "collection": ("authorization-lead-time-list", {}),
        }
    )

    class Meta:
        model = LeadTime
        fields = ("uid", "payer", "days", "_links")
        read_only_fields = ("uid", "_links")


@extend_schema_view(
    list=operation(summary="List lead times of payers", examples=_shown("lead time", _LEAD)),
    retrieve=operation(summary="Get a lead time", examples=_shown("lead time", _LEAD)),
    create=operation(summary="Add a lead time", examples=_shown("lead time", _LEAD)),
    update=operation(summary="Replace a lead time", examples=_shown("lead time", _LEAD)),
    partial_update=operation(summary="Change a lead time", examples=_shown("lead time", _LEAD)),
    destroy=operation(summary="Remove a lead time"),
)
class LeadTimeViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    ApiViewSet,
    TenantRowsView,
):
    """How long payers need; people are warned so long before an end."""

    tag = "authorizations"
    model = LeadTime
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    serializer_class = LeadTimeSerializer
    filterset_class = NoFilters
    lookup_value_regex = "ltm_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "payer": Ordering(SortKey("payer"), SortKey("id"))
    }
    default_ordering = "payer"

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save the one of a payer."""
        save_unique(serializer, "payer")

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save the one of a payer."""
        save_unique(serializer, "payer")


class CalendarAddressSerializer(serializers.Serializer[Any]):
    """Where a calendar is read."""

    path = serializers.CharField(help_text="A secret: whoever knows it reads the calendar.")
    expires_at = serializers.DateTimeField()


class CalendarView(TenantView):
    """The address of your calendar of ends."""

    tag = "authorizations"
    roles: ClassVar[Mapping[str, Role]] = READ

    @operation(
        operation_id="authorizations_calendar",
        summary="Get the address of your calendar",
        responses=CalendarAddressSerializer,
        examples=_shown("address", {"path": _FEED, "expires_at": "2027-04-12T09:30:00Z"}),
    )
    def get(self, request: Request) -> Response:
        """Return a signed address for calendar programs; it ends with your membership."""
        refuse_unknown(request, ())
        token = signing.dumps({"t": self.tenant.key, "u": str(request.user.pk)}, salt=_SALT)
        lasts = dt.timedelta(days=config().authorizations.calendar_days)
        body = {
            "path": link(request, "authorization-feed", token=token),
            "expires_at": timezone.now() + lasts,
        }
        return Response(CalendarAddressSerializer(body).data)


@require_safe
def show_calendar(request: HttpRequest, token: str) -> HttpResponse:
    """Answer a calendar program: the ends of live authorizations, without a patient or a number.

    404 where the address was altered, is too old, or is that of somebody who is no member any more.
    """
    del request
    days = config().authorizations.calendar_days
    try:
        told = signing.loads(token, salt=_SALT, max_age=dt.timedelta(days=days))
    except signing.BadSignature:
        return HttpResponseNotFound()
    member = (
        Membership.objects.filter(
            tenant__key=told["t"], user_id=told["u"], tenant__active=True, user__is_active=True
        )
        .select_related("tenant")
        .first()
    )
    if member is None:
        return HttpResponseNotFound()
    now = timezone.now()
    with enter(member.tenant):
        rows = Authorization.objects.filter(valid_until__gte=(now - _PAST).date(), renewal=None)
        entries = [entry for row in rows[:_MOST_ENTRIES] for entry in _entries(row)]
    raw = render_calendar(entries, name=f"{member.tenant.name}: authorizations", stamp=now)
    answer = HttpResponse(raw, content_type="text/calendar; charset=utf-8")
    answer["Cache-Control"] = "private, no-store"
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _entries(row: Authorization) -> list[CalendarEntry]:
    what = f"{row.payer} {row.procedure}"
    found = [
        CalendarEntry(
            uid=f"{row.uid}-expiry@claimkit",
            day=row.valid_until,
            summary=f"Authorization ends: {what}",
            description=row.uid,
        )
    ]
    likely = row.exhausted_likely
    if likely is not None and likely <= row.valid_until:
        found.append(
            CalendarEntry(
                uid=f"{row.uid}-exhaustion@claimkit",
                day=likely,
                summary=f"Units probably used up: {what}",
                description=row.uid,
            )
        )
    return found
