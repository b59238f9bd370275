"""Series are really written, by what really happens, and a server can read them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("prometheus_client")

from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from claimkit.events import ClaimsImported, OutboxSettled
from claimkit.ops import metrics
from claimkit.ops.metrics import SERIES, Kind
from claimkit.outbox import Ending
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.types import SystemClock, TenantKey
from claimkit.webhooks.deliver import deliver
from claimkit_django.alerts.channels import sealed
from claimkit_django.alerts.models import Channel, Route
from claimkit_django.alerts.notify import notify_due
from claimkit_django.drift.runs import run_watch
from claimkit_django.ops import metrics as exposed
from claimkit_django.ops.counting import MetricsListener
from claimkit_django.ops.metrics import PrometheusMeter, expose, meter, tenant_name
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter
from claimkit_django.vitals import gauges
from claimkit_django.webhooks.endpoints import add_endpoint
from claimkit_django.webhooks.store import make_courier

NORTHSIDE = TenantKey("northside")


@pytest.fixture
def grown():
    """Return by how much a counter or the count of a histogram grew since this was asked for."""
    meter()
    before = {}

    def read(series, **labels):
        name = f"{series.name}_count" if series.kind is Kind.HISTOGRAM else series.name
        return REGISTRY.get_sample_value(name, labels) or 0.0

    for family in REGISTRY.collect():
        for one in family.samples:
            before[one.name, tuple(sorted(one.labels.items()))] = one.value

    def grew(series, **labels):
        name = f"{series.name}_count" if series.kind is Kind.HISTOGRAM else series.name
        return read(series, **labels) - before.get((name, tuple(sorted(labels.items()))), 0.0)

    return grew


def imported(**values):
    told = {"upload": "upl_1", "new": 5, "changed": 3, "same": 2, "rejected": 1, **values}
    return ClaimsImported(tenant=NORTHSIDE, at=SystemClock().now(), **told)


def stage(*events):
    bus = make_bus(open_store(USING))
    with bus.transaction(transaction.atomic(using=USING)):
        for event in events:
            bus.stage(event)


# -- what is written ----------------------------------------------------------------------------


def test_a_file_is_counted_once_it_is_committed(
    northside, grown, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        stage(imported())
        assert grown(metrics.FILES) == 0

    told = {
        one: grown(metrics.CLAIMS, result=one) for one in ("new", "changed", "same", "rejected")
    }
    assert told == {"new": 5, "changed": 3, "same": 2, "rejected": 1}
    assert grown(metrics.FILES) == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_rolled_back_is_not_counted(northside, grown):
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=USING):
        stage(imported())
        raise ZeroDivisionError

    assert grown(metrics.FILES) == 0


def test_a_watch_is_counted_also_when_it_fails(
    northside, grown, django_capture_on_commit_callbacks, settings
):
    with django_capture_on_commit_callbacks(execute=True):
        run_watch(NORTHSIDE)
        settings.CLAIMKIT = {"DRIFT": {"DETECTORS": ["nobody"]}}
        with pytest.raises(LookupError):
            run_watch(NORTHSIDE)

    assert grown(metrics.DRIFT_RUNS, status="success") == 1
    assert grown(metrics.DRIFT_RUNS, status="failed") == 1
    assert grown(metrics.DRIFT_RUN_SECONDS) == 2


def test_every_event_that_is_listened_to_is_counted(
    northside, grown, django_capture_on_commit_callbacks
):
    told = OutboxSettled(
        tenant=NORTHSIDE, at=SystemClock().now(), outbox="alerts",
        endings={one.value: n for n, one in enumerate(Ending)}, seconds=[0.1, 0.2],
    )  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        MetricsListener(USING).handle(told)

    counted = {
        one.value: grown(metrics.DELIVERIES, outbox="alerts", result=one.value) for one in Ending
    }
    assert counted == told.endings
    assert grown(metrics.DELIVERY_SECONDS, outbox="alerts") == 2


@pytest.fixture
def receiver(settings):
    pytest.importorskip("cryptography", reason="keys of endpoints need the extra webhooks")
    local = {
        "ALLOW_HTTP": True,
        "ALLOWED_NETWORKS": ["127.0.0.0/8"],
        "CONFIRM_ENDPOINTS": False,
        "THREADS": 1,
    }
    settings.CLAIMKIT = {**settings.CLAIMKIT, "WEBHOOKS": local}
    made = Receiver(answering(answer(204), answer(500)))
    yield made
    made.close()


def test_what_a_receiver_answered_is_counted(
    northside, receiver, grown, django_capture_on_commit_callbacks
):
    with enter(northside):
        add_endpoint(url=receiver.url(), event_types=["*"], using=USING)
    for upload in ("upl_1", "upl_2"):
        stage(imported(upload=upload, rejected=0))
        with django_capture_on_commit_callbacks(execute=True):
            deliver(make_courier(USING))

    assert grown(metrics.DELIVERIES, outbox="webhooks", result="done") == 1
    assert grown(metrics.DELIVERIES, outbox="webhooks", result="retry") == 1
    assert grown(metrics.DELIVERY_SECONDS, outbox="webhooks") == 2


def test_a_notification_that_was_sent_is_counted(
    northside, grown, drifted, django_capture_on_commit_callbacks
):
    pytest.importorskip("cryptography", reason="settings of channels need the extra webhooks")
    with enter(northside):
        channel = Channel.objects.create(name="Log", kind="log", sealed_settings=sealed({}))
        Route.objects.create(name="All", channels=[channel.uid], interval_minutes=0)
    with django_capture_on_commit_callbacks(execute=True):
        stage(drifted("DriftDetected"))
        notify_due(using=USING)

    assert grown(metrics.DELIVERIES, outbox="alerts", result="done") == 1


def test_a_finding_and_its_alert_are_counted(
    northside, grown, drifted, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        stage(drifted("DriftDetected"), drifted("DriftResolved"))

    assert grown(metrics.DRIFT_FINDINGS, change="detected", severity="high") == 1
    assert grown(metrics.DRIFT_FINDINGS, change="resolved", severity="high") == 1
    assert grown(metrics.ALERTS, change="opened", severity="high") == 1
    assert grown(metrics.ALERTS, change="resolved", severity="high") == 1


def test_a_task_is_counted_by_its_end(grown):
    celery = pytest.importorskip("celery")
    app = celery.Celery("counted", broker="memory://", set_as_current=False)

    @app.task(name="counted.divide", shared=False)
    def task(by):
        return 1 / by

    task.apply(args=(1,))
    task.apply(args=(0,))

    assert grown(metrics.TASKS, task="counted.divide", state="success") == 1
    assert grown(metrics.TASKS, task="counted.divide", state="failure") == 1
    assert grown(metrics.TASK_SECONDS, task="counted.divide") == 2


# -- requests -----------------------------------------------------------------------------------


@pytest.fixture
def counted(settings):
    settings.MIDDLEWARE = ["claimkit_django.ops.middleware.MetricsMiddleware", *settings.MIDDLEWARE]


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/livez?name=Doe", {"method": "GET", "route": "/livez", "status": "200"}),
        ("POST", "/livez", {"method": "POST", "route": "/livez", "status": "405"}),
        ("BREW", "/livez", {"method": "OTHER", "route": "/livez", "status": "405"}),
        (
            "GET",
            "/api/v1/webhooks/endpoints/whe_7/",
            {"method": "GET", "route": "/api/v1/webhooks/endpoints/<uid>/", "status": "401"},
        ),
        ("GET", "/Marsupilami", {"method": "GET", "route": "unmatched", "status": "404"}),
        (
            "GET",
            "/api/v1/problems/not_found/",
            {"method": "GET", "route": "/api/v1/problems/<slug:code>/", "status": "200"},
        ),
    ],
)
def test_a_request_is_counted_by_its_route(client, counted, grown, db, method, path, labels):
    client.generic(method, path)

    assert grown(metrics.HTTP_REQUESTS, **labels) == 1
    del labels["status"]
    assert grown(metrics.HTTP_SECONDS, **labels) == 1


def test_a_view_that_fails_is_counted(client, counted, grown, db, monkeypatch):
    monkeypatch.setattr("claimkit_django.ops.views.examine", lambda: 1 / 0)
    client.raise_request_exception = False
    client.get("/health/")

    assert grown(metrics.HTTP_REQUESTS, method="GET", route="/health/", status="500") == 1


async def _ask(client):
    return await client.get("/livez")


def test_requests_are_counted_in_async_stacks_too(async_client, counted, grown, db):
    from asgiref.sync import async_to_sync

    async_to_sync(_ask)(async_client)

    assert grown(metrics.HTTP_REQUESTS, method="GET", route="/livez", status="200") == 1


# -- the exposition -----------------------------------------------------------------------------


def families(text, parser=parse):
    return {one.name: one for one in parser(text)}


def test_a_scrape_tells_every_series(client, ops, bearer, northside, waiting, counted, tmp_path):
    ops(BACKUP_STATUS=str(tmp_path / "backup.json"))
    waiting(northside, seconds=120)
    meter().count(metrics.FILES)
    answer = client.get("/metrics", headers=bearer)
    told = families(answer.content.decode())

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer["Cache-Control"] == "no-store"
    # Once there was a watch.
    absent = {"claimkit_platform_oldest_watch_seconds"}
    if connection.vendor != "postgresql":
        absent |= {"claimkit_database_connections", "claimkit_database_connections_limit"}
    wanted = {name.removesuffix("_total") for name in SERIES} - absent
    assert wanted - told.keys() == set()
    assert told["claimkit_database_bytes"].samples[0].value > 100_000
    kinds = {name.removesuffix("_total"): one.kind.value for name, one in SERIES.items()}
    assert {name: told[name].type for name in wanted} == {
        name: kind for name, kind in kinds.items() if name in wanted
    }
    (age,) = [
        one.value
        for one in told["claimkit_outbox_oldest_due_seconds"].samples
        if one.labels == {"outbox": "webhooks"}
    ]
    assert 120 <= age < 150
    assert {one.value for one in told["claimkit_scrape_failed"].samples} == {0}


def test_openmetrics_is_told_to_who_asks_for_it(client, ops, bearer, db):
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = client.get("/metrics", headers=bearer | accept)

    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert "claimkit_files_imported" in families(answer.content.decode(), parse_openmetrics)


def test_metrics_are_not_for_strangers(client, ops, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/metrics")

    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="claimkit ops"')
    assert b"claimkit_" not in answer.content
    ops(ALLOWED_NETWORKS=["192.0.2.0/24"])
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_a_scrape_asks_as_much_whatever_there_is(
    northside, lakeview, waiting, notification, make_upload, django_assert_num_queries
):
    for tenant in (northside, lakeview):
        for seconds in (1, 50):
            waiting(tenant, seconds=seconds)
        make_upload(tenant, status="queued")
    notification(3)
    expose("", using=USING)

    with django_assert_num_queries(14 if connection.vendor == "postgresql" else 12):
        expose("", using=USING)


def test_gauges_tell_how_things_are(northside, lakeview, make_upload, opened):
    make_upload(northside, status="queued")
    now = timezone.now()
    begun = {"started_at": now, "heartbeat_at": now}
    make_upload(lakeview, status="processing", **begun)
    make_upload(lakeview, status="failed", error_code="file_unreadable", finished_at=now, **begun)
    opened(northside, "high")
    opened(lakeview, "high", state="acknowledged")
    told = {(one.series.name, one.labels): one.value for one in gauges(USING)}

    assert told["claimkit_uploads_waiting", ("queued",)] == 1
    assert told["claimkit_uploads_waiting", ("processing",)] == 1
    assert 0 < told["claimkit_uploads_oldest_waiting_seconds", ()] < 60
    assert told["claimkit_alerts_open", ("high",)] == 2
    assert told["claimkit_alerts_open", ("low",)] == 0
    assert told["claimkit_drift_oldest_watch_seconds", ()] == 0


def test_the_tenant_that_waits_the_longest_is_told(northside, lakeview, watched):
    watched(northside, days=1)
    watched(northside, days=9)
    watched(lakeview, days=3)
    watched(lakeview, days=0, status="failed")
    told = {one.series.name: one.value for one in gauges(USING)}

    assert told["claimkit_drift_oldest_watch_seconds"] // 86_400 == 3
    lakeview.active = False
    lakeview.save()
    told = {one.series.name: one.value for one in gauges(USING)}
    assert told["claimkit_drift_oldest_watch_seconds"] // 86_400 == 1


@pytest.mark.parametrize("app", ["claimkit_webhooks", "claimkit_claims"])
def test_a_room_that_cannot_tell_costs_nobody_else_a_thing(db, monkeypatch, app):
    room = app.removeprefix("claimkit_")
    monkeypatch.setattr(f"claimkit_django.{room}.vitals.gauges", lambda using: 1 / 0)
    told = families(expose("", using=USING)[0].decode())

    failed = {one.labels["source"]: one.value for one in told["claimkit_scrape_failed"].samples}
    assert failed[app] == 1
    assert sum(failed.values()) == 1
    assert "claimkit_files_imported" in told
    assert "claimkit_alerts_open" in told


def test_without_the_extra_there_is_nothing_to_expose(client, ops, bearer, db, monkeypatch):
    monkeypatch.setattr(exposed, "_INSTALLED", False)
    answer = client.get("/metrics", headers=bearer)

    assert answer.status_code == 501
    assert b"claimkit[metrics]" in answer.content
    nothing = exposed._Made().meter()
    nothing.count(metrics.FILES, tenant=NORTHSIDE)
    nothing.time(metrics.DRIFT_RUN_SECONDS, seconds=1)


# -- tenants ------------------------------------------------------------------------------------


def text_of(label):
    registry = CollectorRegistry()
    made = PrometheusMeter(registry, tenant_label=label)
    made.count(metrics.CLAIMS, "new", by=5, tenant=NORTHSIDE)
    made.count(metrics.CLAIMS, "new", by=5)
    made.count(metrics.FILES, tenant=NORTHSIDE)
    made.count(metrics.TASKS, "look", "success", tenant=NORTHSIDE)
    return generate_latest(registry).decode()


def test_a_tenant_has_no_name_unless_the_site_asks_for_it():
    assert "northside" not in text_of("")
    assert 'claimkit_claims_total{result="new"} 10.0' in text_of("")
    assert 'claimkit_claims_total{result="new",tenant="northside"} 5.0' in text_of("key")
    assert 'claimkit_tasks_total{state="success",task="look"} 1.0' in text_of("key")


def test_a_hashed_tenant_has_the_same_name_everywhere_and_cannot_be_guessed():
    name = tenant_name(NORTHSIDE, "hash")

    assert f'tenant="{name}"' in text_of("hash")
    assert "northside" not in text_of("hash")
    assert (len(name), name) == (12, tenant_name(NORTHSIDE, "hash"))
    with override_settings(SECRET_KEY="another" * 8):
        assert tenant_name(NORTHSIDE, "hash") != name


# -- several processes --------------------------------------------------------------------------

_PROCESSES = """
import os, django
from django.conf import settings
settings.configure(
    SECRET_KEY="k" * 50, USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
from claimkit.ops import metrics
from claimkit_django.ops.metrics import expose, meter
for n in (2, 3):
    if os.fork() == 0:
        meter().count(metrics.CLAIMS, "new", by=n)
        meter().time(metrics.DRIFT_RUN_SECONDS, seconds=n)
        os._exit(0)
    os.wait()
meter().count(metrics.CLAIMS, "new")
print(expose("", using="default")[0].decode())
"""


def test_processes_are_told_as_one(tmp_path):
    """Two workers that are gone and the one that is asked, as with gunicorn or Celery."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROCESSES],
        env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = families(done.stdout)

    assert [one.value for one in told["claimkit_claims"].samples] == [6]
    (total,) = [
        one.value
        for one in told["claimkit_drift_run_duration_seconds"].samples
        if one.name.endswith("_sum")
    ]
    assert total == 5


def test_promtool_has_nothing_to_say(ops, northside, waiting):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on this machine")
    waiting(northside, seconds=7)
    meter().count(metrics.CLAIMS, "new")
    body = expose("", using=USING)[0]
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True)

    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
