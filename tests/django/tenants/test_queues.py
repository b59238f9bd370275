"""Tenants take turns: messages are spread over queues, through a real worker."""

from __future__ import annotations

import threading

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from claimkit.tenants import use_tenant
from claimkit.types import TenantKey
from claimkit_django.claims import tasks
from claimkit_django.tenants.queues import FairQueues
from claimkit_django.tenants.tasks import TENANT_HEADER, TenantTask

FAIR = FairQueues("imports", "look.*", "claimkit.claims.*", count=8)


def test_a_tenant_has_one_queue_however_it_is_told():
    by_header = FAIR("look.at", options={"headers": {TENANT_HEADER: "northside"}})
    by_argument = FAIR(
        "claimkit.claims.import_upload", ("upl_1", "northside"), task=tasks.import_upload
    )
    with use_tenant(TenantKey("northside")):
        in_scope = FAIR("look.at")

    assert by_header == by_argument == in_scope
    assert by_header["queue"] in FAIR.names


def test_many_tenants_use_all_queues():
    used = {FAIR("look.at", kwargs={"tenant": f"clinic-{n}"})["queue"] for n in range(200)}

    assert used == set(FAIR.names)


def test_others_are_left_to_the_next_router():
    assert FAIR("claimkit.webhooks.deliver", ()) is None
    assert FAIR("look.at") == {"queue": "imports.0"}
    assert FAIR("claimkit.claims.import_upload", (1, 2, 3, 4, 5), task=tasks.import_upload) == {
        "queue": "imports.0"
    }


@pytest.mark.parametrize("wrong", [(), ("look.*",)])
def test_nothing_to_route_and_nowhere_to_route_to_are_refused(wrong):
    with pytest.raises(ValueError, match="at least one"):
        FairQueues("imports", *wrong, count=0 if wrong else 8)


@pytest.mark.parametrize(("routes", "most_before"), [([FAIR], 2), ([], 12)])
def test_the_file_of_one_waits_for_one_of_the_other_and_not_for_all(db, routes, most_before):
    app = Celery("turns", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_routes=routes,
        task_default_queue="all-in-one",
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
    )
    seen, is_done = [], threading.Event()

    @app.task(base=TenantTask, name="look.at", shared=False)
    def look(tenant):
        seen.append(tenant)
        if len(seen) == 13:
            is_done.set()

    for tenant in ["northside"] * 12 + ["lakeview"]:
        with use_tenant(TenantKey(tenant)):
            look.delay(tenant)
    queues = list(FAIR.names) if routes else ["all-in-one"]
    with start_worker(
        app, pool="solo", perform_ping_check=False, queues=queues, shutdown_timeout=20
    ):
        assert is_done.wait(30)
    app.close()

    before = seen.index("lakeview")
    assert before <= most_before
    assert routes or before == most_before, "without the router there is nothing to show"
