"""Real HTTP receivers on the loopback interface, most of which misbehave.

A receiver is a script: a function of the receiver and of a connection that was accepted.

>>> import urllib.request
>>> with Receiver(answering(answer(202))) as receiver:
...     with urllib.request.urlopen(receiver.url("/alerts"), data=b"{}") as reply:
...         status = reply.status
>>> status, [body for _, body in receiver.requests]
(202, [b'{}'])
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "Receiver",
    "Script",
    "answer",
    "answering",
    "chattering",
    "dripping",
    "hanging",
    "hanging_up",
    "resetting",
]

_PATIENCE_SECONDS = 5
_CHUNK = 65_536


class Receiver:
    """A server that hands each connection to a script, and counts what it got.

    Attributes:
        requests: Head and body of each request, as received.
        connections: How many were accepted.
        script: What happens to connections from now on.
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.script = script
        self._tls = tls
        self._serving: set[socket.socket] = set()
        self._stopping = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, path: str = "/hook", scheme: str = "http") -> str:
        """Return its address."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """Stop listening, and wait for what is being served."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        # A client may keep its connection for another request: nobody waits for that one.
        for sock in self._serving.copy():
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RD)
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)

    def read(self, sock: socket.socket) -> bool:
        """Read one request; False at the end of the connection."""
        raw = b""
        while b"\r\n\r\n" not in raw:
            chunk = sock.recv(_CHUNK)
            if not chunk:
                return False
            raw += chunk
        head, _, body = raw.partition(b"\r\n\r\n")
        lengths = (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        length = next(lengths, 0)
        while len(body) < length:
            chunk = sock.recv(_CHUNK)
            if not chunk:
                return False
            body += chunk
        self.requests.append((head, body))
        return True

    def drip(self, sock: socket.socket, content: bytes, *, pause: float = 0.05) -> None:
        """Send byte by byte, with so many seconds between, until the client has had enough."""
        for byte in content:
            sock.sendall(bytes([byte]))
            if self._stopping.is_set():
                return
            time.sleep(pause)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(_PATIENCE_SECONDS)
        # Whatever the client does to it, a receiver that misbehaves just ends.
        with contextlib.suppress(OSError, ssl.SSLError), sock:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock:
                self._serving.add(sock)
                try:
                    self.script(self, sock)
                finally:
                    self._serving.discard(sock)


Script: TypeAlias = Callable[[Receiver, socket.socket], None]


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of a response; an underscore in a header's name stands for a hyphen."""
    lines = [f"HTTP/1.1 {status} Marsupilami", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answering(*answers: bytes) -> Script:
    """Return a script that gives these answers in turn, the last one for ever."""

    def script(receiver: Receiver, sock: socket.socket) -> None:
        while receiver.read(sock):
            number = min(len(receiver.requests), len(answers)) - 1
            sock.sendall(answers[number])

    return script


def hanging_up(receiver: Receiver, sock: socket.socket) -> None:
    """Read the request and close the connection."""
    receiver.read(sock)


def resetting(receiver: Receiver, sock: socket.socket) -> None:
    """Read the request and reset the connection."""
    receiver.read(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hanging(receiver: Receiver, sock: socket.socket) -> None:
    """Read the request and say nothing until the client has had enough."""
    receiver.read(sock)
    sock.recv(1)


def dripping(receiver: Receiver, sock: socket.socket) -> None:
    """Begin an answer that never ends, one byte at a time."""
    receiver.read(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    receiver.drip(sock, b"x" * 999)


def chattering(content: bytes) -> Script:
    """Return a script that answers with these bytes, whatever they are, and closes."""

    def script(receiver: Receiver, sock: socket.socket) -> None:
        receiver.read(sock)
        sock.sendall(content)

    return script
