"""The tenant's own settings of the watch over HTTP: detectors, dimensions, contracts, who is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from drf_spectacular.utils import OpenApiExample, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from claimkit.drift.cube import DECISIONS
from claimkit.drift.dimensions import DIMENSIONS
from claimkit.drift.power import PayerState, watched_payers
from claimkit.drift.reading import last_decision_day
from claimkit.errors import FileRefused, UnknownName
from claimkit.tenants import Role
from claimkit.types import SystemClock, TenantKey, date_of, day_of
from claimkit_django.drift.models import ContractRate
from claimkit_django.drift.tasks import queue_rebuild
from claimkit_django.drift.tenant_settings import choose, chosen, drift_config, import_contracts
from claimkit_django.rest.fields import MoneyField, SentFileField, TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import link
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.parsers import JSON_ONLY
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.runtime import open_store
from claimkit_django.tenants.directory import actor_of
from claimkit_django.tenants.rest import READ, TenantRowsView, TenantView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

__all__ = ["ContractViewSet", "DriftSettingsView", "WatchedPayersView"]

#: Largest file of contracts in bytes.
MAX_FILE_BYTES = 10_485_760
#: Days before the last decision that payers are judged by.
_REACH_DAYS = 400
_ADMIN_WRITES: Mapping[str, Role] = {**READ, **dict.fromkeys(("POST", "PUT"), Role.ADMIN)}


class DriftSettingsSerializer(serializers.Serializer[Any]):
    """What is watched, and by which further dimensions."""

    detectors = serializers.ListField(
        child=TextField(max_length=64),
        max_length=100,
        allow_null=True,
        help_text="Detectors in order; null: the site's.",
    )
    dimensions = serializers.ListField(
        child=TextField(max_length=64),
        max_length=100,
        allow_null=True,
        help_text=f"Some of {', '.join(DIMENSIONS)}; null: the site's.",
    )
    in_force = serializers.DictField(
        child=serializers.ListField(child=TextField()),
        read_only=True,
        help_text="What holds, with the site's settings where the tenant chose nothing.",
    )
    rebuilding = serializers.BooleanField(
        read_only=True, help_text="Whether the cube is made again because of this change."
    )


_SETTINGS = {
    "detectors": ["lattice", "volume", "payment", "contract", "partial_payment"],
    "dimensions": ["facility"],
    "in_force": {
        "detectors": ["lattice", "volume", "payment", "contract", "partial_payment"],
        "dimensions": ["facility"],
    },
    "rebuilding": False,
}
_SHOWN = OpenApiExample("settings", value=_SETTINGS, response_only=True, status_codes=["200"])


class DriftSettingsView(TenantView):
    """The tenant's settings of the watch."""

    tag = "drift"
    parser_classes = JSON_ONLY
    roles: ClassVar[Mapping[str, Role]] = _ADMIN_WRITES

    @operation(
        operation_id="drift_settings_retrieve",
        summary="Get what is watched",
        responses=DriftSettingsSerializer,
        examples=[_SHOWN],
    )
    def get(self, request: Request) -> Response:
        """Return the tenant's choice, and what holds."""
        refuse_unknown(request, ())
        return Response(_settings(TenantKey(self.tenant.key), rebuilding=False))

    @operation(
        operation_id="drift_settings_update",
        summary="Choose what is watched",
        request=DriftSettingsSerializer,
        responses=DriftSettingsSerializer,
        examples=[_SHOWN],
    )
    def put(self, request: Request) -> Response:
        """Keep the choice of detectors and dimensions; the cube is made again for other dimensions."""
        refuse_unknown(request, ())
        sent = DriftSettingsSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        tenant = TenantKey(self.tenant.key)
        try:
            rebuilding = choose(tenant, **sent.validated_data, actor=actor_of(request.user))
        except UnknownName as error:
            raise serializers.ValidationError(
                {"detail": [error.message]}, code=error.code
            ) from None
        if rebuilding:
            queue_rebuild(tenant)
        return Response(_settings(tenant, rebuilding=rebuilding))


def _settings(tenant: TenantKey, *, rebuilding: bool) -> dict[str, Any]:
    held = drift_config(tenant)
    return {
        **chosen(tenant),
        "in_force": {"detectors": list(held.detectors), "dimensions": list(held.dimensions)},
        "rebuilding": rebuilding,
    }


class WatchedPayerSerializer(serializers.Serializer[Any]):
    """How well one payer is watched."""

    payer = serializers.CharField()
    state = serializers.ChoiceField(choices=[(one.value, one.value) for one in PayerState])
    since = serializers.DateField(help_text="First decision that counts.")
    until = serializers.DateField(help_text="Last decision.")
    ready_on = serializers.DateField(
        allow_null=True, help_text="First day on which a finding is possible, while learning."
    )
    decisions = serializers.IntegerField(help_text="In the last 28 days.")
    denial_rate = serializers.FloatField()
    smallest_change = serializers.FloatField(
        allow_null=True,
        help_text="Smallest rise of the denial rate, 0 to 1, that 28 days show; null: none.",
    )


class WatchedPayersSerializer(serializers.Serializer[Any]):
    """All payers, and the day as of which they are judged."""

    as_of = serializers.DateField(allow_null=True)
    payers = WatchedPayerSerializer(many=True)


