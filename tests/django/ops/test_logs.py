"""Lines of a site carry the request, its trace and the task."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import subprocess
import sys

import pytest

from claimkit_django.http.request_ids import use_request_id
from claimkit_django.http.traces import TraceContext, use_trace
from claimkit_django.ops.logs import JsonFormatter
from claimkit_django.tenants.scope import enter


def line(**extra):
    record = logging.getLogger("claimkit").makeRecord(
        "claimkit", logging.INFO, __file__, 7, "a file is in", (), None, "f", extra or None
    )
    return json.loads(JsonFormatter().format(record))


def test_a_line_says_which_request_and_tenant_it_belongs_to(northside):
    trace = TraceContext.start()
    with enter(northside), use_request_id("req-marsupilami"), use_trace(trace):
        told = line(upload="upl_1")

    assert (told["tenant"], told["request_id"], told["upload"]) == (
        "northside",
        "req-marsupilami",
        "upl_1",
    )
    assert (told["trace_id"], told["span_id"]) == (trace.trace_id, trace.span_id)
    assert not {"tenant", "request_id", "trace_id", "task"} & line().keys()


def test_a_line_of_a_task_says_which():
    celery = pytest.importorskip("celery")
    app = celery.Celery("logging", broker="memory://", set_as_current=False)
    told = app.task(name="claimkit.look")(line).apply(task_id="t-7").get()

    assert (told["task"], told["task_id"]) == ("claimkit.look", "t-7")


def test_the_formatter_is_there_when_settings_are_read():
    """LOGGING is configured before the apps are: nothing may be imported that needs them."""
    code = (
        "import logging.config, sys; logging.config.dictConfig({'version': 1, 'formatters': "
        "{'json': {'()': 'claimkit_django.ops.logs.JsonFormatter', 'fields': ['queue']}}, "
        "'handlers': {'out': {'class': 'logging.StreamHandler', 'formatter': 'json'}}, "
        "'root': {'handlers': ['out']}}); logging.error('mail %s', 'jane@example.org'); "
        "assert 'celery' not in sys.modules and 'django.apps' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr)["message"] == "mail [removed]"


def test_an_error_of_a_view_is_logged_without_what_it_said(client, db, monkeypatch):
    from claimkit_django.ops import views

    name = "".join(["Marsu", "pilami"])

    def fail():
        raise KeyError(name)

    monkeypatch.setattr(views, "examine", fail)
    client.raise_request_exception = False
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    try:
        assert client.get("/health/").status_code == 500
    finally:
        logger.removeHandler(handler)

    told = json.loads(stream.getvalue())
    assert told["message"] == "Internal Server Error: /health/"
    assert told["status_code"] == 500
    assert told["exception"]["type"] == "KeyError"
    assert "Marsupilami" not in stream.getvalue()
    assert "request" in told["left_out"]
