"""Claims of an EHR over HTTP: FHIR R4 as a resource, a Bundle or NDJSON, sent with a token or signed.

The body goes to storage like an uploaded file, unparsed, and through the same import; nothing of it is in a log, a
task or an answer. What became of each item is told by an OperationOutcome.
"""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import exceptions, serializers, status
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from claimkit.claims.readers import SNIFF_BYTES, Confidence
from claimkit.errors import FileRefused
from claimkit.tenants import Role
from claimkit_django.claims.models import RejectedRow, Upload
from claimkit_django.claims.rest_uploads import ProgressSerializer
from claimkit_django.claims.senders import find_sender
from claimkit_django.claims.tasks import queue_import
from claimkit_django.conf import config
from claimkit_django.rest.filters import refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.problems import Unavailable
from claimkit_django.rest.schema import operation
from claimkit_django.runtime import plugins
from claimkit_django.tenants.directory import actor_of, describe_actor
from claimkit_django.tenants.rest import ANALYST_WRITES, READ, TenantView
from claimkit_django.tenants.scope import enter
from claimkit_django.trail import acting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

__all__ = ["FhirIntakeView", "FhirStatusView", "SignedFhirIntakeView"]

_READER = "fhir"
_IN_MEMORY = 1 << 20
_CHUNK = 1 << 18
#: Items that one outcome tells of; the repair file has all.
_MOST_ISSUES = 1_000
_JSON, _NDJSON = "application/fhir+json", "application/fhir+ndjson"


class _FhirParser(BaseParser):
    """Keeps the body as a file, without looking into it."""

    media_type = _JSON

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return a form whose ``file`` is the body.

        Raises:
            RequestDataTooBig: longer than ``CLAIMKIT["CLAIMS"]["MAX_INTAKE_BYTES"]``.
        """
        limit, size = config().claims.max_intake_bytes, 0
        kept = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                kept.close()
                raise RequestDataTooBig(f"more than {limit} bytes")
            kept.write(chunk)
        kept.seek(0)
        name = "intake.ndjson" if "ndjson" in (media_type or "") else "intake.json"
        file = UploadedFile(cast("Any", kept), name, media_type, size)
        # Closed when Django closes the request, as files of forms are.
        sent: Any = (parser_context or {})["request"]._request
        sent._files = MultiValueDict({"file": [file]})
        form: Any = QueryDict(mutable=True)
        form.setlist("file", [file])
        return form


class _JsonParser(_FhirParser):
    media_type = "application/json"


class _NdjsonParser(_FhirParser):
    media_type = _NDJSON


class _PlainNdjsonParser(_FhirParser):
    media_type = "application/x-ndjson"


class _FhirRenderer(JSONRenderer):
    """JSON for clients that accept FHIR only."""

    media_type = _JSON
    format = "fhir"


class IssueSerializer(serializers.Serializer[Any]):
    """One item that was not taken, or what holds for all."""

    severity = serializers.CharField(help_text="fatal, error, warning or information.")
    code = serializers.CharField(help_text="Of FHIR's IssueType.")
    details = serializers.DictField(help_text="`text` says what is wrong.")
    diagnostics = serializers.CharField(required=False, help_text="Which item, and the remedy.")
    expression = serializers.ListField(child=serializers.CharField(), required=False)


class OperationOutcomeSerializer(serializers.Serializer[Any]):
    """FHIR's OperationOutcome."""

    resourceType = serializers.CharField()  # noqa: N815 - FHIR's name
    issue = IssueSerializer(many=True)


class IntakeSerializer(serializers.ModelSerializer[Upload]):
    """What was sent, how far it is, and what became of each item."""

    status = serializers.CharField(
        read_only=True, help_text="queued, processing, success, partial or failed."
    )
    progress = ProgressSerializer(source="*", read_only=True)
    outcome = serializers.SerializerMethodField()
    _links = LinksField(
        {
            "self": ("intake-fhir-detail", {"uid": "uid"}),
            "upload": ("upload-detail", {"uid": "uid"}),
        }
    )

    class Meta:
        model = Upload
        fields = (
            *("uid", "status", "created_at", "finished_at", "progress", "claims_new"),
            *("claims_changed", "claims_same", "rows_rejected", "outcome", "_links"),
        )
        read_only_fields = fields

    @extend_schema_field(OperationOutcomeSerializer)
    def get_outcome(self, upload: Upload) -> dict[str, Any]:
        """Return what became of each item that was not taken, and of the others in one sentence."""
        return {"resourceType": "OperationOutcome", "issue": _issues(upload)}