_PAYERS = OpenApiExample(
    "payers",
    value={
        "as_of": "2026-04-06",
        "payers": [
            {
                "payer": "Aetna",
                "state": "watched",
                "since": "2025-05-02",
                "until": "2026-04-06",
                "ready_on": None,
                "decisions": 417,
                "denial_rate": 0.0834,
                "smallest_change": 0.0512,
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)


class WatchedPayersView(TenantView):
    """What could be seen of each payer today, and who is still being learned."""

    tag = "drift"
    validated_by = ("drift",)

    @operation(
        operation_id="drift_payers_retrieve",
        summary="Get how well each payer is watched",
        responses=WatchedPayersSerializer,
        examples=[_PAYERS],
    )
    def get(self, request: Request) -> Response:
        """Return each payer's state and the smallest change that its volume shows, largest first."""
        refuse_unknown(request, ())
        tenant = TenantKey(self.tenant.key)
        today = day_of(SystemClock().now().date())
        cells = open_store().cube.read(tenant, DECISIONS, until=today + 1)
        last = last_decision_day(cells, today)
        day = cells.numbers[DECISIONS.day]
        cells = cells.take((day <= last) & (day > last - _REACH_DAYS))
        payers = watched_payers(cells, as_of=date_of(last), config=drift_config(tenant))
        body = {"as_of": date_of(last) if payers else None, "payers": payers}
        return Response(WatchedPayersSerializer(body).data)


class ContractRateSerializer(serializers.ModelSerializer[ContractRate]):
    """What one payer owes for one procedure."""

    allowed = MoneyField(allow_null=True)

    class Meta:
        model = ContractRate
        fields = (
            "payer",
            "procedure_code",
            "allowed",
            "percent_of_charge",
            "effective_from",
            "effective_until",
        )
        read_only_fields = fields


class ContractFilters(StrictFilterSet):
    """What rates can be filtered by."""

    payer = django_filters.CharFilter(help_text="Normalized name of the payer, exactly.")
    procedure_code = django_filters.CharFilter(help_text="Procedure code; `*` is any.")

    class Meta:
        model = ContractRate
        fields: ClassVar[list[str]] = []


class SendContractsSerializer(serializers.Serializer[Any]):
    """A file of contracts."""

    file = SentFileField(
        help_text="CSV: payer, procedure_code, allowed or percent_of_charge, effective_from, "
        "effective_until.",
        write_only=True,
    )

    def validate_file(self, file: Any) -> Any:
        """Refuse what is too large."""
        if file.size > MAX_FILE_BYTES:
            raise serializers.ValidationError(f"a file has at most {MAX_FILE_BYTES:,} bytes")
        return file


class RateProblemSerializer(serializers.Serializer[Any]):
    """One line that could not be taken."""

    line = serializers.IntegerField()
    field = serializers.CharField(source="field_name")
    message = serializers.CharField()
    remedy = serializers.CharField()


class ImportedContractsSerializer(serializers.Serializer[Any]):
    """What became of a file of contracts."""

    rates = serializers.IntegerField(help_text="Rates that were taken.")
    payers = serializers.ListField(
        child=serializers.CharField(), help_text="Payers whose former rates they replace."
    )
    problems = RateProblemSerializer(many=True)
    _links = serializers.DictField(child=serializers.CharField())


_RATE = OpenApiExample(
    "rate",
    value={
        "payer": "Aetna",
        "procedure_code": "99213",
        "allowed": "92.47",
        "percent_of_charge": None,
        "effective_from": "2026-01-01",
        "effective_until": None,
    },
    response_only=True,
    status_codes=["200"],
)
_IMPORTED = OpenApiExample(
    "imported",
    value={
        "rates": 212,
        "payers": ["Aetna"],
        "problems": [
            {
                "line": 17,
                "field": "allowed",
                "message": "allowed is no amount above zero",
                "remedy": "Write dollars, such as 182.40",
            }
        ],
        "_links": {"self": "/api/v1/drift/contracts/"},
    },
    response_only=True,
    status_codes=["201"],
)


@extend_schema_view(list=operation(summary="List contract rates", examples=[_RATE]))
class ContractViewSet(mixins.ListModelMixin, ApiViewSet, TenantRowsView):
    """What payers owe by contract."""

    tag = "drift"
    validated_by = ("drift",)
    model = ContractRate
    serializer_class = ContractRateSerializer
    filterset_class = ContractFilters
    parser_classes = (MultiPartParser,)
    roles: ClassVar[Mapping[str, Role]] = _ADMIN_WRITES
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "payer": Ordering(SortKey("payer"), SortKey("id"))
    }
    default_ordering = "payer"

    @operation(
        operation_id="drift_contracts_create",
        summary="Import contracts",
        request={"multipart/form-data": SendContractsSerializer},
        responses={201: ImportedContractsSerializer},
        examples=[_IMPORTED],
    )
    def create(self, request: Request) -> Response:
        """Put the rates of a file in the place of those that its payers had, and make the cube again.

        Lines that cannot be taken are told and keep no others out; payers that the file does not
        name keep their rates.
        """
        refuse_unknown(request, ())
        sent = SendContractsSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        tenant = TenantKey(self.tenant.key)
        try:
            text = sent.validated_data["file"].read().decode("utf-8-sig")
            found = import_contracts(tenant, text)
        except UnicodeDecodeError:
            told = "the file is no UTF-8"
            raise serializers.ValidationError({"file": [told]}, FileRefused.code) from None
        except FileRefused as error:
            raise serializers.ValidationError({"file": [error.message]}, error.code) from None
        queue_rebuild(tenant)
        problems = [
            {
                "line": one.line,
                "field_name": one.field,
                "message": one.message,
                "remedy": one.remedy,
            }
            for one in found.problems
        ]
        body = {
            "rates": len(found.rates),
            "payers": sorted({one.payer for one in found.rates}),
            "problems": problems,
            "_links": {"self": link(request, "contract-list")},
        }
        return Response(ImportedContractsSerializer(body).data, status=status.HTTP_201_CREATED)
