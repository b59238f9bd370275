from __future__ import annotations

import datetime as dt
import json

import pytest

from claimkit.cli import main
from claimkit.testing.receivers import Receiver, answer, answering
from claimkit.webhooks import generate_key, verify


@pytest.fixture
def receiver():
    made = Receiver(answering(answer(204)))
    yield made
    made.close()


@pytest.fixture
def key(monkeypatch):
    made = generate_key()
    monkeypatch.setenv("CLAIMKIT_WEBHOOK_KEY", made.text)
    return made


def test_a_receiver_is_tried_with_a_ping_that_it_can_verify(receiver, key, capsys):
    status = main(["deliver", receiver.url(), "--local", "--format", "json"])

    ((head, body),) = receiver.requests
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    told = json.loads(capsys.readouterr().out)
    assert (status, told["delivered"], told["status"]) == (0, True, 204)
    assert json.loads(body)["type"] == "webhooks.ping"
    assert verify(headers, body, [key], now=dt.datetime.now(dt.UTC)).key == key.fingerprint


def test_a_body_of_your_own_and_a_key_in_a_file(receiver, tmp_path, capsys):
    (tmp_path / "key").write_text(generate_key().text + "\n")
    (tmp_path / "body").write_bytes(b'{"a": 1}')

    files = ["--key-file", str(tmp_path / "key"), "--body", str(tmp_path / "body")]
    status = main(["deliver", receiver.url(), "--local", *files])

    assert (status, receiver.requests[0][1]) == (0, b'{"a": 1}')
    assert capsys.readouterr().out.startswith("delivered: status 204")


def test_an_address_inside_is_refused(receiver, key, capsys):
    assert main(["deliver", receiver.url()]) == 1
    assert receiver.connections == 0
    assert "https" in capsys.readouterr().err


def test_what_went_wrong_is_told(key, capsys):
    failing = Receiver(answering(answer(500)))
    try:
        assert main(["deliver", failing.url(), "--local"]) == 1
    finally:
        failing.close()

    assert "not delivered: http_status, status 500" in capsys.readouterr().err


def test_without_a_key_nothing_is_sent(receiver, monkeypatch, capsys):
    monkeypatch.delenv("CLAIMKIT_WEBHOOK_KEY", raising=False)

    assert main(["deliver", receiver.url(), "--local"]) == 1
    assert "there is no key" in capsys.readouterr().err
