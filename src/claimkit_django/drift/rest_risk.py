"""The risk of claims that were not sent yet, over HTTP, and how good such numbers were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DEFAULT_DB_ALIAS
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from claimkit.drift.risk import calibrate
from claimkit.types import SystemClock, TenantKey
from claimkit_django.drift.risk import AskedClaim, name_asked, run_risk, tell_rules
from claimkit_django.rest.fields import MoneyField, RegexField, TextField
from claimkit_django.rest.filters import refuse_unknown
from claimkit_django.rest.parsers import JSON_ONLY
from claimkit_django.rest.schema import operation
from claimkit_django.runtime import open_store
from claimkit_django.tenants.rest import ANALYST_WRITES, READ, TenantView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

    from claimkit.drift.risk import RiskScore
    from claimkit.tenants import Role

__all__ = ["CalibrationView", "RiskView"]

#: Claims of one request, and of one whose scores rules shall see: each of these is an event.
_MOST_CLAIMS, _MOST_TOLD = 500, 100


class PlannedClaimSerializer(serializers.Serializer[Any]):
    """A claim that was not sent yet; nothing about a patient is asked for."""

    reference = RegexField(
        r"^[A-Za-z0-9._:-]{1,64}$",
        help_text="What you call it: letters, digits and `._:-`. Not a patient's name or number.",
    )
    payer = TextField(
        max_length=200, required=False, default="", help_text="As your files spell it."
    )
    payer_id = TextField(max_length=64, required=False, default="", help_text="Such as `PI:60054`.")
    procedure_code = TextField(max_length=16, required=False, default="")
    procedure_group = TextField(
        max_length=200, required=False, default="", help_text="Instead of the code's."
    )
    has_authorization = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Whether it states an authorization number; null where you do not say.",
    )
    charge = MoneyField(read_only=False, required=False, default=0)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for a payer: without one nothing can be said."""
        if not attrs["payer"] and not attrs["payer_id"]:
            raise exceptions.ValidationError(
                {"payer": ["name the payer, or its id"]}, "payer_missing"
            )
        return attrs


