"""A partner's program that takes the demo's webhooks: verifies each, and keeps what it believes.

    python example_project/receiver.py

It knows nothing of Django, and of claimkit only how to verify a signature. Webhooks of a hospital
arrive at ``/KEY``, are checked with the key in ``partner/KEY.key``, and are written to
``partner/inbox/`` under their id, so that one that comes twice is kept once.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from claimkit.errors import VerificationError
from claimkit.webhooks import parse_key, verify

#: Port on this machine at which webhooks arrive.
PORT = int(os.environ.get("CLAIMKIT_DEMO_RECEIVER_PORT", "8001"))
_MAX_BODY = 65_536


class Receiver(ThreadingHTTPServer):
    """Listens on this machine.

    Args:
        folder: Holds the keys and the inbox.
        says: Called with one line for each webhook.
        port: 0 for any that is free.
    """

    def __init__(self, folder: Path, *, says: Any = print, port: int = PORT) -> None:
        self.folder = folder
        self.says = says
        (folder / "inbox").mkdir(parents=True, exist_ok=True)
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """Take a webhook that was signed just now with the hospital's key; refuse all others."""
        hospital = self.path.strip("/")
        length = int(self.headers.get("content-length") or 0)
        path = self.server.folder / f"{hospital}.key"
        if not hospital.isidentifier() or not path.is_file() or length > _MAX_BODY:
            self._answer(404, {})
            return
        body = self.rfile.read(length)
        key = parse_key(path.read_text(encoding="ascii").strip())
        try:
            told = verify(self.headers.items(), body, [key], now=dt.datetime.now(dt.UTC))
        except VerificationError as error:
            self.server.says(f"{hospital}: refused, {error.code}")
            self._answer(401, {"code": error.code})
            return
        message = json.loads(body)
        kept = self.server.folder / "inbox" / f"{told.message_id}.json"
        is_new = not kept.exists()
        kept.write_bytes(body)
        again = "" if is_new else " (again)"
        self.server.says(f"{hospital}: {message['type']}, signature valid{again}")
        # A sender asks first whether it is wanted.
        self._answer(200, {"challenge": message["data"].get("challenge", "")})

    def _answer(self, status: int, told: dict[str, str]) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: Any) -> None:
        """Say nothing of requests: what arrives is said above."""


def main() -> int:
    """Listen until interrupted."""
    default = os.environ.get("CLAIMKIT_DEMO_DIR") or Path(__file__).parent.parent / ".demo"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}")
    parser.add_argument("--folder", type=Path, default=Path(default) / "partner")
    arguments = parser.parse_args()
    try:
        server = Receiver(arguments.folder, port=arguments.port)
    except OSError as error:
        print(f"port {arguments.port} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    print(f"Taking webhooks at http://127.0.0.1:{server.server_port}/, into {arguments.folder}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
