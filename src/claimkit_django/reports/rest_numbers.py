"""Numbers of reports over HTTP: what each is made of, down to cells, files and claims."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS
from django.http import Http404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from claimkit.drift.cube import DECISIONS
from claimkit.reports.origins import CellOrigin, Method
from claimkit.tenants import current_tenant
from claimkit.types import date_of, day_of
from claimkit_django.rest.fields import MoneyField
from claimkit_django.rest.filters import refuse_unknown
from claimkit_django.rest.links import link
from claimkit_django.rest.schema import operation
from claimkit_django.runtime import open_store

if TYPE_CHECKING:
    from rest_framework.request import Request

    from claimkit.drift.cube import Cells
    from claimkit_django.reports.models import ReportRun
    from claimkit_django.runtime import OrmStore

__all__ = ["NumbersMixin"]

#: Cells and claims that are shown of one origin; their sums are over all.
_MOST_CELLS = 200
_MOST_CLAIMS = 100


class NumberSerializer(serializers.Serializer[Any]):
    """One number of a report."""

    id = serializers.CharField(help_text="The same for the same number of other periods.")
    label = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.CharField(help_text="money (cents), share, points, count, days or date.")
    value = serializers.JSONField(help_text="As the report tells it; a series is a list.")
    at = serializers.CharField(help_text="JSON Pointer into the report as JSON.")
    href = serializers.CharField(help_text="What it is made of.")


class NumbersSerializer(serializers.Serializer[Any]):
    """All numbers of a report, in its order."""

    report = serializers.CharField()
    numbers = NumberSerializer(many=True)


class CellSerializer(serializers.Serializer[Any]):
    """Decisions of one day that are alike."""

    decided_on = serializers.DateField()
    payer = serializers.CharField()
    procedure_group = serializers.CharField()
    outcome = serializers.CharField(help_text="`paid`, or the category of the denials.")
    claims = serializers.IntegerField()
    charge = MoneyField()
    allowed = MoneyField()
    paid = MoneyField()


class CountedClaimSerializer(serializers.Serializer[Any]):
    """A claim that is counted, and the row that told its first decision."""

    uid = serializers.CharField()
    decided_on = serializers.DateField()
    payer = serializers.CharField()
    procedure_group = serializers.CharField()
    outcome = serializers.CharField()
    charge = MoneyField()
    upload = serializers.CharField(help_text="Identifier of the file; empty if there was none.")
    row = serializers.IntegerField(help_text="Where it stands in the file.")
    href = serializers.CharField()


class CountedUploadSerializer(serializers.Serializer[Any]):
    """A file that the latest statement about counted claims came in."""

    uid = serializers.CharField()
    claims = serializers.IntegerField()
    href = serializers.CharField()


class OriginSerializer(serializers.Serializer[Any]):
    """One thing that a number is made of."""

    origin = serializers.DictField(help_text="Its type and what it asks for, as in the report.")
    finding = serializers.CharField(help_text="Fingerprint, where it is of a finding; else empty.")
    total = serializers.IntegerField(
        allow_null=True, help_text="Of its cells now; null where it has none."
    )
    cells = CellSerializer(many=True, help_text=f"The first {_MOST_CELLS}.")
    cells_total = serializers.IntegerField()
    claims = CountedClaimSerializer(many=True, help_text=f"The first {_MOST_CLAIMS}.")
    claims_total = serializers.IntegerField(allow_null=True)
    uploads = CountedUploadSerializer(many=True)


class NumberDetailSerializer(NumberSerializer):
    """One number, how it is made, and of what."""

    method = serializers.CharField(help_text=", ".join(one.value for one in Method))
    origins = OriginSerializer(many=True)


_NUMBER: dict[str, Any] = {
    "id": "num_5c1f0b7a9d3e2468",
    "label": "Decided",
    "kind": "count",
    "value": 100,
    "at": "/key_figures/4/value",
    "href": "/api/v1/reports/rpt_7r2c5m0k9v3t8x1q4w6y2b5d7f/numbers/num_5c1f0b7a9d3e2468/",
}
_CELL: dict[str, Any] = {
    "decided_on": "2026-03-01",
    "payer": "Aetna",
    "procedure_group": "imaging",
    "outcome": "paid",
    "claims": 100,
    "charge": "10000.00",
    "allowed": "8000.00",
    "paid": "8000.00",
}
_CLAIM: dict[str, Any] = {
    "uid": "clm_3k9v3t8x1q4w6",
    "decided_on": "2026-03-01",
    "payer": "Aetna",
    "procedure_group": "imaging",
    "outcome": "paid",
    "charge": "100.00",
    "upload": "upl_1q4w6y2b5d7f7r2c5m0k9v3t8x",
    "row": 812,
    "href": "/api/v1/claims/clm_3k9v3t8x1q4w6/",
}
_DETAIL: dict[str, Any] = {
    **_NUMBER,
    "method": "value",
    "origins": [
        {
            "origin": {
                "type": "CellOrigin",
                "measure": "claims",
                "first": "2026-03-01",
                "last": "2026-03-31",
                "payers": [],
                "procedure_groups": [],
                "outcome": "",
            },
            "finding": "",
            "total": 100,
            "cells": [_CELL],
            "cells_total": 1,
            "claims": [_CLAIM],
            "claims_total": 100,
            "uploads": [
                {
                    "uid": "upl_1q4w6y2b5d7f7r2c5m0k9v3t8x",
                    "claims": 100,
                    "href": "/api/v1/uploads/upl_1q4w6y2b5d7f7r2c5m0k9v3t8x/",
                }
            ],
        }
    ],
}


class NumbersMixin:
    """The actions on the numbers of a report."""

    @operation(
        operation_id="reports_numbers_list",
        summary="List the numbers of a report",
        responses=NumbersSerializer,
        examples=[
            OpenApiExample(
                "March",
                value={"report": "rpt_7r2c5m0k9v3t8x1q4w6y2b5d7f", "numbers": [_NUMBER]},
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    @action(detail=True, url_path="numbers", url_name="numbers", pagination_class=None)
    def numbers(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Return every number of the report as it was last made, with where it stands in it."""
        refuse_unknown(request, ())
        run: ReportRun = self.get_object()  # type: ignore[attr-defined]
        rows = [_number(request, run, one) for one in run.changes.get("numbers", ())]
        return Response(NumbersSerializer({"report": run.uid, "numbers": rows}).data)

    @operation(
        operation_id="reports_numbers_retrieve",
        summary="Trace a number of a report to cells, files and claims",
        parameters=[OpenApiParameter("number", str, OpenApiParameter.PATH, description="`num_…`")],
        responses=NumberDetailSerializer,
        examples=[
            OpenApiExample("decided", value=_DETAIL, response_only=True, status_codes=["200"])
        ],
    )
    @action(
        detail=True,
        url_path=r"numbers/(?P<number>num_[0-9a-f]{16})",
        url_name="number",
        pagination_class=None,
        # Claims and cells are as they are now.
        validated_by=("reports", "claims", "drift"),
    )
    def number(self, request: Request, uid: str, number: str) -> Response:  # noqa: ARG002
        """Return what a number is made of: the cells as they are now, the claims and the files.

        Cells may hold more than the report told: later files change what is known of its days.
        """
        refuse_unknown(request, ())
        run: ReportRun = self.get_object()  # type: ignore[attr-defined]
        told = next((one for one in run.changes.get("numbers", ()) if one["id"] == number), None)
        if told is None:
            raise Http404("the report has no such number")
        store = open_store(run._state.db or DEFAULT_DB_ALIAS)
        row = _number(request, run, told) | {
            "method": told["method"],
            "origins": [_origin(request, one, store) for one in told["origins"]],
        }
        return Response(NumberDetailSerializer(row).data)


