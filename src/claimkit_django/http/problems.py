"""RFC 9457 problems without DRF: the registry of types, the value, and the middleware.

Every error that leaves claimkit is one of :data:`TYPES`, whatever layer it comes from. The same
registry feeds the OpenAPI schema and the pages that the ``type`` URIs lead to.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.client import responses
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import (
    DisallowedHost,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import JsonResponse
from django.urls import NoReverseMatch, reverse

from claimkit.errors import did_you_mean
from claimkit_django.http.middleware import AnswerMiddleware
from claimkit_django.http.request_ids import current_request_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = [
    "MEDIA_TYPE",
    "TYPES",
    "FieldProblem",
    "Problem",
    "ProblemMiddleware",
    "ProblemType",
    "problem_for_status",
    "problem_response",
]

#: Media type of every error body (RFC 9457 §6.1).
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemType:
    """One documented kind of error."""

    #: Stable, snake_case; the last part of the type URI.
    code: str
    status: int
    #: The same for every occurrence (RFC 9457 §3.1.3).
    title: str
    #: What the caller can do about it.
    remedy: str


TYPES: dict[str, ProblemType] = {
    one.code: one
    for one in (
        ProblemType(
            code="invalid",
            status=400,
            title="The request is not valid",
            remedy="Each entry of `errors` names the field or parameter and what it must be.",
        ),
        ProblemType(
            code="parse_error",
            status=400,
            title="The body cannot be read",
            remedy="Send a body that is well-formed in the content type that the header names.",
        ),
        ProblemType(
            code="invalid_cursor",
            status=400,
            title="The cursor is not valid here",
            remedy="Follow the links of a page unchanged; start again without `cursor` after "
            "changing a filter or the ordering.",
        ),
        ProblemType(
            code="bad_request",
            status=400,
            title="The request was refused",
            remedy="Check the host name and the headers of the request.",
        ),
        ProblemType(
            code="not_authenticated",
            status=401,
            title="Nobody is signed in",
            remedy="Sign in, or send credentials of a kind that `WWW-Authenticate` names.",
        ),
        ProblemType(
            code="authentication_failed",
            status=401,
            title="The credentials were not accepted",
            remedy="Check the credentials; an inactive account is refused too.",
        ),
        ProblemType(
            code="permission_denied",
            status=403,
            title="Your role does not allow this",
            remedy="Ask an admin of the tenant for a role that includes it.",
        ),
        ProblemType(
            code="tenant_required",
            status=403,
            title="No tenant is chosen",
            remedy="Name one of your tenants in the tenant header, `X-Tenant` by default.",
        ),
        ProblemType(
            code="not_found",
            status=404,
            title="There is no such thing here",
            remedy="Check the address; things of other tenants do not exist for you.",
        ),
        ProblemType(
            code="method_not_allowed",
            status=405,
            title="This resource does not answer that method",
            remedy="Use one of the methods in `Allow`.",
        ),
        ProblemType(
            code="not_acceptable",
            status=406,
            title="None of the accepted formats is on offer",
            remedy="Accept `application/json`, or the format that the operation documents.",
        ),
        ProblemType(
            code="conflict",
            status=409,
            title="The state of the resource does not allow this now",
            remedy="Read the resource again and decide anew.",
        ),
        ProblemType(
            code="request_in_progress",
            status=409,
            title="The same request is being worked on",
            remedy="Send it again, with the same idempotency key, after `Retry-After` seconds.",
        ),
        ProblemType(
            code="precondition_failed",
            status=412,
            title="It has changed since you read it",
            remedy="Read it again, and send the `ETag` of what you read in `If-Match`.",
        ),
        ProblemType(
            code="content_too_large",
            status=413,
            title="The body is too large",
            remedy="Split the file, or ask the operator to raise the limit.",
        ),
        ProblemType(
            code="unsupported_media_type",
            status=415,
            title="The content type is not one that this operation reads",
            remedy="Send a content type that the operation documents.",
        ),
        ProblemType(
            code="unprocessable",
            status=422,
            title="The content was understood and cannot be processed",
            remedy="The detail says what is wrong with it.",
        ),
        ProblemType(
            code="idempotency_key_reused",
            status=422,
            title="The idempotency key belongs to another request",
            remedy="Use a new key for a new request; send the same body again with the old one.",
        ),
        ProblemType(
            code="precondition_required",
            status=428,
            title="This change must say what it is based on",
            remedy="Send the `ETag` of what you read in `If-Match`.",
        ),
        ProblemType(
            code="throttled",
            status=429,
            title="Too many requests",
            remedy="Wait for as many seconds as `Retry-After` says.",
        ),
        ProblemType(
            code="server_error",
            status=500,
            title="Something broke on our side",
            remedy="Try again later; quote the request id to the operator.",
        ),
        ProblemType(
            code="unavailable",
            status=503,
            title="The service is not available now",
            remedy="Try again later.",
        ),
        ProblemType(
            code="loop_detected",
            status=508,
            title="This site sent the request itself",
            remedy="Change the endpoint of webhooks that leads back here.",
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """What is wrong with one field, parameter or header."""

    code: str
    detail: str
    #: Dotted path of the field or name of the parameter; None when the whole request is meant.
    attr: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One occurrence of a :class:`ProblemType`."""

    type: ProblemType
    #: For people; public, without identifiers.
    detail: str
    #: A finer code where claimkit has one, such as ``file_refused``; else that of the type.
    code: str = ""
    errors: tuple[FieldProblem, ...] = ()

    @classmethod
    def of(
        cls,
        type_code: str,
        detail: str = "",
        *,
        code: str = "",
        errors: Sequence[FieldProblem] = (),
    ) -> Problem:
        """Build an occurrence of the registered type ``type_code``.

        Raises:
            KeyError: the type is not registered.
        """
        if type_code not in TYPES:
            raise KeyError(f"unknown problem type {type_code!r}{did_you_mean(type_code, TYPES)}")
        kind = TYPES[type_code]
        return cls(
            type=kind, detail=detail or kind.remedy, code=code or kind.code, errors=tuple(errors)
        )

    def body(self, request: HttpRequest | None) -> dict[str, Any]:
        """Return the members of the JSON document, in the order in which people read them."""
        return {
            "type": _type_uri(self.type.code, request),
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": current_request_id(),
            "errors": [
                {"code": one.code, "detail": one.detail, "attr": one.attr} for one in self.errors
            ],
        }


