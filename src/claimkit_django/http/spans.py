"""Spans of OpenTelemetry, where its interface is installed; nothing at all where it is not.

What a span says is chosen here and holds nothing of a person: templates of routes, names of tasks,
states, counts. No address, no query, no argument, no text of an error: only its class.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from claimkit_django.http.traces import TraceContext, use_trace

try:
    from opentelemetry import trace as otel
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    _INSTALLED = True
except ImportError:  # opentelemetry-api is an extra.
    _INSTALLED = False

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_tracing", "span"]

_NAME = "claimkit"
Role = Literal["server", "consumer", "client"]


def is_tracing() -> bool:
    """Whether the interface is installed; without an SDK beside it, spans cost next to nothing."""
    return _INSTALLED


@contextmanager
def span(name: str, role: Role, told: dict[str, Any], *, parent: str = "") -> Iterator[None]:
    """Run the block as a span below the one in hand, or below a caller's.

    Args:
        name: Of few values, such as ``GET /api/v1/claims/<uid>/``; ``told["name"]`` replaces it.
        role: What of a call this is.
        told: Attributes; read when the block ends, so that it can add to them. ``error`` is the
            class of what went wrong, and makes the span one that failed.
        parent: ``traceparent`` of whoever asked for it, as it came; one that is not well-formed
            begins a new trace.
    """
    if not _INSTALLED:
        yield
        return
    kind = SpanKind[role.upper()]
    tracer = otel.get_tracer(_NAME)
    with tracer.start_as_current_span(
        name,
        context=_below(parent),
        kind=kind,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            with _as_ours(made):
                yield
        except BaseException as error:
            told["error"] = type(error).__qualname__
            raise
        finally:
            _tell(made, told)


def _tell(made: Any, told: dict[str, Any]) -> None:
    if "name" in told:
        made.update_name(told.pop("name"))
    if error := told.pop("error", ""):
        made.set_attribute("error.type", error)
        made.set_status(Status(StatusCode.ERROR))
    made.set_attributes(told)


def _below(parent: str) -> Any:
    """Return the caller's place in its trace; None: what is in hand here."""
    return TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None


@contextmanager
def _as_ours(made: Any) -> Iterator[None]:
    """Let logs, tasks and webhooks of the block name the span, where one is really recorded."""
    context = made.get_span_context()
    if not made.is_recording():
        yield
        return
    trace = TraceContext(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        sampled=bool(context.trace_flags.sampled),
    )
    with use_trace(trace):
        yield
