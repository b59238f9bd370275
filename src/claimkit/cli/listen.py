"""``claimkit listen`` and ``claimkit verify``: see webhooks arrive, and say whether to trust them.

``listen`` is a receiver for the time in which a real one is made: it verifies what comes, prints a
line for each, answers 204 or 401, and repeats the challenge of a ping. ``verify`` does the same to
one that somebody kept.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from claimkit.cli.terminal import fail, print_json
from claimkit.cli.webhooks import add_key_argument, read_key
from claimkit.errors import VerificationError
from claimkit.events import EndpointPinged
from claimkit.types import SystemClock
from claimkit.webhooks.signing import TOLERANCE, verify

if TYPE_CHECKING:
    import argparse

    from claimkit.webhooks.signing import HeaderPairs, PublicKey, SecretKey, SigningPair

__all__ = ["add_listen_arguments", "add_verify_arguments", "listen", "verify_kept"]

_MAX_BODY: Final = 1_048_576
_PATIENCE_SECONDS: Final = 10
_FOR_EVER: Final = dt.timedelta(days=36_500)


def add_listen_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``claimkit listen``."""
    parser.add_argument("--port", type=int, default=8080, help="where to listen (8080)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--count", type=int, metavar="N", help="stop after so many webhooks")
    add_key_argument(parser, "whsec_… or whpk_…")


def add_verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``claimkit verify``."""
    parser.add_argument("body", type=Path, metavar="BODY", help="file with the bytes of the body")
    parser.add_argument(
        "--headers", type=Path, required=True, metavar="FILE", help="a line 'name: value' for each"
    )
    parser.add_argument(
        "--any-time", action="store_true", help="take one that was sent long ago: it was kept"
    )
    add_key_argument(parser, "whsec_… or whpk_…")


def listen(arguments: argparse.Namespace) -> int:
    """Receive webhooks until enough came or somebody interrupts; return the exit status.

    The status is 1 if one could not be verified.

    Raises:
        ConfigError, InvalidSigningKey: there is no key, or none that verifies.
        OSError: the port is taken.
    """
    key, is_good = read_key(arguments), True
    with _Listener((arguments.host, arguments.port), key) as server:
        where = f"http://{arguments.host}:{server.server_address[1]}/"
        print(f"claimkit: listening on {where}", file=sys.stderr, flush=True)
        while arguments.count is None or server.heard < arguments.count:
            server.told.clear()
            # One after the other, so that lines come in the order of arrival.
            server.handle_request()
            for row in server.told:
                _print(row, as_json=arguments.format == "json")
                is_good = is_good and bool(row["verified"])
    return 0 if is_good else 1


def verify_kept(arguments: argparse.Namespace) -> int:
    """Verify a webhook that was kept in files, print what is known of it, return the exit status.

    Raises:
        ConfigError, InvalidSigningKey: there is no key, or none that verifies.
        OSError: a file cannot be read.
    """
    text = arguments.headers.read_text(encoding="latin-1")
    lines = [line.partition(":") for line in text.splitlines() if ":" in line]
    headers = [(name.strip(), value.strip()) for name, _, value in lines]
    row = _look(
        headers,
        arguments.body.read_bytes(),
        read_key(arguments),
        tolerance=_FOR_EVER if arguments.any_time else TOLERANCE,
    )
    if arguments.format == "text" and not row["verified"]:
        return fail(f"not verified: {row['code']}")
    _print(row, as_json=arguments.format == "json")
    return 0 if row["verified"] else 1


class _Listener(HTTPServer):
    """Keeps what it heard in ``told``; nothing else may use it at the same time."""

    def __init__(self, address: tuple[str, int], key: SecretKey | SigningPair | PublicKey) -> None:
        self.key = key
        self.told: list[dict[str, Any]] = []
        self.heard = 0
        super().__init__(address, _Handler)

    def hear(self, headers: HeaderPairs, body: bytes) -> dict[str, Any]:
        """Verify one, keep what is told of it, and return that."""
        row = _look(headers, body, self.key)
        self.told.append(row)
        self.heard += 1
        return row


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    server_version = "claimkit"
    sys_version = ""
    #: Whoever connects and says nothing holds the others up no longer.
    timeout = _PATIENCE_SECONDS

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
        """Take a webhook."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MAX_BODY:
            self._answer(413 if length.isdigit() else 411, {"code": "content_length"})
            return
        row = self.server.hear(self.headers.items(), self.rfile.read(int(length)))
        if not row["verified"]:
            self._answer(401, {"code": row["code"]})
        elif row["type"] == EndpointPinged.topic and row["data"].get("challenge"):
            self._answer(200, {"challenge": row["data"]["challenge"]})
        else:
            self._answer(204, None)

    def log_message(self, *_: Any) -> None:
        """Say nothing: a line is printed for each webhook."""

    def _answer(self, status: int, told: dict[str, str] | None) -> None:
        body = json.dumps(told).encode() if told else b""
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _look(
    headers: HeaderPairs,
    body: bytes,
    key: SecretKey | SigningPair | PublicKey,
    *,
    tolerance: dt.timedelta = TOLERANCE,
) -> dict[str, Any]:
    """Return what is known of a webhook, as it is printed."""
    try:
        verified = verify(headers, body, [key], now=SystemClock().now(), tolerance=tolerance)
    except VerificationError as error:
        return {"verified": False, "code": error.code}
    row = {"verified": True, "id": verified.message_id, "sent_at": verified.sent_at.isoformat()}
    try:
        told = json.loads(body)
        known = {"type": str(told["type"]), "data": dict(told["data"])}
    except (ValueError, KeyError, TypeError):
        known = {"type": "", "data": {}}
    return {**row, **known}


def _print(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(row)
    elif row["verified"]:
        print(f"{row['id']}  {row['type']}  {json.dumps(row['data'], ensure_ascii=False)}")
    else:
        print(f"not verified: {row['code']}")
    sys.stdout.flush()
