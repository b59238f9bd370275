"""Rules of automation over HTTP, with what they would have done."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_view
from rest_framework import exceptions, mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.automation.clashes import ClashKind, find_clashes
from claimkit.automation.facts import TRIGGERS, facts_of
from claimkit.automation.rules import Operator, find_circle
from claimkit.errors import ClaimkitError, RuleInvalid
from claimkit.tenants import Role, current_tenant
from claimkit_django.automation.engine import rule_of
from claimkit_django.automation.models import Execution, Rule
from claimkit_django.automation.rest import example
from claimkit_django.conf import config
from claimkit_django.rest.fields import PartSerializer, StrictTexts, TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.parsers import JSON_ONLY
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.runtime import past_events, plugins
from claimkit_django.tenants.rest import READ, TenantRowsView
from claimkit_django.tenants.turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

__all__ = ["AutomationRuleViewSet"]

_DAYS = 90
#: Lines of the log that are looked at, and events that are shown.
_MOST_LINES, _MOST_SHOWN = 5_000, 200
_FIELDS = ("name", "topic", "conditions", "action", "settings", "mode", "priority", "goes_on")


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string"},
            {"type": "number"},
            {"type": "array", "items": {"type": "string"}},
            {"type": "null"},
        ]
    }
)
class OperandField(serializers.Field[Any, Any, Any, Any]):
    """A text, a number, texts, or nothing."""

    def to_internal_value(self, data: Any) -> Any:
        """Take what an operand can be; which one the operator needs is checked with the rule."""
        texts = data if isinstance(data, list) else [data] if isinstance(data, str) else []
        is_plain = isinstance(data, (int, float, str)) and not isinstance(data, bool)
        if not (is_plain or isinstance(data, list)) or len(texts) > 200:
            raise serializers.ValidationError("an operand is a text, a number, or texts")
        if not all(isinstance(one, str) and len(one) <= 200 for one in texts):
            raise serializers.ValidationError("texts have at most 200 characters")
        return data

    def to_representation(self, value: Any) -> Any:
        """Return it as it was sent."""
        return value


class ConditionSerializer(PartSerializer):
    """One comparison of a fact."""

    fact = TextField(max_length=64)
    operator = serializers.ChoiceField(choices=[one.value for one in Operator])
    operand = OperandField(required=False, allow_null=True, default=None)


class AutomationRuleSerializer(StrictTexts, serializers.ModelSerializer[Rule]):
    """An event, conditions that all hold, and one action."""

    topic = serializers.ChoiceField(choices=sorted(TRIGGERS))
    conditions = ConditionSerializer(many=True, required=False)
    action = TextField(max_length=64, help_text="`create_task`, or one of a plugin.")
    settings = serializers.DictField(required=False, help_text="Of the action.")
    _links = LinksField(
        {
            "self": ("automation-rule-detail", {"uid": "uid"}),
            "collection": ("automation-rule-list", {}),
        }
    )

    class Meta:
        model = Rule
        fields = (
            *("uid", *_FIELDS, "max_per_hour", "ask_from_dollars", "ask_below_confidence"),
            *("failures", "rests_until"),
            *("created_at", "_links"),
        )
        read_only_fields = ("uid", "failures", "rests_until", "created_at", "_links")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "priority": {"min_value": 0, "max_value": 1_000_000},
            "max_per_hour": {"min_value": 0, "max_value": 100_000, "help_text": "0: no limit."},
            "ask_from_dollars": {"min_value": 0},
            "ask_below_confidence": {"min_value": 0, "max_value": 1},
        }

    def validate_conditions(self, conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Keep plain values, and refuse more than anybody reads."""
        if len(conditions) > 20:
            raise serializers.ValidationError("a rule has at most 20 conditions")
        return [dict(one) for one in conditions]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what cannot be compared, never holds, or cannot be done."""
        told = {
            name: attrs.get(name, getattr(self.instance, name, None) or default)
            for name, default in (
                *(("topic", ""), ("conditions", []), ("action", ""), ("settings", {})),
            )
        }
        try:
            rule_of(Rule(name="x", **told)).check()
        except ClaimkitError as error:
            raise serializers.ValidationError(
                {"conditions": [error.message]}, code=error.code
            ) from None
        known = plugins().actions
        if told["action"] not in known:
            raise serializers.ValidationError(
                {"action": [f"not one of {', '.join(sorted(known))}"]}, code="unknown_name"
            )
        topics = getattr(known[told["action"]], "topics", None)
        if topics is not None and told["topic"] not in topics:
            raise serializers.ValidationError(
                {"action": [f"goes with {', '.join(sorted(topics))} only"]}, code="action_unfit"
            )
        try:
            attrs["settings"] = dict(known[told["action"]].check(told["settings"]))
        except ClaimkitError as error:
            raise serializers.ValidationError(
                {"settings": [error.message]}, code=error.code
            ) from None
        return attrs


class FoundSerializer(serializers.Serializer[Any]):
    """An event of the past that the rule would have taken."""

    detected_on = serializers.DateField(help_text="When it was told, or would have been.")
    subject = serializers.CharField()
    payer = serializers.CharField()
    summary = serializers.CharField()


class RuleClashSerializer(serializers.Serializer[Any]):
    """Another rule that this one meets."""

    kind = serializers.CharField(
        help_text=f"{', '.join(one.value for one in ClashKind)}: what the other is to this one."
    )
    rule = serializers.CharField(source="rule.key")
    name = serializers.CharField(source="rule.name")


class AutomationPreviewSerializer(serializers.Serializer[Any]):
    """What a rule would have taken."""

    days = serializers.IntegerField()
    taken = serializers.IntegerField()
    events = serializers.IntegerField(help_text="What these days brought of the topic, in all.")
    findings = FoundSerializer(many=True)
    clashes = RuleClashSerializer(
        many=True,
        help_text="Rules that are not off and get in the way of this one, or it in theirs.",
    )


_SHOWN = example(
    "rules",
    "aur_7m2r7x4t1nyc8b3f8k1d6z0q5v",
    name="Dear ones",
    topic="drift.detected",
    conditions=[{"fact": "dollars_per_month", "operator": "at_least", "operand": 8000}],
    action="create_task",
    settings={"text": "Call the payer", "due_days": 3},
    mode="approval",
    priority=100,
    goes_on=True,
    max_per_hour=20,
    ask_from_dollars=None,
    ask_below_confidence=None,
    failures=0,
    rests_until=None,
    created_at="2026-04-12T09:30:00Z",
)
_PREVIEW = OpenApiExample(
    "preview",
    value={
        "days": 90,
        "taken": 1,
        "events": 3,
        "findings": [
            {
                "detected_on": "2026-03-16",
                "subject": "5f0c2a7d91",
                "payer": "AETNA",
                "summary": "AETNA denies 21 % of MRI claims instead of 8 % since March 2, 2026.",
            }
        ],
        "clashes": [
            {"kind": "is_held", "rule": "aur_2k8v4q1z7m3x9c5b6n0t", "name": "Look at Aetna first"}
        ],
    },
    response_only=True,
    status_codes=["200"],
)


@extend_schema_view(
    list=operation(summary="List rules of automation", examples=_SHOWN),
    retrieve=operation(summary="Get a rule of automation", examples=_SHOWN),
    create=operation(summary="Add a rule of automation", examples=_SHOWN),
    update=operation(summary="Replace a rule of automation", examples=_SHOWN),
    partial_update=operation(summary="Change a rule of automation", examples=_SHOWN),
    destroy=operation(summary="Remove a rule of automation"),
)
class AutomationRuleViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    ApiViewSet,
    TenantRowsView,
):
    """What happens when, by priority; what a rule did stays when it is removed."""

    tag = "automation"
    parser_classes = JSON_ONLY
    model = Rule
    roles: ClassVar[Mapping[str, Role]] = {
        **READ,
        **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), Role.ADMIN),
    }
    serializer_class = AutomationRuleSerializer
    filterset_class = StrictFilterSet
    lookup_value_regex = "aur_[0-9a-z]{1,28}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "priority": Ordering(SortKey("priority"), SortKey("id"))
    }
    default_ordering = "priority"

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save a rule that goes with the others."""
        _save(serializer)

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Save a rule that goes with the others; it is no longer resting."""
        _save(serializer, failures=0, rests_until=None)

    @operation(
        summary="Preview a rule of automation",
        request=AutomationRuleSerializer,
        responses=AutomationPreviewSerializer,
        examples=[_PREVIEW],
    )
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Say which events of the last 90 days a rule would have taken, and which rules it meets.

        Nothing is saved or done. A rule of the same name is the rule itself.
        """
        refuse_unknown(request, ())
        asked = AutomationRuleSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        rule = rule_of(Rule(**asked.validated_data))
        others = Rule.objects.filter(topic=rule.topic).exclude(name=rule.name)
        events = _past(rule.topic)
        taken = [one for one in events if rule.takes(one["facts"])]
        body = {
            "days": _DAYS,
            "taken": len(taken),
            "events": len(events),
            "findings": [
                {
                    "detected_on": one["at"].date(),
                    "subject": one["subject"],
                    "payer": one["facts"].get("payer") or "",
                    "summary": one["summary"],
                }
                for one in taken[:_MOST_SHOWN]
            ],
            "clashes": find_clashes(rule, map(rule_of, others.order_by("priority", "id"))),
        }
        return Response(AutomationPreviewSerializer(body).data)