def problem_for_status(status: int) -> Problem:
    """Return the general problem for an HTTP status.

    A status without a type of its own is ``about:blank`` with the status phrase (RFC 9457 §4.2.1).
    """
    code = _GENERAL.get(status)
    if code is None:
        phrase = responses.get(status, "Unknown status")
        return Problem(
            type=ProblemType(code="about:blank", status=status, title=phrase, remedy=phrase),
            detail=phrase,
            code=f"http_{status}",
        )
    return Problem.of(code)


#: Which type stands for "we know no more than the status".
_GENERAL = {
    kind.status: kind.code
    for kind in reversed(TYPES.values())
    if kind.code
    not in {
        *("invalid", "parse_error", "invalid_cursor", "tenant_required"),
        *("request_in_progress", "idempotency_key_reused"),
    }
}


def problem_response(problem: Problem, request: HttpRequest | None) -> JsonResponse:
    """Return the problem as a Django response."""
    return JsonResponse(
        problem.body(request),
        status=problem.type.status,
        content_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store"},
    )


class ProblemMiddleware(AnswerMiddleware):
    """Turn errors that other layers answer under the API's root into problems.

    Django's 404 and 500 pages, CSRF failures, refused hosts and other middleware answer HTML; under
    the root of claimkit's API they become problems with the same status and headers. Other
    addresses are left alone. List it right after ``RequestIdMiddleware``. Sync and async.
    """

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the problem in place of another layer's error page."""
        return _as_problem(request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Remember what Django answers like any other bad request, with 400."""
        if isinstance(exception, (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)):
            request.claimkit_too_large = True  # type: ignore[attr-defined]


#: Headers of the replaced body, not of the answer.
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "etag"})


def _as_problem(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code < 400 or response.streaming or not _is_api(request):
        return response
    if response.headers.get("Content-Type", "").startswith(MEDIA_TYPE):
        return response
    is_too_large = response.status_code == 400 and _is_too_large(request)
    problem = problem_for_status(413 if is_too_large else response.status_code)
    answer = problem_response(problem, request)
    for name, value in response.headers.items():
        if name.lower() not in _BODY_HEADERS:
            answer.headers[name] = value
    answer.cookies = response.cookies
    return answer


def _is_too_large(request: HttpRequest) -> bool:
    """Whether a view refused the body for its size, or middleware did, which tells nobody why."""
    if getattr(request, "claimkit_too_large", False):
        return True
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    length = request.META.get("CONTENT_LENGTH") or "0"
    is_form = request.content_type == "application/x-www-form-urlencoded"
    return bool(is_form and limit is not None and length.isdecimal() and int(length) > limit)


def _is_api(request: HttpRequest) -> bool:
    try:
        return request.path_info.startswith(reverse("claimkit:root"))
    except NoReverseMatch:
        return False


def _type_uri(code: str, request: HttpRequest | None) -> str:
    """Return where the type is explained: on the site itself, so that it always resolves."""
    if code not in TYPES:
        return code
    try:
        path = reverse("claimkit:problem", kwargs={"code": code})
    except NoReverseMatch:
        return f"urn:claimkit:problem:{code}"
    try:
        return request.build_absolute_uri(path) if request is not None else path
    except DisallowedHost:
        # The refused Host header must not come back as a link.
        return path
