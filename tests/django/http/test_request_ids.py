from __future__ import annotations

import asyncio
import logging
import re

import pytest
from django.http import HttpResponse
from django.test import AsyncClient
from django.urls import path

from claimkit_django.http.request_ids import (
    RequestIdFilter,
    current_request_id,
    use_request_id,
)

pytestmark = pytest.mark.urls(__name__)


def echo(request):
    assert request.request_id == current_request_id()
    return HttpResponse(current_request_id())


async def echo_later(request):
    return HttpResponse(current_request_id())


urlpatterns = [path("echo/", echo), path("later/", echo_later)]


def test_a_harmless_id_is_taken_and_echoed(client):
    answer = client.get("/echo/", headers={"x-request-id": "checkout-7_0001.a"})

    assert answer["X-Request-ID"] == "checkout-7_0001.a"
    assert answer.content == b"checkout-7_0001.a"


@pytest.mark.parametrize(
    "sent", ["", "short", "x" * 65, "line\nbreak-in-it", "späße-12345", "a b c d e f"]
)
def test_a_harmful_id_is_replaced(client, sent):
    answer = client.get("/echo/", headers={"x-request-id": sent})

    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-ID"])


def test_nothing_is_left_behind(client):
    client.get("/echo/")

    assert current_request_id() == ""


def test_async_views_have_it_too():
    answer = asyncio.run(AsyncClient().get("/later/", headers={"x-request-id": "async-0001"}))

    assert answer.content == b"async-0001"
    assert answer["X-Request-ID"] == "async-0001"


def test_log_records_carry_it():
    record = logging.makeLogRecord({"msg": "imported"})
    with use_request_id("task-of-0001"):
        assert RequestIdFilter().filter(record)

    assert record.request_id == "task-of-0001"


def test_an_error_page_has_an_id_and_a_version(client):
    answer = client.get("/nowhere/")

    assert answer.status_code == 404
    assert answer["X-Request-ID"]
    assert answer["API-Version"] == "1.0"
