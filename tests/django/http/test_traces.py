"""Traces are continued where they are well-formed, and started where they are not."""

from __future__ import annotations

import logging
import re

import pytest
from django.http import HttpResponse
from django.urls import path

from claimkit_django.http.traces import TraceContext, TraceFilter, current_trace, use_trace

pytestmark = pytest.mark.urls(__name__)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def tell(request):
    trace = current_trace()
    return HttpResponse(f"{trace.traceparent} {trace.state}")


urlpatterns = [path("tell/", tell)]


@pytest.fixture(autouse=True)
def _stack(settings):
    settings.MIDDLEWARE = ["claimkit_django.http.traces.TraceContextMiddleware"]


@pytest.mark.parametrize(
    "sent",
    [f"00-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"],
)
def test_a_trace_is_continued_under_a_new_span(client, sent):
    body = client.get("/tell/", headers={"traceparent": sent, "tracestate": "rojo=1"}).content

    assert re.fullmatch(rf"00-{TRACE}-(?!{SPAN})[0-9a-f]{{16}}-01 rojo=1", body.decode())


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_anything_else_starts_a_new_one(client, sent):
    body = client.get("/tell/", headers={"traceparent": sent, "tracestate": "rojo=1"}).content

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00 ", body.decode())
    assert TRACE not in body.decode()


def test_a_long_state_is_dropped(client):
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-00", "tracestate": "x=" + "y" * 600}

    assert client.get("/tell/", headers=headers).content.decode().endswith("-00 ")


def test_log_records_carry_it_and_nothing_is_left_behind():
    inside, outside = (logging.makeLogRecord({"msg": "imported"}) for _ in range(2))
    trace = TraceContext.start()
    with use_trace(trace):
        TraceFilter().filter(inside)
    TraceFilter().filter(outside)

    assert (inside.trace_id, inside.span_id) == (trace.trace_id, trace.span_id)
    assert (outside.trace_id, outside.span_id) == ("", "")
