"""Rules of alerts over HTTP, with what they would have done."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import exceptions, mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.alerts import lifecycle
from claimkit.alerts.rules import METRICS
from claimkit.drift.backtest import backtest
from claimkit.drift.findings import Tier
from claimkit.tenants import current_tenant
from claimkit.types import SystemClock
from claimkit_django.alerts.models import Rule
from claimkit_django.alerts.rest_routing import (
    READ_BY_ALL,
    NoFilters,
    kinds_field,
    payers_field,
    save_named,
)
from claimkit_django.alerts.rows import rule_of
from claimkit_django.conf import config
from claimkit_django.rest.filters import Ordering, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.runtime import open_store, plugins
from claimkit_django.tenants.rest import TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

    from claimkit.drift.findings import Finding
    from claimkit.tenants import Role

__all__ = ["RuleViewSet"]

_DAYS = 90


class AlertRuleSerializer(serializers.ModelSerializer[Rule]):
    """Which signals become alerts, and how severe they are."""

    payers = payers_field()
    kinds = kinds_field()
    metric = serializers.ChoiceField(choices=sorted(METRICS))
    _links = LinksField(
        {"self": ("alert-rule-detail", {"uid": "uid"}), "collection": ("alert-rule-list", {})}
    )

    class Meta:
        model = Rule
        fields = (
            *("uid", "name", "priority", "enabled", "payers", "kinds", "metric", "comparison"),
            *("threshold", "severity", "created_at", "_links"),
        )
        read_only_fields = ("uid", "created_at", "_links")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "severity": {"help_text": "Empty: no alert."},
            "priority": {"min_value": 0, "max_value": 1_000_000},
        }


class FiredSerializer(serializers.Serializer[Any]):
    """A drift of the past that the rule would have decided about."""

    detected_on = serializers.DateField()
    onset = serializers.DateField()
    payer = serializers.CharField()
    kind = serializers.CharField()
    summary = serializers.CharField()
    rated = serializers.CharField(help_text="Severity without the rule.")


class AlertRulePreviewSerializer(serializers.Serializer[Any]):
    """What a rule would have done."""

    days = serializers.IntegerField()
    fired = serializers.IntegerField()
    alerts = serializers.IntegerField(help_text="Drifts that were told in these days, in all.")
    findings = FiredSerializer(many=True)


_RULE = OpenApiExample(
    "rule",
    value={
        "uid": "rul_7m2r7x4t1nyc8b3f8k1d6z0q5v",
        "name": "Whatever costs more than a nurse",
        "priority": 100,
        "enabled": True,
        "payers": [],
        "kinds": ["denial_rate"],
        "metric": "dollars_per_month",
        "comparison": "at_least",
        "threshold": "8000.00",
        "severity": "critical",
        "created_at": "2026-04-12T09:30:00Z",
        "_links": {
            "self": "/api/v1/alerts/rules/rul_7m2r7x4t1nyc8b3f8k1d6z0q5v/",
            "collection": "/api/v1/alerts/rules/",
        },
    },
    response_only=True,
    status_codes=["200", "201"],
)
_PREVIEW = OpenApiExample(
    "preview",
    value={
        "days": 90,
        "fired": 1,
        "alerts": 3,
        "findings": [
            {
                "detected_on": "2026-03-16",
                "onset": "2026-03-02",
                "payer": "Aetna",
                "kind": "denial_rate",
                "summary": "Aetna denies 21 % of MRI claims instead of 8 % since March 2, 2026.",
                "rated": "high",
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)


@extend_schema_view(
    list=operation(summary="List rules of alerts", examples=[_RULE]),
    retrieve=operation(summary="Get a rule of alerts", examples=[_RULE]),
    create=operation(summary="Add a rule of alerts", examples=[_RULE]),
    update=operation(summary="Replace a rule of alerts", examples=[_RULE]),
    partial_update=operation(summary="Change a rule of alerts", examples=[_RULE]),
    destroy=operation(summary="Remove a rule of alerts"),
)
class RuleViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    ApiViewSet,
    TenantRowsView,
):
    """How severe alerts are, and what opens none; the first that takes a signal decides."""

    tag = "alerts"
    model = Rule
    roles: ClassVar[Mapping[str, Role]] = READ_BY_ALL
    #: A preview replays three months.
    rates: ClassVar[Mapping[str, str]] = {"POST": "60/1h"}
    serializer_class = AlertRuleSerializer
    filterset_class = NoFilters
    lookup_value_regex = "rul_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "priority": Ordering(SortKey("priority"), SortKey("id"))
    }
    default_ordering = "priority"

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save a rule under a name that is free."""
        save_named(serializer)

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save a rule under its name or another one that is free."""
        save_named(serializer)

    @operation(
        summary="Preview a rule",
        request=AlertRuleSerializer,
        responses=AlertRulePreviewSerializer,
        examples=[_PREVIEW],
    )
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Say what a rule would have decided about in the last 90 days; nothing is saved."""
        refuse_unknown(request, ())
        asked = AlertRuleSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        rule = rule_of(Rule(**asked.validated_data))
        told = _told_lately()
        fired = [one for one in told if rule.takes(_signal_of(one))]
        body = {
            "days": _DAYS,
            "fired": len(fired),
            "alerts": len(told),
            "findings": [
                {
                    "detected_on": one.detected_on,
                    "onset": one.onset,
                    "payer": one.segment.payer,
                    "kind": one.signal.value,
                    "summary": one.summary,
                    "rated": one.severity.value,
                }
                for one in fired
            ],
        }
        return Response(AlertRulePreviewSerializer(body).data)


def _told_lately() -> list[Finding]:
    """Return the alerts that the last nights would have told, from the tenant's own cube."""
    store = open_store()
    if not store.has("cube"):
        raise exceptions.ValidationError("nothing of the past is known without the drift room")
    result = backtest(
        tenant=current_tenant(),
        store=store,
        detectors=plugins().detectors,
        config=config().drift,
        clock=SystemClock(),
    )
    since = result.end - dt.timedelta(days=_DAYS)
    return [
        one
        for one in result.findings
        if one.tier is Tier.ALERT and one.detected_on is not None and one.detected_on > since
    ]


def _signal_of(finding: Finding) -> lifecycle.AlertSignal:
    return lifecycle.AlertSignal(
        fingerprint=finding.fingerprint,
        is_firing=True,
        severity=finding.severity,
        at=dt.datetime.combine(finding.detected_on or finding.as_of, dt.time(), dt.UTC),
        subject=lifecycle.Subject(
            source="drift",
            kind=finding.signal.value,
            payer=finding.segment.payer,
            summary=finding.summary,
            onset=finding.onset,
            dollars_per_month=finding.dollars_per_month,
        ),
    )
