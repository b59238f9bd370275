"""Sending one request to an address that was checked, within limits that no receiver can stretch.

The standard library's ``http.client`` over a socket of our own: it connects to the checked
address and nowhere else, its deadline counts for the whole attempt and not for each read, it takes
64 KiB at most, follows no redirect, decodes no content, keeps no cookie and asks no proxy that the
environment names. Connections are kept for the next request to the same target; one transport
belongs to one thread.

Where a proxy is given, every connection is a tunnel through it (``CONNECT``), and there are no
others: names are then its to look up, and its to refuse. Addresses in URLs are checked all the same.
"""

from __future__ import annotations

import http.client
import io
import re
import select
import socket
import ssl
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from claimkit.errors import ClaimkitError, ConfigError, InvalidTarget
from claimkit.webhooks.targets import (
    SystemResolver,
    TargetPolicy,
    check_address,
    parse_target,
    resolve,
)
from claimkit.webhooks.trust import Certificates, make_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from claimkit.webhooks.targets import Resolver, Target

__all__ = ["HttpTransport", "Limits", "Reason", "Reply", "SendFailed", "Transport", "parse_proxy"]

_SNIPPET: Final = 4_096
_MAX_KEPT: Final = 32
_CHUNK: Final = 8_192
#: What a proxy may answer to CONNECT.
_TUNNEL_BYTES: Final = 16_384
_PROXY = re.compile(r"http://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([1-9][0-9]{0,4})/?", re.ASCII)
_PROXY_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
#: Statuses by which proxies say that one may not go there; Smokescreen says 407.
_REFUSING: Final = frozenset({403, 407})


class Reason(StrEnum):
    """Why an attempt failed, in words that tell a tenant nothing about our network."""

    TARGET_INVALID = "target_invalid"
    BLOCKED_ADDRESS = "blocked_address"
    DNS_FAILURE = "dns_failure"
    CONNECT_FAILED = "connect_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_ERROR = "tls_error"
    DEADLINE = "deadline"
    CONNECTION_LOST = "connection_lost"
    BAD_RESPONSE = "bad_response"
    TOO_LARGE = "too_large"


class SendFailed(ClaimkitError):
    """An attempt that brought no answer; ``reason`` is all that is told."""

    code = "send_failed"

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the request failed: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one attempt may take."""

    #: From looking up the name to the last byte of the answer.
    total_seconds: float = 15.0
    connect_seconds: float = 5.0
    #: Headers and body of the answer.
    response_bytes: int = 65_536
    #: A connection that idled longer is not used again.
    idle_seconds: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a receiver answered."""

    status: int
    #: Raw text of ``Retry-After``, empty without one.
    retry_after: str = ""
    #: The beginning of the body, at most 4 KiB, not decoded.
    body: bytes = field(default=b"", repr=False)


class Transport(Protocol):
    """Sends one request."""

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        certificates: Certificates | None = None,
    ) -> Reply:
        """Return the answer, whatever its status.

        Args:
            url: Where to send it.
            headers: What to send beside the headers of HTTP itself.
            body: The exact bytes.
            certificates: Those of the receiver's own; None: the system says who is trusted.

        Raises:
            SendFailed: there was none that could be read within the limits.
        """
        ...

    def close(self) -> None:
        """Close whatever is kept open."""
        ...


class _TooLarge(Exception):
    """The answer is longer than the limit."""


class _BoundedSocket:
    """A socket whose every operation ends at one deadline, and which gives a limited answer."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self.sock = sock
        self._clock = clock
        self._ends = 0.0
        self._left = 0
        #: Whether any byte of the answer has arrived.
        self.answered = False

    def begin(self, *, ends: float, response_bytes: int) -> None:
        """Start an attempt."""
        self._ends, self._left, self.answered = ends, response_bytes, False

    def sendall(self, data: Any) -> None:
        """Send it all before the deadline."""
        rest = memoryview(data).cast("B")
        while rest:
            self._arm()
            rest = rest[self.sock.send(rest) :]

    def recv_into(self, buffer: Any) -> int:
        """Receive some bytes before the deadline."""
        if self._left <= 0:
            raise _TooLarge
        self._arm()
        count = self.sock.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        self.answered = self.answered or count > 0
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the reader that ``http.client`` asks for."""
        del mode
        return io.BufferedReader(_Reader(self), _CHUNK)

    def close(self) -> None:
        """Do nothing: ``http.client`` closes what will not be kept before it has read the body."""

    def end(self) -> None:
        """Close the socket."""
        self.sock.close()

    def _arm(self) -> None:
        remaining = self._ends - self._clock()
        if remaining <= 0:
            raise TimeoutError
        self.sock.settimeout(remaining)


class _Reader(io.RawIOBase):
    def __init__(self, source: _BoundedSocket) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.recv_into(buffer)


