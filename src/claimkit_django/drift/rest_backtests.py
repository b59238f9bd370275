"""Backtests over HTTP: ask for one, follow it, read what past nights would have told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.response import Response

from claimkit.types import from_cents
from claimkit_django.drift.models import BacktestRun
from claimkit_django.drift.tasks import queue_backtest
from claimkit_django.rest.fields import StrictTexts
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

    from claimkit.tenants import Role

__all__ = ["BacktestViewSet"]


class BacktestFilters(StrictFilterSet):
    """What backtests can be filtered by."""

    status = django_filters.ChoiceFilter(choices=BacktestRun.Status.choices)

    class Meta:
        model = BacktestRun
        fields: ClassVar[list[str]] = []


class AskSerializer(StrictTexts, serializers.ModelSerializer[BacktestRun]):
    """Which nights to replay, and with which knowledge."""

    every_days = serializers.IntegerField(
        min_value=1,
        max_value=31,
        required=False,
        help_text="With the knowledge of then: days between two runs.",
    )

    class Meta:
        model = BacktestRun
        fields = ("start", "end", "knowledge", "every_days")
        extra_kwargs: ClassVar[dict[str, dict[str, Any]]] = {
            "start": {"help_text": "First night; a year before the last one by default."},
            "end": {"help_text": "Last night; the day of the last decision by default."},
            "knowledge": {
                "required": False,
                "help_text": "What each night knows: all that is known now, or what was then.",
            },
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse nights in the wrong order."""
        start, end = attrs.get("start"), attrs.get("end")
        if start and end and start > end:
            reversed_ = {"start": ["The first night is after the last one."]}
            raise exceptions.ValidationError(reversed_, code="inconsistent")
        return attrs


class BacktestMonthSerializer(serializers.Serializer[Any]):
    """What one month would have brought."""

    month = serializers.DateField(help_text="First day of the month.")
    nights = serializers.IntegerField()
    alerts = serializers.IntegerField()
    watch = serializers.IntegerField(help_text="Findings of the watch list.")
    resolved = serializers.IntegerField()


class BacktestPayerSerializer(serializers.Serializer[Any]):
    """How well one payer is watched at the end."""

    payer = serializers.CharField()
    #: Words, not choices: the schema would name two enumerations "state" by chance.
    state = serializers.CharField(help_text="watched, learning, sparse or silent.")
    decisions = serializers.IntegerField(help_text="In the last 28 days.")
    denial_rate = serializers.FloatField()
    smallest_change = serializers.FloatField(
        allow_null=True, help_text="Smallest rise of the denial rate that 28 days show; a share."
    )


class BacktestFindingSerializer(serializers.Serializer[Any]):
    """What one of the nights would have told."""

    detected_on = serializers.DateField(help_text="The night that would have told.")
    onset = serializers.DateField()
    ended = serializers.DateField(allow_null=True)
    signal = serializers.CharField()
    tier = serializers.CharField()
    severity = serializers.CharField()
    payer = serializers.CharField(source="segment.payer")
    procedure_groups = serializers.ListField(
        child=serializers.CharField(), source="segment.procedure_groups"
    )
    category = serializers.CharField(source="segment.category")
    effect = serializers.FloatField()
    unit = serializers.CharField()
    dollars_per_month = serializers.SerializerMethodField()
    summary = serializers.CharField()

    def get_dollars_per_month(self, finding: dict[str, Any]) -> str:
        """Return dollars as an exact decimal."""
        return str(from_cents(finding["dollars_per_month"]))


class BacktestSerializer(serializers.ModelSerializer[BacktestRun]):
    """One backtest and how far it is."""

    status = serializers.CharField(read_only=True, help_text="queued, running, success or failed.")
    error = serializers.SerializerMethodField()
    alerts_per_month = serializers.FloatField(
        allow_null=True, read_only=True, help_text="For 30.4 nights on which a payer was watched."
    )
    _links = LinksField(
        {"self": ("backtest-detail", {"uid": "uid"}), "collection": ("backtest-list", {})}
    )

    class Meta:
        model = BacktestRun
        fields = (
            "uid",
            "status",
            "percent",
            "start",
            "end",
            "knowledge",
            "every_days",
            "alerts",
            "alerts_per_month",
            "created_at",
            "finished_at",
            "error",
            "_links",
        )
        read_only_fields = fields

    @extend_schema_field(
        {
            "type": ["object", "null"],
            "required": ["code", "detail"],
            "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
        }
    )
    def get_error(self, run: BacktestRun) -> dict[str, str] | None:
        """Return why a failed backtest failed."""
        if not run.error_code:
            return None
        return {"code": run.error_code, "detail": run.error_message}