def _issues(upload: Upload) -> list[dict[str, Any]]:
    if upload.status in {Upload.Status.QUEUED, Upload.Status.PROCESSING}:
        return [_issue("information", "informational", "the items are not all read yet")]
    found = []
    if upload.error_code:
        found.append(_issue("fatal", "processing", upload.error_message))
    rows = RejectedRow.objects.filter(upload=upload).order_by("ordinal")[:_MOST_ISSUES]
    for row in rows:
        told = _issue("error", "invalid", row.message)
        told["diagnostics"] = f"item {row.position}: {row.code}. {row.remedy}"
        if row.field_name:
            told["expression"] = [row.field_name]
        found.append(told)
    if upload.rows_rejected > _MOST_ISSUES:
        more = upload.rows_rejected - _MOST_ISSUES
        found.append(_issue("error", "too-costly", f"{more:,} more items were not taken"))
    taken = upload.claims_new + upload.claims_changed + upload.claims_same
    found.append(_issue("information", "informational", f"{taken:,} claims are in"))
    return found


def _issue(severity: str, code: str, text: str) -> dict[str, Any]:
    return {"severity": severity, "code": code, "details": {"text": text}}


_UID = "upl_7r2c5m0k9v3t8x1q4w6y2b5d7f"
_QUEUED: dict[str, Any] = {
    "uid": _UID,
    "status": "queued",
    "created_at": "2026-04-12T14:05:00Z",
    "finished_at": None,
    "progress": {"done": False, "percent": 0, "bytes_done": 0, "bytes_total": 20480},
    "claims_new": 0,
    "claims_changed": 0,
    "claims_same": 0,
    "rows_rejected": 0,
    "outcome": {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "information",
                "code": "informational",
                "details": {"text": "the items are not all read yet"},
            }
        ],
    },
    "_links": {"self": f"/api/v1/intake/fhir/{_UID}/", "upload": f"/api/v1/uploads/{_UID}/"},
}


def _shown(name: str, value: dict[str, Any], status_code: str) -> list[OpenApiExample]:
    """Return the example of an answer in both media types."""
    return [
        OpenApiExample(
            name, value=value, response_only=True, status_codes=[status_code], media_type=media
        )
        for media in ("application/json", _JSON)
    ]


_TAKEN = _shown("queued", _QUEUED, "202")
_PARTIAL = _shown(
    "one bad entry",
    {
        **_QUEUED,
        "status": "partial",
        "finished_at": "2026-04-12T14:05:02Z",
        "progress": {"done": True, "percent": 100, "bytes_done": 20480, "bytes_total": 20480},
        "claims_new": 11,
        "rows_rejected": 1,
        "outcome": {
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": "error",
                    "code": "invalid",
                    "details": {"text": "the amount is not a number"},
                    "diagnostics": "item 4: money_invalid. Ask the sender to correct it",
                    "expression": ["Claim.total.value"],
                },
                {
                    "severity": "information",
                    "code": "informational",
                    "details": {"text": "11 claims are in"},
                },
            ],
        },
    },
    "200",
)
_BODY = OpenApiExample(
    "a Bundle",
    value={"resourceType": "Bundle", "type": "collection", "entry": []},
    request_only=True,
    media_type=_JSON,
)


class FhirIntakeView(TenantView):
    """Claim, ClaimResponse and ExplanationOfBenefit of FHIR R4, for analysts and their tokens."""

    tag = "uploads"
    parser_classes = (_FhirParser, _JsonParser, _NdjsonParser, _PlainNdjsonParser)
    renderer_classes = (JSONRenderer, _FhirRenderer)
    roles: ClassVar[Mapping[str, Role]] = {
        name: role for name, role in ANALYST_WRITES.items() if name in {"POST", "OPTIONS"}
    }
    #: Method → statuses that it answers beside the usual ones.
    also_answers: ClassVar[Mapping[str, tuple[int, ...]]] = {"POST": (422, 503)}

    @operation(
        operation_id="intake_fhir_create",
        summary="Send FHIR resources",
        request={_JSON: OpenApiTypes.OBJECT, _NDJSON: OpenApiTypes.STR},
        responses={202: IntakeSerializer},
        examples=[_BODY, *_TAKEN],
    )
    def post(self, request: Request, **_where: str) -> Response:
        """Take a resource, a Bundle or NDJSON and queue its import; `Location` says where to follow it.

        An entry that cannot be taken does not stop the others. Sending the same again is harmless.
        """
        refuse_unknown(request, ())
        file = _file_of(request)
        _refuse_foreign(file)
        upload = Upload.objects.create(
            file=file,
            name=file.name,
            bytes_total=file.size,
            reader=_READER,
            source=_READER,
            actor=actor_of(request.user),
            known_on=timezone.localdate(),
        )
        queue_import(upload)
        body = IntakeSerializer(upload, context=self.get_renderer_context()).data
        return Response(
            body,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": body["_links"]["self"], "Cache-Control": "no-store"},
        )


