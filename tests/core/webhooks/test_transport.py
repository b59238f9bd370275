from __future__ import annotations

import ipaddress
import resource
import socket
import ssl
import time
import zlib

import pytest

from claimkit.testing.receivers import answer, answering
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import HttpTransport, Limits, Reason, SendFailed

LOCAL = TargetPolicy(allow_http=True, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
QUICK = Limits(total_seconds=0.6, connect_seconds=0.4)
OK = answer(204)


@pytest.fixture
def transport():
    made = HttpTransport(LOCAL, limits=QUICK)
    yield made
    made.close()


def reason_of(transport, url, body=b"{}"):
    with pytest.raises(SendFailed) as caught:
        transport.post(url, {}, body)
    return caught.value.reason


def test_what_a_receiver_gets(receive, transport):
    receiver = receive(answering(OK))

    reply = transport.post(receiver.url("/a?b=1"), {"webhook-id": "msg_1"}, b'{"x":1}')

    ((head, body),) = receiver.requests
    assert reply.status == 204
    assert body == b'{"x":1}'
    assert head.decode().split("\r\n") == [
        "POST /a?b=1 HTTP/1.1",
        f"Host: 127.0.0.1:{receiver.port}",
        "Accept-Encoding: identity",
        "Content-Length: 7",
        "webhook-id: msg_1",
    ]


def test_a_connection_serves_again(receive, transport):
    receiver = receive(answering(OK))

    for _ in range(3):
        transport.post(receiver.url(), {}, b"{}")

    assert (len(receiver.requests), receiver.connections) == (3, 1)


@pytest.mark.parametrize(
    "version", ["HTTP/1.0 200 OK\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n"]
)
def test_an_answer_in_two_pieces_before_the_receiver_closes(receive, transport, version):
    def script(receiver, sock):
        receiver.read(sock)
        sock.sendall(f"{version}Content-Length: 5\r\n\r\n".encode())
        time.sleep(0.05)
        sock.sendall(b"taken")

    receiver = receive(script)
    reply = transport.post(receiver.url(), {}, b"{}")

    assert (reply.status, reply.body) == (200, b"taken")
    transport.post(receiver.url(), {}, b"{}")
    assert receiver.connections == 2


def test_a_connection_that_the_receiver_closed_is_replaced(receive, transport):
    def once(receiver, sock):
        receiver.read(sock)
        sock.sendall(answer(200))

    receiver = receive(once)

    statuses = [transport.post(receiver.url(), {}, b"{}").status for _ in range(3)]

    assert (statuses, receiver.connections) == ([200] * 3, 3)


@pytest.mark.parametrize("status", [200, 204, 206, 299, 300, 400, 410, 429, 500])
def test_a_status_is_an_answer(receive, transport, status):
    receiver = receive(answering(answer(status, b"no" if status != 204 else b"")))

    assert transport.post(receiver.url(), {}, b"{}").status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(receive, transport, status):
    """A28."""
    elsewhere = receive(answering(OK))
    receiver = receive(answering(answer(status, Location=elsewhere.url())))

    assert transport.post(receiver.url(), {"webhook-signature": "v1,x"}, b"{}").status == status
    assert elsewhere.connections == 0


def test_cookies_and_challenges_are_ignored(receive, transport):
    """A52."""
    receiver = receive(
        answering(answer(401, Set_Cookie="a=b", WWW_Authenticate="Basic"), answer(200))
    )

    assert [transport.post(receiver.url(), {}, b"{}").status for _ in range(2)] == [401, 200]
    assert b"ookie" not in receiver.requests[1][0]
    assert b"uthorization" not in receiver.requests[1][0]


def test_proxies_of_the_environment_are_ignored(receive, transport, monkeypatch):
    """A51."""
    proxy = receive(answering(OK))
    receiver = receive(answering(answer(202)))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

    assert transport.post(receiver.url(), {}, b"{}").status == 202
    assert proxy.connections == 0


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b""],
    ids=["headers", "body", "everything"],
)
def test_one_byte_at_a_time_ends_at_the_deadline(receive, transport, head):
    """A31."""

    def drip(receiver, sock):
        receiver.read(sock)
        sock.sendall(head)
        receiver.drip(sock, b"x" * 999)

    began = time.monotonic()

    assert reason_of(transport, receive(drip).url()) is Reason.DEADLINE
    assert 0.5 < time.monotonic() - began < 3


