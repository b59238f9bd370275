from __future__ import annotations

import datetime as dt
import json
import socket
import threading
from http.client import HTTPConnection

import pytest

from claimkit.cli import main
from claimkit.webhooks import generate_key, sign


@pytest.fixture
def key(monkeypatch):
    made = generate_key()
    monkeypatch.setenv("CLAIMKIT_WEBHOOK_KEY", made.text)
    return made


@pytest.fixture
def listening(capsys):
    """Run ``claimkit listen`` for some requests; return their answers, its status and its lines."""

    def run(*requests):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        status = []
        arguments = ["listen", "--port", str(port), "--format", "json"]
        counted = sum(body is not None for _, body in requests)
        thread = threading.Thread(
            target=lambda: status.append(main([*arguments, "--count", str(counted)]))
        )
        thread.start()
        answers = [send(port, headers, body) for headers, body in requests]
        thread.join(20)
        return answers, status[0], [json.loads(one) for one in capsys.readouterr().out.splitlines()]

    return run


def send(port, headers, body):
    for _ in range(200):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET" if body is None else "POST", "/", body, headers)
        except ConnectionRefusedError:
            threading.Event().wait(0.02)
            continue
        answer = connection.getresponse()
        told = answer.read()
        connection.close()
        return answer.status, told
    raise AssertionError("nobody listens")


def signed(key, told, message_id="msg_1"):
    body = json.dumps(told).encode()
    return sign(message_id, dt.datetime.now(dt.UTC), body, [key]), body


def test_what_arrives_is_verified_and_printed(key, listening):
    data = {"version": 1, "upload": "upl_1"}
    answers, status, lines = listening(
        signed(key, {"type": "claims.imported", "data": data}),
        signed(key, ["no", "webhook"], "msg_2"),
    )

    assert (answers, status) == ([(204, b""), (204, b"")], 0)
    assert [(one["verified"], one["id"], one["type"]) for one in lines] == [
        (True, "msg_1", "claims.imported"),
        (True, "msg_2", ""),
    ]
    assert lines[0]["data"] == data


def test_a_ping_is_answered_and_what_cannot_be_trusted_is_not(key, listening):
    ping = {"type": "webhooks.ping", "data": {"endpoint": "whe_1", "challenge": "chl_1"}}
    answers, status, lines = listening(
        ({}, None),
        signed(key, ping),
        signed(generate_key(), ping),
        ({}, b"{}"),
    )

    assert answers[0][0] == 501
    assert answers[1:] == [
        (200, b'{"challenge": "chl_1"}'),
        (401, b'{"code": "no_matching_signature"}'),
        (401, b'{"code": "header_missing"}'),
    ]
    assert (status, [one["verified"] for one in lines]) == (1, [True, False, False])


@pytest.fixture
def kept(tmp_path):
    def keep(headers, body):
        (tmp_path / "headers").write_text("".join(f"{a}: {b}\r\n" for a, b in headers.items()))
        (tmp_path / "body").write_bytes(body)
        return ["verify", str(tmp_path / "body"), "--headers", str(tmp_path / "headers")]

    return keep


def test_one_that_was_kept_is_verified_whenever_it_was_sent(key, kept, capsys):
    body = b'{"type": "claims.imported", "data": {}}'
    long_ago = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    arguments = kept(sign("msg_1", long_ago, body, [key]), body)

    assert main(arguments) == 1
    assert "timestamp_too_old" in capsys.readouterr().err
    assert main([*arguments, "--any-time"]) == 0
    assert capsys.readouterr().out == "msg_1  claims.imported  {}\n"
    assert main([*arguments, "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"verified": False, "code": "timestamp_too_old"}