def _file_of(request: Request) -> UploadedFile[Any]:
    """Return the body as a file; one without a content type has none.

    Raises:
        FileRefused: there is no body.
    """
    sent: Any = request.data
    file: UploadedFile[Any] | None = sent.get("file")
    if file is None:
        raise FileRefused("the body is empty", remedy="Send FHIR resources", code="file_empty")
    return file


def _refuse_foreign(file: UploadedFile[Any]) -> None:
    """Look at the beginning of a body, and at nothing else.

    Raises:
        FileRefused: it is empty, or no FHIR.
        Unavailable: the plugin that reads FHIR is not installed.
    """
    reader = plugins().readers.get(_READER)
    if reader is None:
        raise Unavailable("this site reads no FHIR: ask its operator to install claimkit-fhir")
    head = file.read(SNIFF_BYTES)
    file.seek(0)
    if not head.strip():
        raise FileRefused("the body is empty", remedy="Send FHIR resources", code="file_empty")
    if reader.sniff(head, file.name or "") < Confidence.LIKELY:
        raise FileRefused(
            "this is no FHIR: nothing in the beginning names a resourceType",
            remedy="Send a resource, a Bundle, or NDJSON with one resource per line",
        )


class SignedFhirIntakeView(FhirIntakeView):
    """The same for senders who sign as Standard Webhooks ask, with a key of the operator's settings."""

    authentication_classes = ()
    #: A webhook that is repeated has the same id.
    idempotency_header = "webhook-id"

    def request_headers(self, method: str) -> dict[str, str]:
        """Describe the headers of a signed webhook instead of tenant and idempotency key."""
        kept = {
            name: told
            for name, told in super().request_headers(method).items()
            if name == "API-Version"
        }
        signed = {
            "webhook-id": "Your id of the message; a repeat with the same gets the answer.",
            "webhook-timestamp": "Seconds since 1970, at most five minutes from now.",
            "webhook-signature": "`v1,…` over id, timestamp and body.",
        }
        return kept | (signed if method == "POST" else {})

    def perform_authentication(self, request: Request) -> None:
        """Verify the signature over the whole body, then enter the sender's tenant.

        Raises:
            AuthenticationFailed: nobody who may signed this just now; never why.
        """
        sender, tenant = find_sender(self.kwargs["tenant"], self.kwargs["sender"])
        sent: Any = request.data
        body = b""
        if (file := sent.get("file")) is not None:
            body = file.read()
            file.seek(0)
        if sender is None or tenant is None or not sender.has_signed(request.headers, body):
            raise exceptions.AuthenticationFailed("the signature is not valid here")
        # Both: whoever asks for either would authenticate anew, and find nobody.
        request.user, request.auth = cast("Any", sender), None
        self._scope.enter_context(acting(describe_actor(request._request, sender, via="signature")))
        self.tenant, self.role = tenant, Role.ANALYST
        self._scope.enter_context(enter(tenant))

    @operation(
        operation_id="intake_fhir_signed_create",
        summary="Send FHIR resources as a signed webhook",
        request={_JSON: OpenApiTypes.OBJECT, _NDJSON: OpenApiTypes.STR},
        responses={202: IntakeSerializer},
        examples=[_BODY, *_TAKEN],
        auth=[],
    )
    def post(self, request: Request, **where: str) -> Response:
        """Take what a sender signed; the rest is as for those who sign in."""
        answer: Response = super().post(request, **where)
        return answer


class FhirStatusView(TenantView):
    """What became of FHIR that was sent."""

    tag = "uploads"
    validated_by = ("claims",)
    renderer_classes = (JSONRenderer, _FhirRenderer)
    roles: ClassVar[Mapping[str, Role]] = READ

    @operation(
        operation_id="intake_fhir_retrieve",
        summary="Follow FHIR that was sent",
        responses=IntakeSerializer,
        examples=_PARTIAL,
    )
    def get(self, request: Request, uid: str) -> Response:
        """Say how far it is, and of each item that was not taken why."""
        refuse_unknown(request, ())
        upload = Upload.objects.filter(uid=uid).first()
        if upload is None:
            raise exceptions.NotFound
        return Response(IntakeSerializer(upload, context=self.get_renderer_context()).data)