def _number(request: Request, run: ReportRun, told: dict[str, Any]) -> dict[str, Any]:
    shown = {name: told[name] for name in ("id", "label", "kind", "value", "at")}
    return {**shown, "href": link(request, "report-number", uid=run.uid, number=told["id"])}


def _origin(request: Request, told: dict[str, Any], store: OrmStore) -> dict[str, Any]:
    found: dict[str, Any] = {
        "origin": told,
        "finding": told.get("fingerprint", ""),
        "total": None,
        "cells": [],
        "cells_total": 0,
        "claims": [],
        "claims_total": None,
        "uploads": [],
    }
    if told["type"] == "FileOrigin" and told["upload"]:
        found["uploads"] = [_upload(request, told["upload"], 0)]
    asked = told.get("cells") or told
    if asked["type"] != "CellOrigin":
        return found
    cells = _cell_origin(asked)
    return {**found, **_cells(cells, store), **_claims(request, cells, store)}


def _cell_origin(told: dict[str, Any]) -> CellOrigin:
    return CellOrigin(
        measure=told["measure"],
        first=dt.date.fromisoformat(told["first"]),
        last=dt.date.fromisoformat(told["last"]),
        payers=tuple(told["payers"]),
        procedure_groups=tuple(told["procedure_groups"]),
        outcome=told["outcome"],
    )


def _cells(asked: CellOrigin, store: OrmStore) -> dict[str, Any]:
    """Return the cells of an origin, and their sum; one query."""
    decisions = store.cube.read(
        current_tenant(), DECISIONS, since=day_of(asked.first), until=day_of(asked.last) + 1
    )
    rows = decisions.take(asked.mask(decisions))
    return {
        "total": int(rows.measures[asked.measure].sum()),
        "cells_total": len(rows),
        "cells": [_cell(rows, row) for row in range(min(len(rows), _MOST_CELLS))],
    }


def _cell(rows: Cells, row: int) -> dict[str, Any]:
    named = {
        axis: rows.names[axis][codes[row]]
        for axis, codes in rows.labels.items()
        if axis != "reason"
    }
    summed = {measure: int(column[row]) for measure, column in rows.measures.items()}
    return {**named, **summed, "decided_on": date_of(int(rows.numbers[DECISIONS.day][row]))}


def _claims(request: Request, asked: CellOrigin, store: OrmStore) -> dict[str, Any]:
    """Return the claims of an origin, where the site has the claims room."""
    if not store.has("behind"):
        return {}
    behind = store.behind.rows(
        first=asked.first,
        last=asked.last,
        payers=asked.payers,
        groups=asked.procedure_groups,
        outcome=asked.outcome,
        limit=_MOST_CLAIMS,
    )
    return {
        "claims_total": behind.total,
        "claims": [
            {**one._asdict(), "href": link(request, "claim-detail", uid=one.uid)}
            for one in behind.claims
        ],
        "uploads": [_upload(request, uid, count) for uid, count in behind.uploads if uid],
    }


def _upload(request: Request, uid: str, claims: int) -> dict[str, Any]:
    return {"uid": uid, "claims": claims, "href": link(request, "upload-detail", uid=uid)}