class AskRiskSerializer(serializers.Serializer[Any]):
    """Claims to score."""

    claims = PlannedClaimSerializer(  # type: ignore[call-arg]
        many=True, allow_empty=False, max_length=_MOST_CLAIMS
    )
    tell_rules = serializers.BooleanField(
        required=False,
        default=False,
        help_text=f"Let rules of automation act on the scores; at most {_MOST_TOLD} claims then.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse more events than one transaction should hold."""
        if attrs["tell_rules"] and len(attrs["claims"]) > _MOST_TOLD:
            raise exceptions.ValidationError(
                {"claims": [f"rules are told of {_MOST_TOLD} claims at a time"]}, "too_many_told"
            )
        return attrs


class CodeShareSerializer(serializers.Serializer[Any]):
    """Why such claims are denied."""

    code = serializers.CharField(help_text="Group and CARC, such as `CO-197`.")
    share = serializers.FloatField(help_text="Of their denials, 0 to 1.")


class RiskScoreSerializer(serializers.Serializer[Any]):
    """What is probable of one planned claim, and why."""

    reference = serializers.CharField(source="claim.reference")
    payer = serializers.CharField(source="claim.payer", help_text="As your claims have it.")
    procedure_group = serializers.CharField(source="claim.procedure_group")
    #: Words, not choices: the schema would name two enumerations "state" by chance.
    state = serializers.CharField(help_text="scored or too_little_history.")
    probability = serializers.FloatField(
        allow_null=True, help_text="Of a denial as the first decision, 0 to 1."
    )
    interval = serializers.ListField(
        child=serializers.FloatField(),
        allow_null=True,
        help_text="The rate of such claims lies in it with 90 %.",
    )
    confidence = serializers.FloatField(help_text="One less the length of the interval.")
    claims = serializers.IntegerField(help_text="Decisions about such claims.")
    denied = serializers.IntegerField()
    payer_claims = serializers.IntegerField(help_text="Decisions of the payer.")
    payer_denied = serializers.IntegerField()
    reasons = serializers.ListField(child=serializers.CharField())
    codes = serializers.SerializerMethodField(help_text="Most frequent first.")
    findings = serializers.ListField(
        child=serializers.CharField(), help_text="Fingerprints of open findings that count."
    )

    @extend_schema_field(CodeShareSerializer(many=True))
    def get_codes(self, score: RiskScore) -> list[dict[str, Any]]:
        """Return why such claims are denied."""
        return [{"code": code, "share": share} for code, share in score.codes]


class RiskReportSerializer(serializers.Serializer[Any]):
    """What is probable of planned claims, in their order."""

    as_of = serializers.DateField(help_text="Day of the last decision that was learned from.")
    scores = RiskScoreSerializer(many=True)


class ReliabilityBinSerializer(serializers.Serializer[Any]):
    """Claims of which much the same was said."""

    claims = serializers.IntegerField()
    denied = serializers.IntegerField()
    predicted = serializers.FloatField(help_text="Mean probability.")
    observed = serializers.FloatField(help_text="Share that was denied.")
    low = serializers.FloatField(help_text="95 % interval of it.")
    high = serializers.FloatField()


class CalibrationSerializer(serializers.Serializer[Any]):
    """Probabilities of the last twelve weeks beside what happened, and Murphy's parts of Brier's score."""

    first = serializers.DateField()
    last = serializers.DateField()
    claims = serializers.IntegerField()
    denied = serializers.IntegerField()
    brier = serializers.FloatField(help_text="Mean squared error, 0 is best.")
    reliability = serializers.FloatField(help_text="How far off what was said is, 0 is best.")
    resolution = serializers.FloatField(help_text="How much it tells claims apart.")
    uncertainty = serializers.FloatField(help_text="Of someone who knows the average alone.")
    within = serializers.FloatField(help_text="Lost by sorting into bins.")
    brier_of_average = serializers.FloatField()
    skill = serializers.FloatField(help_text="Part of the average's error that is saved.")
    bins = ReliabilityBinSerializer(many=True)


class CalibrationAnswerSerializer(serializers.Serializer[Any]):
    """A calibration, null with too little history."""

    calibration = CalibrationSerializer(allow_null=True)


_SCORED = OpenApiExample(
    "one claim",
    value={
        "as_of": "2026-04-06",
        "scores": [
            {
                "reference": "A-1007",
                "payer": "AETNA",
                "procedure_group": "imaging_mri",
                "state": "scored",
                "probability": 0.31,
                "interval": [0.25, 0.37],
                "confidence": 0.88,
                "claims": 412,
                "denied": 118,
                "payer_claims": 5210,
                "payer_denied": 471,
                "reasons": [
                    "AETNA denied 118 of 412 (28.6 %) imaging mri claims; of all its claims"
                    " 471 of 5,210 (9.0 %)",
                    "without an authorization number 96 of 190 (50.5 %) were denied, with one"
                    " 22 of 222 (9.9 %)",
                ],
                "codes": [{"code": "CO-197", "share": 0.81}],
                "findings": ["5f0c2a7d91"],
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)
_ASKED = OpenApiExample(
    "one claim",
    value={
        "claims": [
            {
                "reference": "A-1007",
                "payer": "Aetna",
                "procedure_code": "70551",
                "has_authorization": False,
                "charge": "1830.00",
            }
        ],
        "tell_rules": False,
    },
    request_only=True,
)
_CALIBRATED = OpenApiExample(
    "twelve weeks",
    value={
        "calibration": {
            "first": "2026-01-13",
            "last": "2026-04-06",
            "claims": 3611,
            "denied": 342,
            "brier": 0.0794,
            "reliability": 0.0003,
            "resolution": 0.0067,
            "uncertainty": 0.0857,
            "within": 0.0001,
            "brier_of_average": 0.0858,
            "skill": 0.075,
            "bins": [
                {
                    "claims": 361,
                    "denied": 11,
                    "predicted": 0.031,
                    "observed": 0.03,
                    "low": 0.017,
                    "high": 0.053,
                }
            ],
        }
    },
    response_only=True,
    status_codes=["200"],
)


class RiskView(TenantView):
    """How probable a denial of planned claims is; nothing of them is kept."""

    tag = "drift"
    parser_classes = JSON_ONLY
    roles: ClassVar[Mapping[str, Role]] = {
        name: role for name, role in ANALYST_WRITES.items() if name in {"POST", "OPTIONS"}
    }

    @operation(
        operation_id="drift_risk_create",
        summary="Score planned claims",
        request=AskRiskSerializer,
        responses={200: RiskReportSerializer},
        examples=[_ASKED, _SCORED],
    )
    def post(self, request: Request) -> Response:
        """Say how probable a denial of each claim is, from your own decisions, and why."""
        refuse_unknown(request, ())
        sent = AskRiskSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        asked = [
            AskedClaim(authorized=one.pop("has_authorization"), **one)
            for one in sent.validated_data["claims"]
        ]
        tenant = TenantKey(self.tenant.key)
        planned = name_asked(asked, tenant=tenant, tenant_id=self.tenant.pk, using=DEFAULT_DB_ALIAS)
        report = run_risk(planned, tenant=tenant)
        if sent.validated_data["tell_rules"]:
            tell_rules(report)
        return Response(RiskReportSerializer(report).data)


class CalibrationView(TenantView):
    """How good probabilities of denial were."""

    tag = "drift"
    validated_by = ("drift",)
    roles: ClassVar[Mapping[str, Role]] = READ

    @operation(
        operation_id="drift_risk_calibration",
        summary="Say how good risk scores were",
        responses=CalibrationAnswerSerializer,
        examples=[_CALIBRATED],
    )
    def get(self, request: Request) -> Response:
        """Foretell your last twelve weeks from what was decided before them, and compare."""
        refuse_unknown(request, ())
        found = calibrate(
            tenant=TenantKey(self.tenant.key), store=open_store(), clock=SystemClock()
        )
        return Response(CalibrationAnswerSerializer({"calibration": found}).data)
