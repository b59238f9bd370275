"""Real receivers on the loopback interface, most of which misbehave."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time


class Receiver:
    """A server that hands each connection to a script, and counts what it got.

    Attributes:
        requests: Head and body of each request, as received.
        connections: How many were accepted.
    """

    def __init__(self, script, *, tls=None):
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self._script = script
        self._tls = tls
        self._stopping = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self, path="/hook", scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def close(self):
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self):
        while not self._stopping.is_set():
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock):
        sock.settimeout(5)
        # Whatever the client does to it, a receiver that misbehaves just ends.
        with contextlib.suppress(OSError, ssl.SSLError), sock:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock:
                self._script(self, sock)

    def read(self, sock):
        """Read one request; False at the end of the connection."""
        raw = b""
        while b"\r\n\r\n" not in raw:
            chunk = sock.recv(65_536)
            if not chunk:
                return False
            raw += chunk
        head, _, body = raw.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += sock.recv(65_536)
        self.requests.append((head, body))
        return True

    def drip(self, sock, data, *, pause=0.05):
        """Send byte by byte until the client has had enough."""
        for byte in data:
            sock.sendall(bytes([byte]))
            if self._stopping.is_set():
                return
            time.sleep(pause)


def answering(*answers):
    """Return a script that gives these answers in turn, the last one for ever."""

    def script(receiver, sock):
        while receiver.read(sock):
            number = min(len(receiver.requests), len(answers)) - 1
            sock.sendall(answers[number])

    return script


def answer(status=200, body=b"", **headers):
    """Return the bytes of a response."""
    lines = [f"HTTP/1.1 {status} Marsupilami", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
