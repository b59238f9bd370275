from __future__ import annotations

import datetime as dt
import ipaddress
import json

import pytest

from claimkit.testing.receivers import Receiver, answer, answering, hanging_up
from claimkit.webhooks.posts import Posted, post_json
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import HttpTransport, Limits

LOCAL = TargetPolicy(allow_http=True, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
NOON = dt.datetime(2026, 4, 12, 12, 0, tzinfo=dt.UTC)


class Noon:
    def now(self):
        return NOON


@pytest.fixture
def transport():
    made = HttpTransport(LOCAL, limits=Limits(total_seconds=2.0))
    yield made
    made.close()


@pytest.fixture
def post(transport):
    def send(*answers):
        with Receiver(answering(*answers)) as receiver:
            return post_json(transport, receiver.url(), {"a": 1}, clock=Noon())

    return send


def test_a_document_arrives_as_json(transport):
    with Receiver(answering(answer(202))) as receiver:
        posted = post_json(transport, receiver.url("/a"), {"payer": "Éowyn", "cents": 417})

    ((head, body),) = receiver.requests
    assert posted == Posted()
    assert posted.is_taken
    assert json.loads(body) == {"payer": "Éowyn", "cents": 417}
    assert b"content-type: application/json\r\n" in head
    assert b"user-agent: claimkit/" in head


@pytest.mark.parametrize("status", [300, 302, 400, 401, 403, 404, 410, 413, 422])
def test_a_refusal_is_for_ever_and_asks_for_no_wait(post, status):
    posted = post(answer(status, Retry_After="60"))

    assert posted == Posted(reason=f"http_{status}", is_permanent=True)
    assert not posted.is_taken


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_what_passes_says_when_to_come_again(post, status):
    posted = post(answer(status, Retry_After="Sun, 12 Apr 2026 12:02:00 GMT"))

    assert posted == Posted(reason=f"http_{status}", retry_after=dt.timedelta(minutes=2))


@pytest.mark.parametrize(
    ("url", "reason", "is_permanent"),
    [
        ("https://user:marsupilami@example.org/", "target_invalid", True),
        ("https://192.168.4.17/", "blocked_address", False),
    ],
)
def test_an_address_that_may_not_be_reached(transport, url, reason, is_permanent):
    posted = post_json(transport, url, {})

    assert posted == Posted(reason=reason, is_permanent=is_permanent)


def test_a_receiver_that_hangs_up_may_be_tried_again(transport):
    with Receiver(hanging_up) as receiver:
        posted = post_json(transport, receiver.url(), {})

    assert posted == Posted(reason="connection_lost")
