"""Alerts over HTTP: what is open, who deals with it, what people thought, what came back."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncMonth
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.alerts.judgments import Verdict, precision
from claimkit.errors import AlertConflict
from claimkit.tenants import Role
from claimkit_django.alerts import acts
from claimkit_django.alerts.models import Alert, AlertEntry, Judgment, Rule, SeverityChoices
from claimkit_django.rest.fields import MoneyField, SlugField, TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.problems import Conflict
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import ANALYST_WRITES, TenantRowsView, TenantView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

__all__ = ["AlertViewSet", "RecoveriesView"]

_LATELY = dt.timedelta(days=30)
_UID = "alr_3f8k1d6z0q5v9m2r7x4t1nyc8b"


class EntrySerializer(serializers.ModelSerializer[AlertEntry]):
    """One line of an alert's history."""

    class Meta:
        model = AlertEntry
        fields = ("at", "what", "reason", "by", "actor", "text")
        read_only_fields = fields


class JudgmentSerializer(serializers.ModelSerializer[Judgment]):
    """What one person thought."""

    recovered = MoneyField(allow_null=True)

    class Meta:
        model = Judgment
        fields = (
            *("verdict", "reason", "note", "actor", "judged_at", "recovered", "recovered_on"),
        )
        read_only_fields = fields


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """Something that people deal with."""

    dollars_per_month = MoneyField(help_text="Money at risk per 30 days.")
    _links = LinksField(
        {"self": ("alert-detail", {"uid": "uid"}), "collection": ("alert-list", {})}
    )

    class Meta:
        model = Alert
        fields = (
            *("uid", "state", "severity", "source", "kind", "payer", "summary", "onset"),
            *("dollars_per_month", "opened_at", "seen_at", "resolved_at", "count", "episode"),
            *("assignee", "due_on", "fingerprint", "dimensions", "figure", "rule"),
            *("inhibited_by", "_links"),
        )
        read_only_fields = fields


class AlertDetailSerializer(AlertSerializer):
    """An alert with its history: also why nobody was told."""

    history = EntrySerializer(many=True, read_only=True)
    judgments = JudgmentSerializer(many=True, read_only=True)

    class Meta(AlertSerializer.Meta):
        fields = (*AlertSerializer.Meta.fields, "history", "judgments")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class AssignSerializer(serializers.Serializer[Any]):
    """Who deals with it, and by when."""

    assignee = TextField(max_length=200, allow_blank=True)
    due_on = serializers.DateField(required=False, allow_null=True, default=None)


class CommentSerializer(serializers.Serializer[Any]):
    """What to write down."""

    text = TextField(max_length=2_000)


