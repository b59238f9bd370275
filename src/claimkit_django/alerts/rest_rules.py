"""Rules of alerts over HTTP, with what they would have done."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.alerts import lifecycle, rules
from claimkit.alerts.rules import METRICS
from claimkit.drift.backtest import backtest
from claimkit.drift.findings import Tier
from claimkit.errors import ConfigError
from claimkit.tenants import current_tenant
from claimkit.types import SystemClock
from claimkit_django.alerts.board import DRIFT, PREVIEW_DAYS
from claimkit_django.alerts.models import Rule, Signal
from claimkit_django.alerts.rest_parts import (
    KINDS_OF_DRIFT,
    READ_BY_ALL,
    GuardedWrites,
    NoFilters,
    dimensions_field,
    kinds_field,
    payers_field,
)
from claimkit_django.alerts.rows import rule_of, signal_of
from claimkit_django.conf import config
from claimkit_django.rest.fields import StrictTexts
from claimkit_django.rest.filters import Ordering, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.parsers import JSON_ONLY
from claimkit_django.rest.schema import operation
from claimkit_django.runtime import open_store, plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

    from claimkit.drift.findings import Finding
    from claimkit.tenants import Role

__all__ = ["RuleViewSet"]


class AlertRuleSerializer(StrictTexts, serializers.ModelSerializer[Rule]):
    """Which signals become alerts, and how severe they are."""

    payers = payers_field()
    kinds = kinds_field()
    dimensions = dimensions_field()
    metric = serializers.ChoiceField(choices=sorted(METRICS))
    _links = LinksField(
        {"self": ("alert-rule-detail", {"uid": "uid"}), "collection": ("alert-rule-list", {})}
    )

    class Meta:
        model = Rule
        fields = (
            *("uid", "name", "priority", "enabled", "payers", "kinds", "dimensions", "metric"),
            *("comparison", "threshold", "clear_threshold", "severity", "created_at", "_links"),
        )
        read_only_fields = ("uid", "created_at", "_links")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "severity": {"help_text": "Empty: no alert."},
            "clear_threshold": {"help_text": "Until here an alert of the rule stays one."},
            "priority": {"min_value": 0, "max_value": 1_000_000},
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a clear threshold that is harder to reach than the threshold."""
        names = ("metric", "comparison", "threshold", "clear_threshold")
        values = {name: attrs.get(name, getattr(self.instance, name, None)) for name in names}
        try:
            rule_of(Rule(**values))
        except ConfigError as error:
            raise serializers.ValidationError(
                {"clear_threshold": error.message}, code=error.code
            ) from None
        return attrs


class FiredSerializer(serializers.Serializer[Any]):
    """Something of the past that the rule would have decided about."""

    detected_on = serializers.DateField()
    onset = serializers.DateField(allow_null=True)
    payer = serializers.CharField()
    kind = serializers.CharField()
    summary = serializers.CharField()
    rated = serializers.CharField(help_text="Severity without the rule.")


class AlertRulePreviewSerializer(serializers.Serializer[Any]):
    """What a rule would have done."""

    days = serializers.IntegerField()
    fired = serializers.IntegerField()
    alerts = serializers.IntegerField(help_text="What was reported in these days, in all.")
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
        "dimensions": {},
        "metric": "dollars_per_month",
        "comparison": "at_least",
        "threshold": "8000.00",
        "clear_threshold": None,
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
class RuleViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, GuardedWrites):
    """How severe alerts are, and what opens none; the first that takes a signal decides."""

    tag = "alerts"
    parser_classes = JSON_ONLY
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
        told = _reported(rule)
        fired = _fired(rule, told)
        body = {
            "days": PREVIEW_DAYS,
            "fired": len(fired),
            "alerts": len(told),
            "findings": [
                {
                    "detected_on": one.at.date(),
                    "onset": one.subject.onset,
                    "payer": one.subject.payer,
                    "kind": one.subject.kind,
                    "summary": one.subject.summary,
                    "rated": one.severity.value,
                }
                for one in fired
            ],
        }
        return Response(AlertRulePreviewSerializer(body).data)


def _reported(rule: rules.Rule) -> list[lifecycle.AlertSignal]:
    """Return what was reported lately, the oldest first: drifts are computed again, others were kept."""
    since = timezone.now() - dt.timedelta(days=PREVIEW_DAYS)
    rows = Signal.objects.filter(at__gt=since, is_firing=True).order_by("at", "id")
    kept = [signal_of(one) for one in rows]
    if rule.match.kinds and rule.match.kinds.isdisjoint(KINDS_OF_DRIFT):
        return kept
    return sorted([*kept, *map(_signal_of, _told_lately())], key=lambda one: one.at)


def _fired(rule: rules.Rule, told: list[lifecycle.AlertSignal]) -> list[lifecycle.AlertSignal]:
    """Return the signals that the rule decides about, each incident with what is held of it."""
    held: set[str] = set()
    fired = []
    for one in told:
        if rule.takes(one, is_held=one.fingerprint in held):
            held.add(one.fingerprint)
            fired.append(one)
        else:
            held.discard(one.fingerprint)
    return fired


def _told_lately() -> list[Finding]:
    """Return the alerts that the last nights would have told, from the tenant's own cube."""
    store = open_store()
    if not store.has("cube"):
        return []
    result = backtest(
        tenant=current_tenant(),
        store=store,
        detectors=plugins().detectors,
        config=config().drift,
        clock=SystemClock(),
    )
    since = result.end - dt.timedelta(days=PREVIEW_DAYS)
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
            source=DRIFT,
            kind=finding.signal.value,
            payer=finding.segment.payer,
            summary=finding.summary,
            onset=finding.onset,
            dollars_per_month=finding.dollars_per_month,
            dimensions=finding.segment.dimensions,
        ),
    )
