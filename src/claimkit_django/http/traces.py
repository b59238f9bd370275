"""W3C trace context: which trace a request belongs to, in logs, tasks and calls to others.

A ``traceparent`` that the caller sends is continued where it is well-formed; anything else starts a
new trace. What is passed on names this request as the parent. Spans are the business of a tracing
library; this keeps the thread that such a library picks up, and works without one.
"""

from __future__ import annotations

import logging
import re
import secrets
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claimkit_django.http.middleware import AnswerMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = [
    "TraceContext",
    "TraceContextMiddleware",
    "TraceFilter",
    "current_trace",
    "use_trace",
]

_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?"
)
#: Longest ``tracestate`` that is passed on; the specification asks for at least this much.
_MAX_STATE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """One request's place in a trace."""

    #: 32 hexadecimal digits, the same for everything that belongs together.
    trace_id: str
    #: 16 hexadecimal digits of this request.
    span_id: str
    sampled: bool = False
    #: What other tracing systems along the way noted.
    state: str = ""

    @classmethod
    def start(cls) -> TraceContext:
        """Return the beginning of a new trace."""
        return cls(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8))

    @classmethod
    def continued(cls, traceparent: str, tracestate: str = "") -> TraceContext:
        """Return a new span in the caller's trace; a new trace where there is none to continue.

        >>> made = TraceContext.continued("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        >>> made.trace_id, made.sampled
        ('4bf92f3577b34da6a3ce929d0e0e4736', True)
        """
        match = _PARENT.fullmatch(traceparent)
        if match is None or match["version"] == "ff":
            return cls.start()
        # Version 00 has exactly four parts; later ones may have more, of which we know nothing.
        is_wrong = match["version"] == "00" and match["more"] is not None
        if is_wrong or not int(match["trace"], 16) or not int(match["span"], 16):
            return cls.start()
        return cls(
            trace_id=match["trace"],
            span_id=secrets.token_hex(8),
            sampled=bool(int(match["flags"], 16) & 1),
            state=tracestate if len(tracestate) <= _MAX_STATE and tracestate.isascii() else "",
        )

    @property
    def traceparent(self) -> str:
        """What to send along when this request calls somebody else."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


_current: ContextVar[TraceContext | None] = ContextVar("claimkit_trace", default=None)


def current_trace() -> TraceContext | None:
    """Return the trace of the request or task in hand; None outside of one."""
    return _current.get()


@contextmanager
def use_trace(trace: TraceContext) -> Iterator[TraceContext]:
    """Run the block as part of ``trace``."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


class TraceContextMiddleware(AnswerMiddleware):
    """Continue the caller's trace, or start one. Sync and async."""

    def around(self, request: HttpRequest) -> AbstractContextManager[TraceContext]:
        """Enter the trace."""
        headers = request.headers
        return use_trace(
            TraceContext.continued(headers.get("traceparent", ""), headers.get("tracestate", ""))
        )

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Leave the answer as it is: whoever called knows the trace, others need not."""
        del request
        return response


class TraceFilter(logging.Filter):
    """Put ``trace_id`` and ``span_id`` on log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add both (``""`` outside of a trace) and let the record pass."""
        trace = current_trace()
        record.trace_id = trace.trace_id if trace else ""
        record.span_id = trace.span_id if trace else ""
        return True