class JudgeSerializer(serializers.Serializer[Any]):
    """What somebody thinks of an alert."""

    verdict = serializers.ChoiceField(choices=Judgment.VerdictChoices.choices)
    reason = SlugField(max_length=64, required=False, default="", allow_blank=True)
    note = TextField(max_length=2_000, required=False, default="", allow_blank=True)
    recovered = MoneyField(read_only=False, required=False, allow_null=True, default=None)
    recovered_on = serializers.DateField(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse money without a day, a day without money, and money that was lost."""
        if (attrs["recovered"] is None) != (attrs["recovered_on"] is None):
            raise serializers.ValidationError(
                {"recovered_on": "recovered money needs the day, and a day needs the money"},
                code="inconsistent",
            )
        if attrs["recovered"] is not None and attrs["recovered"] < 0:
            raise serializers.ValidationError(
                {"recovered": "this is not negative"}, "amount_negative"
            )
        return attrs


class RecoveryMonthSerializer(serializers.Serializer[Any]):
    """Money that came back in one month."""

    month = serializers.DateField(help_text="First day of the month.")
    recovered = MoneyField()
    alerts = serializers.IntegerField()


class KindPrecisionSerializer(serializers.Serializer[Any]):
    """How often alerts of one kind were worth it."""

    kind = serializers.CharField()
    real = serializers.IntegerField()
    noise = serializers.IntegerField()
    precision = serializers.FloatField(
        allow_null=True, help_text="Share of judged alerts that were real."
    )


class RulePrecisionSerializer(serializers.Serializer[Any]):
    """How often alerts that one rule decided about were worth it."""

    rule = serializers.CharField(help_text="Uid of the rule, which may be gone.")
    name = serializers.CharField(allow_blank=True, help_text="Empty where the rule is gone.")
    real = serializers.IntegerField()
    noise = serializers.IntegerField()
    precision = serializers.FloatField(
        allow_null=True, help_text="Share of judged alerts that were real."
    )


class RecoveriesSerializer(serializers.Serializer[Any]):
    """What came of alerts."""

    recovered = MoneyField(help_text="In all.")
    last_30_days = MoneyField()
    months = RecoveryMonthSerializer(many=True)
    kinds = KindPrecisionSerializer(many=True)
    rules = RulePrecisionSerializer(many=True)


class AlertFilters(StrictFilterSet):
    """What alerts can be filtered by."""

    state = django_filters.ChoiceFilter(choices=Alert.State.choices)
    severity = django_filters.ChoiceFilter(choices=SeverityChoices.choices)
    kind = django_filters.CharFilter()
    payer = django_filters.CharFilter(help_text="Normalized name of the payer, exactly.")
    assignee = django_filters.CharFilter()
    opened_from = django_filters.IsoDateTimeFilter(field_name="opened_at", lookup_expr="gte")
    opened_to = django_filters.IsoDateTimeFilter(field_name="opened_at", lookup_expr="lt")

    class Meta:
        model = Alert
        fields: ClassVar[list[str]] = []


_ALERT: dict[str, Any] = {
    "uid": _UID,
    "state": "open",
    "severity": "high",
    "source": "drift",
    "kind": "denial_rate",
    "payer": "Aetna",
    "summary": "Aetna denies 21 % of MRI claims instead of 8 % since March 2, 2026.",
    "onset": "2026-03-02",
    "dollars_per_month": "48210.00",
    "opened_at": "2026-03-16T06:10:00Z",
    "seen_at": "2026-03-16T06:10:00Z",
    "resolved_at": None,
    "count": 1,
    "episode": 1,
    "assignee": "",
    "due_on": None,
    "fingerprint": "5f0c2a7d91",
    "dimensions": {"procedure_group": ["MRI"]},
    "figure": None,
    "rule": "",
    "inhibited_by": "",
    "_links": {"self": f"/api/v1/alerts/{_UID}/", "collection": "/api/v1/alerts/"},
}
_WHOLE: dict[str, Any] = {
    **_ALERT,
    "history": [
        {
            "at": "2026-03-16T06:10:00Z",
            "what": "notify",
            "reason": "first",
            "by": "rte_7m2r7x4t1nyc8b3f8k1d6z0q5v",
            "actor": "",
            "text": "",
        }
    ],
    "judgments": [],
}


def _shown(value: Any, name: str = "alert") -> list[OpenApiExample]:
    return [OpenApiExample(name, value=value, response_only=True, status_codes=["200"])]


_ACT: dict[str, Any] = {"responses": AlertDetailSerializer, "examples": _shown(_WHOLE)}


@extend_schema_view(
    list=operation(summary="List alerts", examples=_shown(_ALERT)),
    retrieve=operation(summary="Get an alert with its history", examples=_shown(_WHOLE)),
)
class AlertViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet, TenantRowsView):
    """What people deal with, the latest first."""

    tag = "alerts"
    model = Alert
    roles: ClassVar[Mapping[str, Role]] = ANALYST_WRITES
    filterset_class = AlertFilters
    lookup_value_regex = "alr_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "opened_at": Ordering(SortKey("opened_at"), SortKey("id"))
    }
    default_ordering = "-opened_at"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Return the short form for lists."""
        return AlertSerializer if self.action == "list" else AlertDetailSerializer

    def get_queryset(self) -> QuerySet[Any]:
        """Read the history of one alert at once."""
        rows = super().get_queryset()
        return rows if self.action == "list" else rows.prefetch_related("history", "judgments")

    @operation(summary="Acknowledge an alert", request=None, **_ACT)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, uid: str) -> Response:
        """Take the alert as your task; it is told again only if it becomes more severe."""
        return self._act(request, uid, None, acts.acknowledge)

    @operation(summary="Assign an alert", request=AssignSerializer, **_ACT)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, uid: str) -> Response:
        """Say who deals with the alert, and by when."""
        return self._act(request, uid, AssignSerializer, acts.assign)

    @operation(summary="Comment on an alert", request=CommentSerializer, **_ACT)
    @action(detail=True, methods=["post"])
    def comment(self, request: Request, uid: str) -> Response:
        """Write something down for others."""
        return self._act(request, uid, CommentSerializer, acts.comment)

    @operation(summary="Resolve an alert", request=None, **_ACT)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, uid: str) -> Response:
        """Say that the alert is over."""
        return self._act(request, uid, None, acts.resolve)

    @operation(summary="Judge an alert", request=JudgeSerializer, **_ACT)
    @action(detail=True, methods=["post"])
    def judge(self, request: Request, uid: str) -> Response:
        """Say whether the alert was real or noise, and what money came back.

        Noise mutes what is alike for some weeks if two people say so, or an admin.
        """
        is_decisive = self.role is not None and self.role.includes(Role.ADMIN)

        def act(uid: str, *, verdict: str, **values: Any) -> Alert:
            return acts.judge(uid, verdict=Verdict(verdict), is_decisive=is_decisive, **values)

        return self._act(request, uid, JudgeSerializer, act)

    def _act(
        self,
        request: Request,
        uid: str,
        form: type[serializers.Serializer[Any]] | None,
        act: Callable[..., Alert],
    ) -> Response:
        # First: what is wrong with a body must not tell whose alert it is.
        self.get_object()
        asked: dict[str, Any] = {}
        if form is not None:
            sent = form(data=request.data)
            sent.is_valid(raise_exception=True)
            asked = sent.validated_data
        try:
            act(uid, actor=actor_of(request.user), using=DEFAULT_DB_ALIAS, **asked)
        except AlertConflict as error:
            raise Conflict(str(error)) from None
        except Alert.DoesNotExist:
            raise Http404 from None
        return Response(self.get_serializer(self.get_object()).data)