def test_a_receiver_that_never_answers(receive, transport):
    def hang(receiver, sock):
        receiver.read(sock)
        sock.recv(1)

    assert reason_of(transport, receive(hang).url()) is Reason.DEADLINE


def test_a_receiver_that_never_reads(receive, transport):
    def deaf(receiver, sock):
        receiver._stopping.wait(3)

    assert reason_of(transport, receive(deaf).url(), b"x" * 30_000_000) is Reason.DEADLINE


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxy", b"HTTP/1.1 2"]
)
def test_a_connection_that_ends_early(receive, transport, said):
    """A32."""

    def half(receiver, sock):
        receiver.read(sock)
        sock.sendall(said)

    reason = reason_of(transport, receive(half).url())

    assert reason in {Reason.CONNECTION_LOST, Reason.BAD_RESPONSE}


def test_a_connection_that_is_reset(receive, transport):
    """A32."""

    def reset(receiver, sock):
        receiver.read(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert reason_of(transport, receive(reset).url()) is Reason.CONNECTION_LOST


@pytest.mark.parametrize("said", [b"SMTP 220 hello\r\n\r\n", b"\x00\xff" * 99 + b"\r\n\r\n"])
def test_what_is_no_answer_of_http(receive, transport, said):
    assert reason_of(transport, receive(answering(said)).url()) is Reason.BAD_RESPONSE


@pytest.mark.parametrize("length", [b"Transfer-Encoding: chunked", b"Content-Length: 1073741824"])
def test_an_endless_body_is_cut_and_the_status_counts(receive, transport, length):
    """A33."""

    def flood(receiver, sock):
        receiver.read(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n")
        while True:
            sock.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reply = transport.post(receive(flood).url(), {}, b"{}")

    assert (reply.status, len(reply.body)) == (200, 4_096)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 1024


def test_a_bomb_is_not_unpacked(receive, transport):
    """A34."""
    # Bit by bit: whoever packs 60 MB at once hides from the measure what unpacking would take.
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(60)), packer.flush()])
    receiver = receive(answering(answer(200, bomb, Content_Encoding="gzip")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert transport.post(receiver.url(), {}, b"{}").body == bomb[:4_096]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 1024


@pytest.mark.parametrize(
    "headers",
    [
        b"X: y\r\n" * 200,
        b"X: y\r\n" * 100_000,
        b"X: " + b"y" * 70_000 + b"\r\n",
        b"X: " + b"y" * 999_999,
    ],
    ids=["many", "far too many", "long", "longer"],
)
def test_too_many_headers(receive, transport, headers):
    """A35."""
    receiver = receive(answering(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n"))

    assert reason_of(transport, receiver.url()) is Reason.TOO_LARGE


def test_endless_provisional_answers(receive, transport):
    def patience(receiver, sock):
        receiver.read(sock)
        while True:
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    assert reason_of(transport, receive(patience).url()) is Reason.TOO_LARGE


def test_nobody_listens(transport):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert reason_of(transport, f"http://127.0.0.1:{port}/") is Reason.CONNECT_FAILED


# -- addresses ---------------------------------------------------------------------------------


class Names:
    """A resolver with answers in turn, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host, port, *, timeout_seconds):
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, OSError):
            raise answer
        return answer


def test_a_private_address_is_never_connected_to(receive):
    """A23."""
    receiver = receive(answering(OK))
    strict = HttpTransport(TargetPolicy(allow_http=True), limits=QUICK)

    assert reason_of(strict, receiver.url()) is Reason.BLOCKED_ADDRESS
    assert reason_of(strict, f"http://localhost:{receiver.port}/") is Reason.BLOCKED_ADDRESS
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"]]
)
def test_a_name_that_leads_inside_at_all_is_blocked(receive, answers):
    """A24, A26, A27."""
    receiver = receive(answering(OK))
    names = Names(answers)
    strict = HttpTransport(TargetPolicy(allow_http=True), limits=QUICK, resolver=names)

    assert reason_of(strict, f"http://hooks.example.org:{receiver.port}/") is Reason.BLOCKED_ADDRESS
    assert (receiver.connections, names.asked) == (0, 1)


def test_a_name_is_looked_up_once_and_the_checked_address_is_connected_to(receive):
    """A25: rebinding: whatever the name would lead to next does not matter."""
    inside = receive(answering(OK))
    names = Names(["127.0.0.7"], ["127.0.0.1"])
    policy = TargetPolicy(allow_http=True, allowed_networks=(ipaddress.ip_network("127.0.0.7/32"),))
    with socket.create_server(("127.0.0.7", inside.port)) as listener:
        listener.settimeout(5)
        rebound = HttpTransport(policy, limits=QUICK, resolver=names)
        assert reason_of(rebound, f"http://hooks.example.org:{inside.port}/") is Reason.DEADLINE
        assert reason_of(rebound, f"http://hooks.example.org:{inside.port}/") is (
            Reason.BLOCKED_ADDRESS
        )
        sock, _ = listener.accept()
        sock.close()

    assert inside.connections == 0


def test_a_name_that_nobody_knows():
    unknown = HttpTransport(LOCAL, limits=QUICK, resolver=Names(OSError("marsupilami")))

    assert reason_of(unknown, "http://hooks.example.org/") is Reason.DNS_FAILURE


def test_an_address_that_was_changed_by_hand_is_refused_at_the_last_moment():
    """A22, A23."""
    strict = HttpTransport(TargetPolicy(), limits=QUICK)

    assert reason_of(strict, "http://hooks.example.org/") is Reason.TARGET_INVALID
    assert reason_of(strict, "https://169.254.169.254/latest") is Reason.BLOCKED_ADDRESS


# -- TLS ---------------------------------------------------------------------------------------


@pytest.fixture
def secure(authority):
    trusted = authority.trusted
    tls = ssl.create_default_context(cafile=str(trusted))
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    limits = Limits(total_seconds=3, connect_seconds=2)
    made = HttpTransport(LOCAL, limits=limits, resolver=Names(["127.0.0.1"]), tls=tls)
    yield made
    made.close()


def test_a_certificate_of_the_name(receive, authority, secure):
    receiver = receive(answering(OK), tls=authority.issue("hooks.example.org"))
    url = f"https://hooks.example.org:{receiver.port}/"

    assert [secure.post(url, {}, b"{}").status for _ in range(2)] == [204, 204]
    assert receiver.connections == 1


@pytest.mark.parametrize(
    ("subject", "options"),
    [
        ("elsewhere.example.org", {}),
        ("hooks.example.org", {"days": -1}),
        ("hooks.example.org", {"trusted_by": None}),
    ],
    ids=["wrong name", "expired", "unknown issuer"],
)
def test_a_certificate_that_proves_nothing(receive, authority, secure, subject, options):
    """A36."""
    receiver = receive(answering(OK), tls=authority.issue(subject, **options))

    assert reason_of(secure, f"https://hooks.example.org:{receiver.port}/") is Reason.TLS_ERROR
    assert receiver.requests == []


def test_a_receiver_that_talks_old_tls_only(receive, authority, secure):
    """A36."""
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old = authority.issue("hooks.example.org", highest=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    receiver = receive(answering(OK), tls=old)

    assert reason_of(secure, f"https://hooks.example.org:{receiver.port}/") is Reason.TLS_ERROR
    assert receiver.requests == []


def test_a_receiver_that_talks_no_tls(receive, secure):
    def babble(receiver, sock):
        sock.recv(9)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    reason = reason_of(secure, f"https://hooks.example.org:{receive(babble).port}/")

    assert reason in {Reason.TLS_ERROR, Reason.CONNECT_FAILED}
