"""What a server scrapes and a gateway gets, by prometheus-client's own transports."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import urllib.request

import prometheus_client
import pytest

from claimkit.errors import ConfigError
from claimkit.events import ClaimsImported, DriftDetected
from claimkit.ops.logs import tenant_hash
from claimkit.plugins import load_plugins
from claimkit.testing.conformance import ListenerConformance
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.types import TenantKey
from claimkit_prometheus import push, start
from claimkit_prometheus.plugin import PrometheusListener

PLANTED = "Seccotine Bobbyson 417-09-3355 W417093355 415-555-0123"
SECRETS = ("Seccotine", "Bobbyson", "417-09-3355", "W417093355", "415-555-0123", "northside")
TOLD = {"tenant": TenantKey("northside"), "at": dt.datetime(2026, 3, 20, 6, 30, tzinfo=dt.UTC)}
IMPORTED = ClaimsImported(**TOLD, upload=PLANTED, new=412, changed=7, same=1, rejected=3)
DETECTED = DriftDetected(
    **TOLD,
    finding=PLANTED,
    signal=PLANTED,
    severity="high",
    payer=PLANTED,
    summary=PLANTED,
    onset=dt.date(2026, 3, 2),
    dollars_per_month=1,
)


def clean(text):
    assert not [one for one in SECRETS if one in text]
    return [one for one in text.splitlines() if one.startswith("claimkit_event")]


def test_a_server_scrapes_counts_and_nothing_of_anybody():
    registry = prometheus_client.CollectorRegistry()
    listener = PrometheusListener(registry)
    for event in (IMPORTED, IMPORTED, DETECTED):
        listener.handle(event)
    server, thread = prometheus_client.start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        address = f"http://127.0.0.1:{server.server_port}/metrics"
        with urllib.request.urlopen(address, timeout=5) as answered:
            lines = clean(answered.read().decode())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert 'claimkit_events_total{topic="claims.imported"} 2.0' in lines
    assert 'claimkit_events_total{topic="drift.detected"} 1.0' in lines
    assert 'claimkit_event_claims_total{outcome="new"} 824.0' in lines
    last = next(one for one in lines if "last_timestamp" in one and "imported" in one)
    assert float(last.rpartition(" ")[2]) == TOLD["at"].timestamp()


def test_the_tenant_is_a_hash_where_it_is_asked_for():
    registry = prometheus_client.CollectorRegistry()
    listener = PrometheusListener(registry)
    listener.with_tenant("zorglub")
    listener.handle(IMPORTED)

    lines = clean(prometheus_client.generate_latest(registry).decode())
    name = tenant_hash("northside", secret="zorglub")
    assert f'claimkit_events_total{{tenant="{name}",topic="claims.imported"}} 1.0' in lines
    with pytest.raises(ConfigError, match="already"):
        listener.with_tenant("other")


def test_a_gateway_gets_what_a_run_counted():
    load_plugins().listeners["prometheus.counts"].handle(IMPORTED)
    with Receiver(answering(answer(200))) as receiver:
        push(f"127.0.0.1:{receiver.port}", job="claimkit-watch", timeout_seconds=5)

    ((head, body),) = receiver.requests
    assert head.startswith(b"PUT /metrics/job/claimkit-watch")
    assert clean(body.decode())


def test_a_gateway_that_is_not_there_is_an_error():
    with Receiver(answering(answer(200))) as receiver:
        pass

    with pytest.raises(OSError):
        push(f"127.0.0.1:{receiver.port}", job="claimkit-watch", timeout_seconds=1)


def test_it_starts_a_server_where_a_port_is_named():
    code = (
        "import claimkit_prometheus as p, socket, urllib.request as u\n"
        "s = socket.socket(); s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]; s.close()\n"
        "p.start(port=port, tenant_secret='zorglub')\n"
        "print(u.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=5).status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.stdout.strip(), done.returncode) == ("200", 0), done.stderr
    start()


class TestListener(ListenerConformance):
    @pytest.fixture
    def listener(self):
        return PrometheusListener(prometheus_client.CollectorRegistry())

    @pytest.fixture
    def events(self):
        return [IMPORTED, DETECTED]