class RecoveriesView(TenantView):
    """What came of alerts: money by month, and how often each kind was worth it."""

    tag = "alerts"

    @operation(
        operation_id="alerts_recoveries",
        summary="Get recovered money and precision",
        responses=RecoveriesSerializer,
        examples=_shown(
            {
                "recovered": "51200.00",
                "last_30_days": "51200.00",
                "months": [{"month": "2026-04-01", "recovered": "51200.00", "alerts": 2}],
                "kinds": [{"kind": "denial_rate", "real": 7, "noise": 1, "precision": 0.875}],
                "rules": [
                    {
                        "rule": "rul_7m2r7x4t1nyc8b3f8k1d6z0q5v",
                        "name": "Whatever costs more than a nurse",
                        "real": 3,
                        "noise": 0,
                        "precision": 1.0,
                    }
                ],
            },
            "recoveries",
        ),
    )
    def get(self, request: Request) -> Response:
        """Return the ledger of recoveries; five queries."""
        refuse_unknown(request, ())
        money = Judgment.objects.filter(recovered__isnull=False)
        months = list(
            money.annotate(month=TruncMonth("recovered_on"))
            .order_by("-month")
            .values("month")
            .annotate(total=Sum("recovered"), alerts=Count("alert", distinct=True))
        )
        lately = money.filter(recovered_on__gt=timezone.now().date() - _LATELY)
        names = dict(Rule.objects.values_list("uid", "name"))
        body = {
            "recovered": sum(one["total"] for one in months),
            "last_30_days": lately.aggregate(total=Sum("recovered", default=0))["total"],
            "months": [
                {"month": one["month"], "recovered": one["total"], "alerts": one["alerts"]}
                for one in months
            ],
            "kinds": [{"kind": kind, **told} for kind, told in _precision_by("kind")],
            "rules": [
                {"rule": uid, "name": names.get(uid, ""), **told}
                for uid, told in _precision_by("rule")
                if uid
            ],
        }
        return Response(RecoveriesSerializer(body).data)


def _precision_by(field: str) -> list[tuple[str, dict[str, float | None]]]:
    """Return how often alerts were real, by a field of theirs; one query."""
    counts = (
        Judgment.objects.order_by(f"alert__{field}")
        .values_list(f"alert__{field}")
        .annotate(
            real=Count("alert", distinct=True, filter=Q(verdict=Verdict.REAL.value)),
            noise=Count("alert", distinct=True, filter=Q(verdict=Verdict.NOISE.value)),
        )
    )
    return [
        (key, {"real": real, "noise": noise, "precision": precision(real, noise)})
        for key, real, noise in counts
    ]
