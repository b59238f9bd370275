"""Turns every exception that reaches a view into an RFC 9457 problem.

Used per view through ``get_exception_handler``, so the host's own API keeps its own errors.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
    ValidationError,
)
from django.core.signals import got_request_exception
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from claimkit.errors import (
    ClaimkitError,
    FileRefused,
    FindingUnknown,
    TenantForbidden,
    TenantRequired,
    TenantUnknown,
    UnknownName,
)
from claimkit_django.http.problems import MEDIA_TYPE, FieldProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rest_framework.views import APIView

__all__ = [
    "Conflict",
    "IdempotencyKeyReused",
    "InvalidCursor",
    "LoopDetected",
    "PreconditionFailed",
    "PreconditionRequired",
    "RequestInProgress",
    "Unavailable",
    "handle_exception",
    "problem_of",
]

logger = logging.getLogger(__name__)


class InvalidCursor(exceptions.APIException):
    """A cursor that was altered, or made for another listing."""

    status_code = 400
    default_code = "invalid_cursor"


class Conflict(exceptions.APIException):
    """What is asked for does not go with the state of the resource."""

    status_code = 409
    default_code = "conflict"


class PreconditionFailed(exceptions.APIException):
    """The resource is not what the change is based on."""

    status_code = 412
    default_code = "precondition_failed"


class PreconditionRequired(exceptions.APIException):
    """A change that does not say what it is based on."""

    status_code = 428
    default_code = "precondition_required"


class RequestInProgress(exceptions.APIException):
    """The first request with the same idempotency key is not answered yet."""

    status_code = 409
    default_code = "request_in_progress"
    #: Seconds after which it is worth trying again.
    wait = 1


class IdempotencyKeyReused(exceptions.APIException):
    """An idempotency key that came with another body before."""

    status_code = 422
    default_code = "idempotency_key_reused"


class Unavailable(exceptions.APIException):
    """Something that this operation needs is not installed."""

    status_code = 503
    default_code = "unavailable"


class LoopDetected(exceptions.APIException):
    """A webhook of this site that came back to it."""

    status_code = 508
    default_code = "loop_detected"


#: What a schema says too: the codes of fields, and of the request around them. A body that is
#: refused for anything else was understood (RFC 9110 §15.5.21).
_MALFORMED = frozenset(
    (
        *("blank", "date", "datetime", "empty", "incorrect_type", "invalid", "invalid_choice"),
        *("invalid_image", "invalid_unicode", "make_aware", "max_decimal_places", "max_digits"),
        *("max_length", "max_string_length", "max_value", "max_whole_digits", "min_length"),
        *("min_value", "no_match", "no_name", "not_a_dict", "not_a_list", "null", "overflow"),
        *("required", "surrogate_characters_not_allowed"),
        *("empty_parameter", "repeated_parameter", "unknown_parameter"),
    )
)
#: Methods whose bodies can be understood and nevertheless refused.
_WRITES = frozenset({"POST", "PUT", "PATCH"})
#: First match wins: exception class → problem type.
_DRF: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ParseError, "parse_error"),
    (InvalidCursor, "invalid_cursor"),
    (exceptions.NotAuthenticated, "not_authenticated"),
    (exceptions.AuthenticationFailed, "authentication_failed"),
    (exceptions.PermissionDenied, "permission_denied"),
    (exceptions.NotFound, "not_found"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.NotAcceptable, "not_acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type"),
    (exceptions.Throttled, "throttled"),
    (Conflict, "conflict"),
    (PreconditionFailed, "precondition_failed"),
    (PreconditionRequired, "precondition_required"),
    (RequestInProgress, "request_in_progress"),
    (IdempotencyKeyReused, "idempotency_key_reused"),
    (Unavailable, "unavailable"),
    (LoopDetected, "loop_detected"),
)
_DJANGO: tuple[tuple[type[Exception], str], ...] = (
    (Http404, "not_found"),
    (PermissionDenied, "permission_denied"),
    (RequestDataTooBig, "content_too_large"),
    (TooManyFieldsSent, "content_too_large"),
    (TooManyFilesSent, "content_too_large"),
    (SuspiciousOperation, "bad_request"),
)
_CLAIMKIT: tuple[tuple[type[ClaimkitError], str], ...] = (
    (TenantRequired, "tenant_required"),
    # Someone else's data does not exist: 403 would confirm that it does.
    (TenantForbidden, "not_found"),
    (TenantUnknown, "not_found"),
    (FileRefused, "unprocessable"),
    (FindingUnknown, "conflict"),
)


def handle_exception(error: Exception, context: Mapping[str, Any]) -> Response:
    """Return the problem response for ``error``; DRF calls it for everything a view raises."""
    view: APIView = context["view"]
    request = context.get("request")
    set_rollback()
    problem = problem_of(error, writes=getattr(request, "method", "") in _WRITES)
    if problem is None:
        # What Django does for an unhandled exception: error trackers listen to the signal.
        got_request_exception.send(sender=type(view), request=getattr(request, "_request", None))
        logger.error("unhandled exception in a view", exc_info=error)
        problem = Problem.of("server_error")
    response = Response(
        problem.body(getattr(request, "_request", None)),
        status=problem.type.status,
        content_type=MEDIA_TYPE,
        headers=_headers(error),
    )
    response.exception = True
    return response


def problem_of(error: Exception, *, writes: bool = False) -> Problem | None:
    """Return the problem for an exception that is somebody's mistake, None for one of ours.

    Args:
        error: The exception.
        writes: Whether a body was sent. One that is well-formed, and refused for what is in the
            data or for how its fields go together, is a 422 and not a 400.
    """
    if isinstance(error, exceptions.ValidationError):
        return _invalid(tuple(_flatten(error.detail)), writes=writes)
    if isinstance(error, ValidationError):
        flat = tuple(_flatten(exceptions.ValidationError(error.messages).detail))
        return _invalid(flat, writes=writes)
    for kind, code in _DRF:
        if isinstance(error, kind) and isinstance(error, exceptions.APIException):
            return Problem.of(code, _text(error))
    for kind, code in _DJANGO:
        if isinstance(error, kind):
            # Their texts are for developers and can quote the request; the type's remedy is public.
            return Problem.of(code)
    if isinstance(error, ClaimkitError):
        return _of_claimkit(error, writes=writes)
    return None


def _of_claimkit(error: ClaimkitError, *, writes: bool) -> Problem | None:
    for kind, code in _CLAIMKIT:
        if isinstance(error, kind):
            hidden = code == "not_found"
            return Problem.of(code, "" if hidden else str(error), code="" if hidden else error.code)
    if isinstance(error, (UnknownName, ValueError)):
        refused = "unprocessable" if writes else "invalid"
        return Problem.of(refused, str(error), code=error.code)
    return None


def _invalid(errors: tuple[FieldProblem, ...], *, writes: bool) -> Problem:
    named = [f"{one.attr}: {one.detail}" if one.attr else one.detail for one in errors[:1]]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    understood = writes and bool(errors) and _MALFORMED.isdisjoint(one.code for one in errors)
    kind = "unprocessable" if understood else "invalid"
    return Problem.of(kind, "".join(named) + more, errors=errors)


def _flatten(detail: Any, path: str = "") -> Iterator[FieldProblem]:
    """Yield one entry per message, with dotted paths: ``lines.3.paid``."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, ".".join(part for part in (path, step) if part))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, (dict, list))
            yield from _flatten(inner, f"{path}.{index}" if nested and path else path)
    else:
        code = getattr(detail, "code", "invalid")
        yield FieldProblem(code=code, detail=str(detail), attr=path or None)


def _text(error: exceptions.APIException) -> str:
    """Return what the raiser said; without a word of theirs, the remedy of the type says more."""
    said = error.detail
    return str(said) if isinstance(said, str) and said != error.default_detail else ""


def _headers(error: Exception) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    challenge = getattr(error, "auth_header", None)
    if challenge:
        headers["WWW-Authenticate"] = challenge
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    return headers
