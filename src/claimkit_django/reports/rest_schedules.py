"""Schedules of reports over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import IntegrityError, transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.response import Response

from claimkit.errors import ClaimkitError
from claimkit.reports.periods import Calendar, PeriodKind
from claimkit.tenants import Role
from claimkit_django.reports.models import ReportSchedule
from claimkit_django.reports.rest import formats_field, recipients_field, refused
from claimkit_django.reports.runs import check_formats
from claimkit_django.reports.schedules import next_due
from claimkit_django.rest.conditional import IF_MATCH, content_etag, require_match
from claimkit_django.rest.fields import StrictTexts
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.problems import Conflict
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.rest import READ, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

__all__ = ["ScheduleViewSet"]

_KINDS = [one.value for one in PeriodKind if one is not PeriodKind.CUSTOM]
#: A report that is so late was missed.
_GRACE = dt.timedelta(hours=1)


class ScheduleFilters(StrictFilterSet):
    """Nothing to filter by: there is one of a kind."""


class ScheduleSerializer(StrictTexts, serializers.ModelSerializer[ReportSchedule]):
    """Which reports are made by themselves, when, and who gets them."""

    kind = serializers.ChoiceField(choices=_KINDS)
    formats = formats_field()
    recipients = recipients_field()
    next_due_at = serializers.SerializerMethodField()
    is_overdue = serializers.SerializerMethodField(
        help_text="Whether it should have been made an hour ago: no worker runs, or none can."
    )
    _links = LinksField(
        {
            "self": ("report-schedule-detail", {"uid": "uid"}),
            "collection": ("report-schedule-list", {}),
        }
    )

    class Meta:
        model = ReportSchedule
        fields = (
            *("uid", "kind", "at", "after_days", "formats", "recipients", "attach", "enabled"),
            *("catch_up", "done_until", "next_due_at", "is_overdue", "created_at", "_links"),
        )
        read_only_fields = ("uid", "done_until", "created_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "at": {"help_text": "HH:MM on a clock in the tenant's time zone."},
            "after_days": {
                "min_value": 1,
                "max_value": 28,
                "help_text": "Days after the last day of the period.",
            },
            "catch_up": {
                "min_value": 1,
                "max_value": 52,
                "help_text": "How many periods are caught up after an outage.",
            },
        }

    @extend_schema_field({"type": ["string", "null"], "format": "date-time"})
    def get_next_due_at(self, schedule: ReportSchedule) -> dt.datetime | None:
        """Return when the next report is due; null where the tenant's time zone does not exist."""
        try:
            return next_due(schedule, schedule.tenant, timezone.now())
        except ClaimkitError:
            return None

    def get_is_overdue(self, schedule: ReportSchedule) -> bool:
        """Whether the next report is late."""
        due = self.get_next_due_at(schedule)
        return schedule.enabled and (due is None or due + _GRACE < timezone.now())

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse times and formats that are none."""
        try:
            Calendar(
                kind=PeriodKind(attrs.get("kind", getattr(self.instance, "kind", "weekly"))),
                at=attrs.get("at", "06:00"),
            )
        except ClaimkitError as error:
            raise refused("at", error) from None
        try:
            check_formats(attrs.get("formats", ()))
        except ClaimkitError as error:
            raise refused("formats", error) from None
        return attrs


_UID = "sch_7r2c5m0k9v3t8x1q4w6y2b5d7f"
_SHOWN = {
    "uid": _UID,
    "kind": "monthly",
    "at": "06:00",
    "after_days": 3,
    "formats": ["pdf", "xlsx"],
    "recipients": ["cfo@example.org"],
    "attach": True,
    "enabled": True,
    "catch_up": 3,
    "done_until": "2026-03-31",
    "next_due_at": "2026-05-03T10:00:00Z",
    "is_overdue": False,
    "created_at": "2026-01-12T09:30:00Z",
    "_links": {
        "self": f"/api/v1/reports/schedules/{_UID}/",
        "collection": "/api/v1/reports/schedules/",
    },
}
_EXAMPLES = [
    OpenApiExample("monthly", value=_SHOWN, response_only=True, status_codes=["200", "201"])
]


@extend_schema_view(
    list=operation(summary="List schedules of reports", examples=_EXAMPLES),
    destroy=operation(summary="Remove a schedule of reports"),
)
class ScheduleViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, ApiViewSet, TenantRowsView):
    """Reports that are made by themselves; everybody reads, admins write."""

    tag = "reports"
    model = ReportSchedule
    roles: ClassVar[Mapping[str, Role]] = {
        **READ,
        **dict.fromkeys(("POST", "PATCH", "DELETE"), Role.ADMIN),
    }
    serializer_class = ScheduleSerializer
    filterset_class = ScheduleFilters
    lookup_value_regex = "sch_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {"kind": Ordering(SortKey("kind"), SortKey("id"))}
    default_ordering = "kind"

    def get_queryset(self) -> Any:
        """Return the rows with their tenant, whose time zone says when they are due."""
        return super().get_queryset().select_related("tenant")

    def request_headers(self, method: str) -> dict[str, str]:
        """Add the header that makes a change safe."""
        headers = super().request_headers(method)
        return headers | IF_MATCH if method == "PATCH" else headers

    @operation(summary="Get a schedule of reports", examples=_EXAMPLES)
    def retrieve(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Return one schedule, and when its next report is due."""
        refuse_unknown(request, ())
        return self._answer(self.get_object())

    @operation(
        summary="Add a schedule of reports",
        request=ScheduleSerializer,
        responses={201: ScheduleSerializer},
        examples=_EXAMPLES,
    )
    def create(self, request: Request) -> Response:
        """Have a kind of report made by itself; its first report is of the latest period."""
        refuse_unknown(request, ())
        sent = self.get_serializer(data=request.data)
        sent.is_valid(raise_exception=True)
        try:
            with transaction.atomic():
                sent.save()
        except IntegrityError:
            raise Conflict("there is a schedule of this kind already; change it") from None
        return self._answer(sent.instance, status.HTTP_201_CREATED)

    @operation(
        summary="Change a schedule of reports",
        request=ScheduleSerializer,
        responses=ScheduleSerializer,
        examples=_EXAMPLES,
    )
    def partial_update(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Change what is sent; `If-Match` keeps others' changes."""
        refuse_unknown(request, ())
        with transaction.atomic():
            # Its tenant is joined for the time zone; only the schedule is locked.
            row = self.get_object()
            row = self.get_queryset().select_for_update(of=("self",)).get(pk=row.pk)
            require_match(request, _etag_of(row))
            sent = self.get_serializer(row, data=request.data, partial=True)
            sent.is_valid(raise_exception=True)
            try:
                with transaction.atomic():
                    sent.save()
            except IntegrityError:
                raise Conflict("there is a schedule of this kind already") from None
        return self._answer(row)

    def _answer(self, row: Any, code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(row).data, status=code, headers={"ETag": _etag_of(row)})


def _etag_of(row: ReportSchedule) -> str:
    return content_etag(row.uid, row.updated_at.isoformat())
