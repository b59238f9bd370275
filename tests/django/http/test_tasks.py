"""A task runs under the id and in the trace of the request that queued it."""

from __future__ import annotations

import pytest

pytest.importorskip("celery")

from celery import Celery

from claimkit_django.http.request_ids import current_request_id, use_request_id
from claimkit_django.http.tasks import follow_requests
from claimkit_django.http.traces import TraceContext, current_trace, use_trace


@pytest.fixture
def app():
    app = Celery("followers", broker="memory://", set_as_current=False)
    follow_requests("followers.")
    return app


@pytest.fixture
def run(app):
    """Publish to the broker in memory and do what a worker does with the message."""
    seen = []

    @app.task(name="followers.look", shared=False)
    def look():
        trace = current_trace()
        seen.append((current_request_id(), trace.trace_id if trace else ""))

    def publish_and_work():
        look.apply_async(queue="followers")
        with app.connection_for_read() as connection:
            queue = connection.SimpleQueue("followers")
            message = queue.get(timeout=5)
            message.ack()
            queue.close()
        look.apply(task_id=message.headers["id"], headers=dict(message.headers))
        return seen[-1]

    return publish_and_work


def test_the_request_goes_along(run):
    trace = TraceContext.start()
    with use_request_id("checkout-0001"), use_trace(trace):
        pass
    with use_request_id("checkout-0001"), use_trace(trace):
        found = run()

    assert found == ("checkout-0001", trace.trace_id)
    assert (current_request_id(), current_trace()) == ("", None)


def test_without_a_request_the_task_has_an_id_and_a_trace_of_its_own(run):
    request_id, trace_id = run()

    assert len(request_id) == 36
    assert len(trace_id) == 32


def test_other_tasks_are_left_alone(app):
    headers = {}

    @app.task(name="of_the_host.look", shared=False)
    def look():
        headers["seen"] = current_request_id()

    with use_request_id("checkout-0001"):
        look.apply_async(queue="followers")
        with app.connection_for_read() as connection:
            queue = connection.SimpleQueue("followers")
            message = queue.get(timeout=5)
            message.ack()
            queue.close()

    assert "claimkit_request_id" not in message.headers