_SYSTEM: Final = Certificates()
#: What a connection is for: scheme, host, port, and who is trusted there.
_Way: TypeAlias = tuple[str, str, int, Certificates]


@dataclass(slots=True)
class _Kept:
    connection: http.client.HTTPConnection
    sock: _BoundedSocket
    used_at: float
    way: _Way


def parse_proxy(text: str) -> tuple[str, int]:
    """Return host and port of a proxy such as ``http://egress.internal:4750``.

    Raises:
        ConfigError: it is none.
    """
    match = _PROXY.fullmatch(text)
    if match is None or int(match[2]) > 65_535:
        raise ConfigError(
            f"{text!r} is no proxy for webhooks", remedy="Write http://host:port, nothing else"
        )
    return match[1].strip("[]"), int(match[2])


class HttpTransport:
    """:class:`Transport` over real connections.

    Args:
        policy: Where requests may go; asked again at every attempt.
        limits: What one attempt may take.
        resolver: Looks names up.
        tls: How to talk TLS; the default verifies, and takes TLS 1.2 or later.
        proxy: The only way out, such as ``http://egress.internal:4750``; empty: straight out.
        clock: Seconds that only ever grow.

    Raises:
        ConfigError: the proxy is none.
    """

    def __init__(
        self,
        policy: TargetPolicy,
        *,
        limits: Limits | None = None,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        proxy: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._limits = limits or Limits()
        self._resolver = resolver or SystemResolver()
        # Reading all authorities takes a while, and what never speaks TLS need not.
        self._tls = {_SYSTEM: tls} if tls else {}
        self._proxy = parse_proxy(proxy) if proxy else None
        self._clock = clock
        self._kept: dict[_Way, _Kept] = {}

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        certificates: Certificates | None = None,
    ) -> Reply:
        """See :meth:`Transport.post`."""
        ends = self._clock() + self._limits.total_seconds
        try:
            target = parse_target(url, self._policy)
        except InvalidTarget as error:
            blocked = error.code == Reason.BLOCKED_ADDRESS
            raise SendFailed(Reason.BLOCKED_ADDRESS if blocked else Reason.TARGET_INVALID) from None
        way = (target.scheme, target.host, target.port, certificates or _SYSTEM)
        kept = self._reuse(way)
        if kept is not None:
            try:
                return self._exchange(kept, target, headers, body, ends)
            except SendFailed as error:
                # The receiver closed a connection that it had offered to keep; nothing came back.
                if error.reason is not Reason.CONNECTION_LOST or kept.sock.answered:
                    raise
        return self._exchange(self._open(target, way, ends), target, headers, body, ends)

    def close(self) -> None:
        """Close all connections."""
        for kept in self._kept.values():
            kept.sock.end()
        self._kept.clear()

    def _reuse(self, way: _Way) -> _Kept | None:
        kept = self._kept.pop(way, None)
        if kept is None:
            return None
        stale = self._clock() - kept.used_at > self._limits.idle_seconds
        # Readable while nothing was asked: closed, or talking out of turn.
        if stale or _is_readable(kept.sock.sock):
            kept.sock.end()
            return None
        return kept

    def _keep(self, kept: _Kept) -> None:
        if len(self._kept) >= _MAX_KEPT:
            oldest = min(self._kept, key=lambda key: self._kept[key].used_at)
            self._kept.pop(oldest).sock.end()
        kept.used_at = self._clock()
        self._kept[kept.way] = kept

    def _open(self, target: Target, way: _Way, ends: float) -> _Kept:
        sock = self._connect(target, way[3], ends)
        bounded = _BoundedSocket(sock, self._clock)
        connection = http.client.HTTPConnection(target.host, target.port)
        # Given a socket, http.client never connects by itself; ours is one in what it uses.
        connection.sock = bounded
        connection.auto_open = 0
        return _Kept(connection, bounded, self._clock(), way)

    def _connect(self, target: Target, certificates: Certificates, ends: float) -> socket.socket:
        sock = self._dial(target, ends)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy is None:
                check_address(sock.getpeername()[0], self._policy)
            else:
                self._tunnel(sock, target, ends)
            if target.scheme == "http":
                return sock
            sock.settimeout(self._seconds_to_connect(ends))
            # Certificate and SNI are of the name, whatever address it led to.
            return self._tls_of(certificates).wrap_socket(sock, server_hostname=target.host)
        except InvalidTarget as error:
            blocked = error.code == Reason.BLOCKED_ADDRESS
            reason = Reason.BLOCKED_ADDRESS if blocked else Reason.TLS_ERROR
        except (ssl.SSLError, ssl.CertificateError):
            reason = Reason.TLS_ERROR
        except TimeoutError:
            reason = Reason.CONNECT_TIMEOUT
        except (OSError, _TooLarge):
            reason = Reason.CONNECT_FAILED
        sock.close()
        raise SendFailed(reason)

    def _dial(self, target: Target, ends: float) -> socket.socket:
        seconds = min(self._limits.connect_seconds, ends - self._clock())
        if self._proxy is not None:
            address = self._proxy
        else:
            try:
                found = resolve(target, self._policy, self._resolver, timeout_seconds=seconds)
            except InvalidTarget:
                raise SendFailed(Reason.BLOCKED_ADDRESS) from None
            except OSError:
                raise SendFailed(Reason.DNS_FAILURE) from None
            address = (found, target.port)
        try:
            return socket.create_connection(address, timeout=self._seconds_to_connect(ends))
        except TimeoutError:
            raise SendFailed(Reason.CONNECT_TIMEOUT) from None
        except OSError:
            raise SendFailed(Reason.CONNECT_FAILED) from None

    def _tunnel(self, sock: socket.socket, target: Target, ends: float) -> None:
        """Let the proxy lead to the target.

        Raises:
            InvalidTarget: it says that one may not go there (code ``blocked_address``).
            OSError: it does not, for another reason.
        """
        bounded = _BoundedSocket(sock, self._clock)
        until = self._clock() + self._seconds_to_connect(ends)
        bounded.begin(ends=until, response_bytes=_TUNNEL_BYTES)
        where = f"[{target.host}]" if ":" in target.host else target.host
        asked = f"CONNECT {where}:{target.port} HTTP/1.1\r\nHost: {where}:{target.port}\r\n\r\n"
        bounded.sendall(asked.encode())
        head, byte = bytearray(), bytearray(1)
        # Byte by byte: what follows is the receiver's, and not to be read here.
        while not head.endswith(b"\r\n\r\n"):
            if not bounded.recv_into(byte):
                raise ConnectionError("the proxy hung up")
            head += byte
        found = _PROXY_STATUS.match(head)
        status = int(found[1]) if found else 0
        if status in _REFUSING:
            raise InvalidTarget("the proxy refuses to go there", code=Reason.BLOCKED_ADDRESS)
        if not 200 <= status < 300:
            raise ConnectionError("the proxy could not connect")

    def _seconds_to_connect(self, ends: float) -> float:
        return max(0.001, min(self._limits.connect_seconds, ends - self._clock()))

    def _tls_of(self, certificates: Certificates) -> ssl.SSLContext:
        if certificates not in self._tls:
            if len(self._tls) >= _MAX_KEPT:
                self._tls.pop(next(iter(self._tls)))
            self._tls[certificates] = make_tls(certificates)
        return self._tls[certificates]

    def _exchange(
        self, kept: _Kept, target: Target, headers: Mapping[str, str], body: bytes, ends: float
    ) -> Reply:
        kept.sock.begin(ends=ends, response_bytes=self._limits.response_bytes)
        reusable = False
        try:
            reply, reusable = _talk(kept.connection, target, headers, body)
        except TimeoutError:
            raise SendFailed(Reason.DEADLINE) from None
        except (_TooLarge, http.client.LineTooLong):
            raise SendFailed(Reason.TOO_LARGE) from None
        except (
            http.client.RemoteDisconnected,
            http.client.IncompleteRead,
            http.client.NotConnected,
        ):
            raise SendFailed(Reason.CONNECTION_LOST) from None
        except (http.client.HTTPException, ValueError) as error:
            many = "more than" in str(error)
            raise SendFailed(Reason.TOO_LARGE if many else Reason.BAD_RESPONSE) from None
        except OSError:
            raise SendFailed(Reason.CONNECTION_LOST) from None
        finally:
            if not reusable:
                kept.sock.end()
        if reusable:
            self._keep(kept)
        return reply


def _talk(
    connection: http.client.HTTPConnection, target: Target, headers: Mapping[str, str], body: bytes
) -> tuple[Reply, bool]:
    """Send, read, and say whether the connection may serve again."""
    connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", target.authority)
    connection.putheader("Accept-Encoding", "identity")
    connection.putheader("Content-Length", str(len(body)))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    read = bytearray()
    whole = False
    try:
        while chunk := response.read(_CHUNK):
            if len(read) < _SNIPPET:
                read += chunk
        if response.length:
            # read() with a size does not say so itself.
            raise http.client.IncompleteRead(bytes(read), response.length)
        whole = True
    except _TooLarge:
        # The status is known and is the answer; nobody needs the rest.
        pass
    reply = Reply(
        status=response.status,
        retry_after=response.headers.get("Retry-After", ""),
        body=bytes(read[:_SNIPPET]),
    )
    reusable = whole and not response.will_close
    response.close()
    return reply, reusable


def _is_readable(sock: socket.socket) -> bool:
    if hasattr(select, "poll"):
        # select() takes no descriptor above 1,023.
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
