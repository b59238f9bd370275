"""Conditional requests: answers that need not be made, and changes that name what they change.

Reads have a *weak, early* ``ETag``: a keyed digest of who asks for what and of the state of the
data, known after one small query, so that a 304 costs neither rows nor rendering. Changes have a
*strong* one of the resource's content, checked in the transaction that changes it.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.http import parse_etags

from claimkit import __version__
from claimkit_django.rest.problems import PreconditionFailed, PreconditionRequired

if TYPE_CHECKING:
    from rest_framework.request import Request

__all__ = ["IF_MATCH", "content_etag", "early_etag", "has_seen", "require_match"]

#: What a view adds to its request headers for methods that call :func:`require_match`.
IF_MATCH = {"If-Match": "`ETag` of what the change is based on; required."}
_CONTEXT = b"claimkit.etag"


def early_etag(request: Request, validator: str) -> str:
    """Return the weak ``ETag`` of the answer to a read.

    Args:
        request: After negotiation, so that it has a renderer and a version.
        validator: Whatever else the answer depends on: person, role, state of the data.
    """
    query = sorted(
        (name, value) for name, values in request.query_params.lists() for value in values
    )
    asked = (
        __version__,
        validator,
        request.path,
        query,
        request.accepted_media_type,
        request.version,
    )
    return f"W/{_digest(repr(asked))}"


def content_etag(*values: object) -> str:
    """Return the strong ``ETag`` of a resource with this content."""
    return _digest(repr((__version__, values)))


def has_seen(request: Request, etag: str) -> bool:
    """Whether the client holds the answer already (weak comparison, RFC 9110 §13.1.2)."""
    sent = parse_etags(request.headers.get("If-None-Match", ""))
    return etag.removeprefix("W/") in {one.removeprefix("W/") for one in sent}


def require_match(request: Request, etag: str) -> None:
    """Check that the change is based on the state that is there (strong comparison).

    Call it where nobody else can change the resource any more: in the transaction, under its lock.

    Raises:
        PreconditionRequired: the request does not say what it is based on.
        PreconditionFailed: it is based on another state.
    """
    sent = request.headers.get("If-Match")
    if sent is None:
        raise PreconditionRequired
    accepted = parse_etags(sent)
    if "*" not in accepted and etag not in accepted:
        raise PreconditionFailed


def _digest(text: str) -> str:
    key = hashlib.blake2b(settings.SECRET_KEY.encode(), digest_size=32, person=_CONTEXT).digest()
    made = hashlib.blake2b(text.encode(), digest_size=12, key=key).digest()
    return f'"{base64.urlsafe_b64encode(made).decode()}"'
