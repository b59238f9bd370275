"""The tenant travels with a task's message, through a real worker."""

from __future__ import annotations

import threading

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from claimkit.errors import TenantRequired
from claimkit.tenants import current_tenant, in_tenant, use_tenant
from claimkit_django.tenants.tasks import TENANT_HEADER, TenantTask


class Seen:
    def __init__(self, wanted):
        self.tenants = []
        self._wanted = wanted
        self._full = threading.Event()

    def add(self, one):
        self.tenants.append(one)
        if len(self.tenants) == self._wanted:
            self._full.set()

    def wait(self):
        assert self._full.wait(20)
        return sorted(self.tenants)


@pytest.fixture
def app():
    made = Celery("scopes", broker="memory://", backend="cache+memory://", set_as_current=False)
    made.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
    yield made
    made.close()


@pytest.fixture
def worker(app, db):  # Django checks its models when a worker starts, and asks the database.
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20):
        yield app


def test_a_worker_runs_each_message_in_its_own_tenant(app, request):
    seen = Seen(wanted=3)

    @app.task(
        base=TenantTask,
        bind=True,
        name="scopes.look",
        max_retries=1,
        default_retry_delay=0,
        shared=False,
    )
    def look(self, retry=False):
        if retry and not self.request.retries:
            raise self.retry()
        seen.add(current_tenant())

    request.getfixturevalue("worker")
    with use_tenant("northside"):
        look.delay()
    with use_tenant("lakeview"):
        look.delay()
        look.delay(retry=True)

    assert seen.wait() == ["lakeview", "lakeview", "northside"]
    assert not in_tenant()


def test_a_task_is_not_queued_without_a_tenant(app):
    @app.task(base=TenantTask, name="scopes.never", shared=False)
    def never():
        pytest.fail("ran without a tenant")

    with pytest.raises(TenantRequired):
        never.delay()


def test_a_message_without_a_tenant_is_refused(app, request):
    seen = Seen(wanted=1)

    class Watching(TenantTask):
        abstract = True

        def on_failure(self, exc, *args, **kwargs):
            seen.add(type(exc).__name__)

    @app.task(base=Watching, name="scopes.refused", shared=False)
    def refused():
        seen.add("ran")

    request.getfixturevalue("worker")
    app.send_task("scopes.refused", headers={TENANT_HEADER: ""})

    assert seen.wait() == ["TenantRequired"]


def test_a_direct_call_stays_in_the_scope_of_the_caller(app):
    @app.task(base=TenantTask, name="scopes.direct", shared=False)
    def direct():
        return current_tenant()

    with use_tenant("northside"):
        assert direct() == "northside"
    with pytest.raises(TenantRequired):
        direct()
