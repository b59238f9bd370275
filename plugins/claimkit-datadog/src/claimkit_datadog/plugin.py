"""Puts a filter before what Datadog's tracer sends, and counts events in DogStatsD.

The filter keeps what is on a list: no pattern finds a bare name, so no text of an exception, no SQL
and no address is sent. Spans are filtered when their trace is done, in the process that made them.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Any, Final

from claimkit import hookimpl
from claimkit.errors import ConfigError
from claimkit.ops.logs import log_context, scrub_value, tenant_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datadog.dogstatsd.base import DogStatsd
    from ddtrace.trace import Span

    from claimkit.events import Event, Listener, Phase

__all__ = ["DatadogListener", "SpanFilter", "claimkit_register_listeners", "start"]

#: Tags with closed values: words of the code, numbers, classes.
_TAGS: Final = frozenset(
    {"celery.action", "celery.state", "component", "db.system", "django.user.is_authenticated",
     "env", "error.type", "http.method", "http.route", "http.status_code", "language",
     "runtime-id", "span.kind", "version"}
)  # fmt: skip
#: Set by the tracer itself, to keep a trace together and to sample it.
_TRACERS: Final = ("_dd.p.", "_dd.base_service", "_sampling", "_dd.span_links")
_TENANT: Final = "tenant"
#: Products that send by themselves what no filter sees.
_OTHERS: Final = ("DD_APPSEC_ENABLED", "DD_DYNAMIC_INSTRUMENTATION_ENABLED",
                  "DD_EXCEPTION_REPLAY_ENABLED", "DD_IAST_ENABLED", "DD_LLMOBS_ENABLED",
                  "DD_LOGS_OTEL_ENABLED")  # fmt: skip


logger = logging.getLogger(__name__)


@hookimpl
def claimkit_register_listeners() -> Iterable[Listener]:
    """Register what counts."""
    return [DatadogListener()]


def start(*, tenant_secret: str = "") -> None:
    """Filter what the tracer sends, from now on; call it before anything is traced.

    Args:
        tenant_secret: By which the hash of a tenant's key is made, such as ``SECRET_KEY``.

    Raises:
        ConfigError: a product of Datadog that sends by itself is switched on.
    """
    for name in _OTHERS:
        if os.environ.get(name, "").lower() in {"1", "true"}:
            raise ConfigError(
                f"{name} is on: it sends values of requests and variables, which no filter sees",
                remedy="Switch it off where there are patients' data",
            )
    # Importing it alone starts threads, so a site that does not start it has none.
    from ddtrace.trace import tracer

    # A filter by its methods: its base class would import the tracer with this module.
    filters: list[Any] = [SpanFilter(secret=tenant_secret)]
    tracer.configure(trace_processors=filters)


class SpanFilter:
    """Takes from each span of a trace what may hold something of a patient; a ``TraceFilter`` of ddtrace.

    Args:
        secret: By which the hash of a tenant's key is made.
    """

    def __init__(self, *, secret: str = "") -> None:
        self._secret = secret

    def process_trace(self, trace: list[Span]) -> list[Span] | None:
        """Return the spans with what is on the list, and the ids of the work in hand on the first.

        A span with events, such as recorded exceptions, is dropped: nothing takes them from it. A
        trace that cannot be filtered is dropped as a whole.
        """
        try:
            return self._filtered(trace)
        except Exception:
            # The tracer would send what it has: a tracer that changed must not tell of patients.
            logger.exception("trace dropped")
            return None

    def _filtered(self, trace: list[Span]) -> list[Span]:
        kept = [span for span in trace if not span._has_events()]
        for span in kept:
            self._filter(span)
        for span in kept[:1]:
            for name, value in log_context().items():
                span.set_tag(name, self._shown(name, value))
        return kept

    def _filter(self, span: Span) -> None:
        route = span.get_tag("http.route")
        method = span.get_tag("http.method")
        # A resource is SQL, an address or a key of a cache, if it is not what the code calls it.
        span.resource = f"{method} {route}" if route and method else span.name
        for name in list(span.get_tags()):
            if name not in _TAGS and not name.startswith(_TRACERS):
                span.remove_tag(name)

    def _shown(self, name: str, value: object) -> str:
        if name == _TENANT:
            return tenant_hash(str(value), secret=self._secret)
        return str(scrub_value(value))


class DatadogListener:
    """Counts events by topic, as ``claimkit.events``.

    Args:
        statsd: Where they are counted; the agent that ``DD_AGENT_HOST`` names if None.
    """

    name: str = "datadog.counts"
    topics: frozenset[str] = frozenset()
    phase: Phase = "committed"

    def __init__(self, statsd: DogStatsd | None = None) -> None:
        self._statsd = statsd

    def handle(self, event: Event) -> None:
        """Count the event; by UDP, so that nobody waits for an agent."""
        if self._statsd is None:
            from datadog.dogstatsd.base import DogStatsd

            self._statsd = DogStatsd()
            # Plugins may be loaded anew, and a client closes nothing by itself.
            weakref.finalize(self, self._statsd.close_socket)
        self._statsd.increment("claimkit.events", tags=[f"topic:{event.topic}"])
