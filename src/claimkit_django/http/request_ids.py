"""Gives every request an id that is echoed, logged and shown in errors.

A client's ``X-Request-ID`` is taken when it is harmless (see :data:`ACCEPTED`), otherwise a new
one is made: an unchecked header would let anyone write lines into our logs. The id lives in a
context variable, so threads, coroutines and tasks never see each other's.
"""

from __future__ import annotations

import logging
import re
import uuid
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from claimkit_django.http.middleware import AnswerMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = [
    "ACCEPTED",
    "HEADER",
    "RequestIdFilter",
    "RequestIdMiddleware",
    "current_request_id",
    "use_request_id",
]

#: Name of the request and response header.
HEADER = "X-Request-ID"
#: What a client may send: 8 to 64 letters, digits, dots, dashes and underscores.
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")

_current: ContextVar[str] = ContextVar("claimkit_request_id", default="")


def current_request_id() -> str:
    """Return the id of the request in hand, ``""`` outside of one."""
    return _current.get()


@contextmanager
def use_request_id(request_id: str) -> Iterator[str]:
    """Run the block under ``request_id``, as a task does with the id of what queued it."""
    token = _current.set(request_id)
    try:
        yield request_id
    finally:
        _current.reset(token)


class RequestIdMiddleware(AnswerMiddleware):
    """Take or make the request's id, set ``request.request_id`` and echo it in the response.

    List it first, so that what later middleware answers carries the id too. Sync and async.
    """

    def around(self, request: HttpRequest) -> AbstractContextManager[str]:
        """Enter the request's id."""
        sent = request.headers.get(HEADER, "")
        request_id = sent if ACCEPTED.fullmatch(sent) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        return use_request_id(request_id)

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Echo the id."""
        del request
        response.headers[HEADER] = current_request_id()
        return response


class RequestIdFilter(logging.Filter):
    """Put ``request_id`` on log records, for formats such as ``%(request_id)s``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the current id (``""`` outside of a request) and let the record pass."""
        record.request_id = current_request_id()
        return True
