"""Spans of requests, tasks and webhooks belong together, and say nothing of a person."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("opentelemetry.sdk")

from django.db import DEFAULT_DB_ALIAS as USING
from django.db import transaction
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from claimkit.events import ClaimsImported
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.types import SystemClock, TenantKey
from claimkit.webhooks.deliver import deliver
from claimkit_django.http import spans
from claimkit_django.http.traces import TraceContext, current_trace, use_trace
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.endpoints import add_endpoint
from claimkit_django.webhooks.store import make_courier

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def told(monkeypatch):
    """Return the spans that ended, by a provider of this test's own."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter.get_finished_spans
    provider.shutdown()


@pytest.fixture
def traced(settings):
    settings.MIDDLEWARE = [
        "claimkit_django.http.traces.TraceContextMiddleware",
        "claimkit_django.ops.tracing.TracingMiddleware",
        *settings.MIDDLEWARE,
    ]


def test_a_request_is_a_span_of_the_callers_trace(client, db, told, traced):
    client.get("/livez?ssn=123-45-6789", headers={"traceparent": PARENT})
    (one,) = told()

    assert one.name == "GET /livez"
    assert dict(one.attributes) == {
        "http.request.method": "GET", "http.route": "/livez", "http.response.status_code": 200,
    }  # fmt: skip
    assert f"{one.context.trace_id:032x}" == TRACE
    assert f"{one.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert "123-45-6789" not in one.to_json()


def test_an_unknown_path_and_a_failure_tell_no_words(client, db, told, traced, monkeypatch):
    client.get("/patients/Doe/123-45-6789/")
    monkeypatch.setattr("claimkit_django.ops.views.examine", lambda: {}["Jane Doe"])
    client.raise_request_exception = False
    client.get("/health/")
    unknown, failed = told()

    assert unknown.name == "GET unmatched"
    assert failed.attributes["error.type"]
    assert not failed.status.is_ok
    for one in (unknown, failed):
        assert "Doe" not in one.to_json()
        assert "123-45-6789" not in one.to_json()
        assert not one.events


def test_a_task_is_a_span_below_the_request(told):
    celery = pytest.importorskip("celery")
    app = celery.Celery("traced", broker="memory://", set_as_current=False)
    seen = []

    @app.task(name="claimkit.try", shared=False)
    def task(patient):
        seen.append(current_trace())
        return 1 / len(patient)

    headers = {"claimkit_traceparent": PARENT}
    task.apply(args=("Jane Doe",), headers=headers)
    task.apply(args=("",), headers=headers)
    good, bad = told()

    assert (good.name, good.attributes["claimkit.state"]) == ("claimkit.try", "success")
    assert f"{good.context.trace_id:032x}" == TRACE
    assert seen[0].span_id == f"{good.context.span_id:016x}"
    assert (bad.attributes["claimkit.state"], bad.status.is_ok) == ("failure", False)
    assert "Doe" not in good.to_json()
    assert "ZeroDivision" not in bad.to_json()


def test_a_webhook_is_a_span_without_its_address(
    northside, told, settings, django_capture_on_commit_callbacks
):
    pytest.importorskip("cryptography", reason="keys of endpoints need the extra webhooks")
    local = {
        "ALLOW_HTTP": True,
        "ALLOWED_NETWORKS": ["127.0.0.0/8"],
        "CONFIRM_ENDPOINTS": False,
        "THREADS": 1,
    }
    settings.CLAIMKIT = {**settings.CLAIMKIT, "WEBHOOKS": local}
    with Receiver(answering(answer(204))) as receiver:
        with enter(northside):
            add_endpoint(url=receiver.url("/secret-hook"), event_types=["*"], using=USING)
        bus = make_bus(open_store(USING))
        with bus.transaction(transaction.atomic(using=USING)):
            bus.stage(
                ClaimsImported(
                    tenant=TenantKey("northside"), at=SystemClock().now(), upload="upl_1",
                    new=1, changed=0, same=0, rejected=0,
                )
            )  # fmt: skip
        with django_capture_on_commit_callbacks(execute=True):
            deliver(make_courier(USING))
    (one,) = [span for span in told() if span.name == "webhook"]

    assert dict(one.attributes) == {
        "http.request.method": "POST", "claimkit.outbox": "webhooks",
        "http.response.status_code": 204,
    }  # fmt: skip
    assert "secret-hook" not in one.to_json()


def test_without_the_extra_nothing_happens(monkeypatch):
    monkeypatch.setattr(spans, "_INSTALLED", False)
    trace_in_hand = TraceContext.continued(PARENT)

    with use_trace(trace_in_hand), spans.span("GET", "server", {}):
        assert current_trace() is trace_in_hand
    assert not spans.is_tracing()


def test_the_module_imports_without_the_package():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from claimkit_django.http.spans import is_tracing, span\n"
        "assert not is_tracing()\n"
        "with span('GET', 'server', {}): print('well')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout == "well\n", done.stderr