def _save(serializer: serializers.BaseSerializer[Any], **values: Any) -> None:
    """Save a rule under a name that is free, unless rules would trigger each other for ever.

    Raises:
        ValidationError: they would, or there are too many, or the name is taken.
    """
    emits = {name: one.emits for name, one in plugins().actions.items()}
    try:
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            take_turn(current_tenant(), DEFAULT_DB_ALIAS)
            serializer.save(**values)
            rows = list(Rule.objects.all())
            if len(rows) > config().automation.max_rules:
                raise RuleInvalid("a tenant has no more rules than this", code="too_many_rules")
            circle = find_circle(map(rule_of, rows), emits)
            if circle:
                raise RuleInvalid(
                    f"rules would trigger each other for ever: {' → '.join(circle)}",
                    code="rule_triggers_itself",
                )
    except RuleInvalid as error:
        raise exceptions.ValidationError({"action": [error.message]}, code=error.code) from None
    except IntegrityError:
        raise exceptions.ValidationError({"name": ["it is taken"]}, code="unique") from None


def _past(topic: str) -> list[dict[str, Any]]:
    """Return what the last days brought of a topic: when, about what, and the facts.

    From the rooms that keep it; what none keeps, from the log of what rules saw.
    """
    events = past_events(topic, days=_DAYS, using=DEFAULT_DB_ALIAS)
    if events is not None:
        return [
            {
                "at": one.at,
                "subject": getattr(one, TRIGGERS[topic].subject),
                "facts": facts_of(one),
                "summary": getattr(one, "summary", ""),
            }
            for one in events
        ]
    since = timezone.now() - dt.timedelta(days=_DAYS)
    lines = Execution.objects.filter(topic=topic, step=0, at__gt=since).order_by("-at", "-id")
    seen = {one.event_key: one for one in lines[:_MOST_LINES]}
    return [
        {"at": one.at, "subject": one.subject, "facts": one.facts, "summary": ""}
        for one in seen.values()
    ]
