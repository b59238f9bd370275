"""What reaches an agent that Datadog's own clients send to, with patients planted everywhere."""

from __future__ import annotations

import datetime as dt
import gc
import json
import os
import socket
import subprocess
import sys
import textwrap
import warnings

import pytest
from datadog.dogstatsd.base import DogStatsd

from claimkit.errors import ConfigError
from claimkit.events import ClaimsImported
from claimkit.ops.logs import tenant_hash
from claimkit.plugins import load_plugins
from claimkit.testing.conformance import ListenerConformance
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.types import TenantKey
from claimkit_datadog import start
from claimkit_datadog.plugin import DatadogListener, SpanFilter

SECRETS = ("Seccotine", "Bobbyson", "417-09-3355", "417093355", "415-555-0123", "northside")
IMPORTED = ClaimsImported(
    tenant=TenantKey("northside"),
    at=dt.datetime(2026, 3, 20, 6, 30, tzinfo=dt.UTC),
    upload="upl_gaston",
    new=4,
    changed=0,
    same=0,
    rejected=0,
)
#: A process of its own, as the tracer starts once and sends in the background.
PROGRAM = """
    from ddtrace.trace import tracer
    import claimkit_datadog
    from claimkit.ops.logs import use_log_context
    from claimkit.tenants import use_tenant

    PLANTED = "Seccotine Bobbyson 417-09-3355 W417093355 415-555-0123"
    claimkit_datadog.start(tenant_secret="zorglub")
    with use_tenant("northside"), use_log_context(request_id="req_fantasio"):
        with tracer.trace("django.request", resource=f"GET /patients/{PLANTED}") as span:
            span.set_tag("http.url", f"https://claims.example.org/patients/{PLANTED}?ssn=417-09-3355")
            span.set_tag("http.method", "GET")
            span.set_tag("http.route", "patients/<uid>/")
            span.set_tag("http.request.headers.x_patient", PLANTED)
            span.set_tag("patient", PLANTED)
            span.set_tag("upload", PLANTED)
            span.set_metric("claims", 4)
            try:
                with tracer.trace("postgres.query", resource=f"SELECT '{PLANTED}'") as query:
                    query.set_tag("sql.query", f"SELECT '{PLANTED}'")
                    query.set_tag("db.statement", PLANTED)
                    raise ValueError(f"no claim of {PLANTED}")
            except ValueError as error:
                with tracer.trace("handled.error") as handled:
                    handled.record_exception(error)
    tracer.flush()
    tracer.shutdown()
"""


def run(program, receiver, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={
            **os.environ,
            "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{receiver.port}",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_CRASHTRACKING_ENABLED": "false",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def traces():
    """Run the program against an agent, and return the bodies of its traces."""
    with Receiver(answering(answer(200, json.dumps({"rate_by_service": {}}).encode()))) as receiver:
        done = run(PROGRAM, receiver)
    assert done.returncode == 0, done.stderr
    found = [body for head, body in receiver.requests if b"/traces" in head.splitlines()[0]]
    assert found, [head.splitlines()[0] for head, _ in receiver.requests]
    return b"".join(found)


def test_nothing_of_a_patient_arrives(traces):
    assert [one for one in SECRETS if one.encode() in traces] == []


@pytest.mark.parametrize(
    "told",
    [
        *("django.request", "postgres.query", "GET patients/<uid>/", "ValueError"),
        *("request_id", "req_fantasio", "tenant", tenant_hash("northside", secret="zorglub")),
    ],
)
def test_what_helps_arrives(traces, told):
    """MessagePack keeps texts as they are."""
    assert told.encode() in traces


def test_a_span_whose_events_cannot_be_taken_is_not_sent(traces):
    assert b"handled.error" not in traces


def test_a_trace_that_cannot_be_filtered_is_dropped(caplog):
    """The tracer itself goes on with what it has where a filter raises."""
    assert SpanFilter().process_trace([object()]) is None
    assert [one.message for one in caplog.records] == ["trace dropped"]


def test_events_are_counted_by_topic():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(5)
        client = DogStatsd(
            host="127.0.0.1",
            port=agent.getsockname()[1],
            disable_buffering=True,
            disable_telemetry=True,
        )
        DatadogListener(client).handle(IMPORTED)
        packet = agent.recv(4096).decode()
        client.close_socket()

    assert packet.startswith("claimkit.events:1|c|#topic:claims.imported")
    assert [one for one in (*SECRETS, "gaston") if one in packet] == []


@pytest.mark.parametrize("name", ["DD_APPSEC_ENABLED", "DD_EXCEPTION_REPLAY_ENABLED"])
def test_a_product_that_sends_by_itself_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "true")

    with pytest.raises(ConfigError, match=name):
        start()


def test_a_listener_that_is_let_go_leaves_no_socket(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DD_AGENT_HOST", "127.0.0.1")
        monkeypatch.setenv("DD_DOGSTATSD_PORT", str(agent.getsockname()[1]))
        agent.settimeout(5)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ResourceWarning)
            DatadogListener().handle(IMPORTED)
            gc.collect()
        sent = agent.recv(1_024)

    assert sent.startswith(b"claimkit.events:1|c")
    assert [str(one.message) for one in told if "unclosed" in str(one.message)] == []


def test_the_plugin_registers_the_listener():
    assert isinstance(load_plugins().listeners["datadog.counts"], DatadogListener)


class TestListener(ListenerConformance):
    @pytest.fixture
    def listener(self):
        client = DogStatsd(host="127.0.0.1", disable_buffering=True, disable_telemetry=True)
        yield DatadogListener(client)
        client.close_socket()

    @pytest.fixture
    def events(self):
        return [IMPORTED]