class BacktestDetailSerializer(BacktestSerializer):
    """A backtest with its result; empty lists until it is done."""

    watched_from = serializers.SerializerMethodField()
    months = serializers.SerializerMethodField()
    payers = serializers.SerializerMethodField()
    findings = serializers.SerializerMethodField()

    class Meta(BacktestSerializer.Meta):
        fields = (  # type: ignore[assignment]
            *BacktestSerializer.Meta.fields,
            "watched_from",
            "months",
            "payers",
            "findings",
        )
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field({"type": ["string", "null"], "format": "date"})
    def get_watched_from(self, run: BacktestRun) -> str | None:
        """Return the first night on which a payer could be watched."""
        watched: str | None = run.result.get("watched_from")
        return watched

    @extend_schema_field(BacktestMonthSerializer(many=True))
    def get_months(self, run: BacktestRun) -> Any:
        """Return each month."""
        return run.result.get("months", [])

    @extend_schema_field(BacktestPayerSerializer(many=True))
    def get_payers(self, run: BacktestRun) -> Any:
        """Return each payer, largest volume first."""
        return BacktestPayerSerializer(run.result.get("payers", []), many=True).data

    @extend_schema_field(BacktestFindingSerializer(many=True))
    def get_findings(self, run: BacktestRun) -> Any:
        """Return what would have been told, in order."""
        return BacktestFindingSerializer(run.result.get("findings", []), many=True).data


_RUN: dict[str, Any] = {
    "uid": "btr_7r2c5m0k9v3t8x1q4w6y2b5d7f",
    "status": "success",
    "percent": 100,
    "start": "2025-04-07",
    "end": "2026-04-06",
    "knowledge": "now",
    "every_days": 7,
    "alerts": 1,
    "alerts_per_month": 0.08,
    "created_at": "2026-04-07T06:00:00Z",
    "finished_at": "2026-04-07T06:00:04Z",
    "error": None,
    "_links": {
        "self": "/api/v1/drift/backtests/btr_7r2c5m0k9v3t8x1q4w6y2b5d7f/",
        "collection": "/api/v1/drift/backtests/",
    },
}
_RESULT: dict[str, Any] = {
    "watched_from": "2025-04-07",
    "months": [{"month": "2026-03-01", "nights": 31, "alerts": 1, "watch": 0, "resolved": 0}],
    "payers": [
        {
            "payer": "Aetna",
            "state": "watched",
            "decisions": 1412,
            "denial_rate": 0.09,
            "smallest_change": 0.047,
        }
    ],
    "findings": [
        {
            "detected_on": "2026-03-16",
            "onset": "2026-03-02",
            "ended": None,
            "signal": "denial_rate",
            "tier": "alert",
            "severity": "high",
            "payer": "Aetna",
            "procedure_groups": ["Imaging: MRI"],
            "category": "authorization_referral",
            "effect": 0.13,
            "unit": "share",
            "dollars_per_month": "48210.00",
            "summary": "Aetna denies 21 % of MRI claims instead of 8 % since March 2, 2026.",
        }
    ],
}
_ONE = OpenApiExample("done", value=_RUN, response_only=True, status_codes=["200"])
_WHOLE = OpenApiExample("done", value={**_RUN, **_RESULT}, response_only=True, status_codes=["200"])
_QUEUED = OpenApiExample(
    "queued",
    value={
        **_RUN,
        "status": "queued",
        "percent": 0,
        "start": None,
        "end": None,
        "alerts": None,
        "alerts_per_month": None,
        "finished_at": None,
        "watched_from": None,
        "months": [],
        "payers": [],
        "findings": [],
    },
    response_only=True,
    status_codes=["202"],
)


@extend_schema_view(
    list=operation(summary="List backtests", examples=[_ONE]),
    retrieve=operation(summary="Follow a backtest and read its result", examples=[_WHOLE]),
)
class BacktestViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """What past nights would have told, the latest asked for first."""

    tag = "drift"
    validated_by = ("drift",)
    model = BacktestRun
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    filterset_class = BacktestFilters
    lookup_value_regex = "btr_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "created_at": Ordering(SortKey("created_at"), SortKey("id"))
    }
    default_ordering = "-created_at"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        return BacktestSerializer if self.action == "list" else BacktestDetailSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Leave the result in the database where it is not shown."""
        rows = super().get_queryset()
        return rows.defer("result") if self.action == "list" else rows

    @operation(
        summary="Replay past nights",
        request=AskSerializer,
        responses={202: BacktestDetailSerializer},
        examples=[
            _QUEUED,
            OpenApiExample(
                "a quarter as known then",
                value={"start": "2026-01-01", "end": "2026-03-31", "knowledge": "then"},
                request_only=True,
            ),
        ],
    )
    def create(self, request: Request) -> Response:
        """Queue a backtest; `Location` says where to follow it. It changes nothing else."""
        refuse_unknown(request, ())
        asked = AskSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = BacktestRun.objects.create(**asked.validated_data, actor=actor_of(request.user))
        queue_backtest(run)
        body = self.get_serializer(run).data
        return Response(
            body,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": body["_links"]["self"], "Cache-Control": "no-store"},
        )
