"""A proxy that is the only way out: everything goes through it, and nothing beside it."""

from __future__ import annotations

import ipaddress
import socket
import threading

import pytest

from claimkit.errors import ConfigError
from claimkit.testing.receivers import answer, answering, hanging_up
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import HttpTransport, Limits, Reason, SendFailed, parse_proxy
from claimkit.webhooks.trust import Certificates

LOCAL = TargetPolicy(allow_http=True, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
LIMITS = Limits(total_seconds=3, connect_seconds=2)


def nobody(host, port, *, timeout_seconds):
    raise AssertionError("where there is a proxy, it looks names up")


def leading_to(receiver):
    """Return the script of a proxy for which every name is this receiver."""

    def script(proxy, sock):
        proxy.read(sock)
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as inner:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\nVia: marsupilami\r\n\r\n")
            back = threading.Thread(target=pump, args=(inner, sock), daemon=True)
            back.start()
            pump(sock, inner)
            back.join(5)

    return script


def pump(source, sink):
    try:
        while chunk := source.recv(65_536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def through(request):
    made = []

    def make(proxy, **options):
        options.setdefault("resolver", nobody)
        address = f"http://127.0.0.1:{proxy.port}"
        made.append(HttpTransport(LOCAL, limits=LIMITS, proxy=address, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_request_goes_through_the_proxy_which_looks_the_name_up(receive, through):
    receiver = receive(answering(answer(202)))
    proxy = receive(leading_to(receiver))

    transport = through(proxy)
    statuses = [transport.post("http://hooks.example.org/a", {}, b"{}").status for _ in range(2)]

    assert statuses == [202, 202]
    # Kept like any connection.
    ((asked, _),) = proxy.requests
    assert asked.split(b"\r\n") == [
        b"CONNECT hooks.example.org:80 HTTP/1.1",
        b"Host: hooks.example.org:80",
    ]
    assert receiver.requests[0][0].startswith(b"POST /a HTTP/1.1\r\nHost: hooks.example.org\r\n")


def test_the_receiver_is_known_by_its_certificate_through_the_proxy(receive, authority, through):
    receiver = receive(answering(answer(204)), tls=authority.issue("hooks.example.org"))
    proxy = receive(leading_to(receiver))
    transport = through(proxy)
    known = Certificates(authority=authority.trusted.read_text())

    reply = transport.post("https://hooks.example.org/", {}, b"{}", certificates=known)
    with pytest.raises(SendFailed) as caught:
        transport.post("https://elsewhere.example.org/", {}, b"{}", certificates=known)

    assert (reply.status, caught.value.reason) == (204, Reason.TLS_ERROR)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (answer(403), Reason.BLOCKED_ADDRESS),
        (answer(407), Reason.BLOCKED_ADDRESS),
        (answer(502), Reason.CONNECT_FAILED),
        (answer(302), Reason.CONNECT_FAILED),
        (b"SMTP\r\n\r\n", Reason.CONNECT_FAILED),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000, Reason.CONNECT_FAILED),
        (b"", Reason.CONNECT_FAILED),
    ],
)
def test_what_a_proxy_says_when_it_leads_nowhere(receive, through, said, reason):
    proxy = receive(answering(said) if said else hanging_up)

    with pytest.raises(SendFailed) as caught:
        through(proxy).post("http://hooks.example.org/", {}, b"{}")
    assert caught.value.reason is reason


def test_a_proxy_that_says_nothing_ends_at_the_deadline(receive, through):
    def silent(proxy, sock):
        proxy.read(sock)
        sock.recv(1)

    transport = through(receive(silent))
    transport._limits = Limits(total_seconds=0.3)

    with pytest.raises(SendFailed) as caught:
        transport.post("http://hooks.example.org/", {}, b"{}")
    assert caught.value.reason is Reason.CONNECT_TIMEOUT


def test_an_address_inside_is_refused_before_the_proxy_is_asked(receive):
    proxy = receive(answering(answer(200)))
    strict = HttpTransport(TargetPolicy(), proxy=f"http://127.0.0.1:{proxy.port}")

    with pytest.raises(SendFailed) as caught:
        strict.post("https://169.254.169.254/latest", {}, b"{}")
    assert (caught.value.reason, proxy.connections) == (Reason.BLOCKED_ADDRESS, 0)


def test_without_its_proxy_nothing_leaves(receive):
    receiver = receive(answering(answer(200)))
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody_there = server.getsockname()[1]

    with pytest.raises(SendFailed) as caught:
        HttpTransport(LOCAL, proxy=f"http://127.0.0.1:{nobody_there}").post(
            receiver.url(), {}, b"{}"
        )
    assert (caught.value.reason, receiver.connections) == (Reason.CONNECT_FAILED, 0)


def test_how_a_proxy_is_written():
    assert parse_proxy("http://egress.internal:4750") == ("egress.internal", 4750)
    assert parse_proxy("http://[::1]:4750/") == ("::1", 4750)


@pytest.mark.parametrize(
    "text",
    [
        "egress:4750",
        "http://egress",
        "https://egress:1",
        "http://a:b@egress:1",
        "http://egress:99999",
    ],
)
def test_what_is_no_proxy(text):
    with pytest.raises(ConfigError, match="no proxy"):
        HttpTransport(LOCAL, proxy=text)
