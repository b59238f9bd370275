"""The processes of the benchmark: ``roles.py ROLE …``, each prints one JSON object at its end.

``receive`` answers 204 and remembers when each webhook arrived; ``stage`` makes endpoints and
events that wait; ``work`` delivers them; ``serve`` delivers until told to stop; ``publish``
commits events and remembers when; ``post`` and ``sign`` are the limits: the same requests without
any bookkeeping, and HMAC and Base64 without anything around them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import datetime as dt
import hmac
import http.client
import json
import os
import signal
import sys
import threading
import time
from typing import Any

import site_of_webhooks as site

_BODY = b'{"type":"claims.imported","timestamp":"2026-04-12T09:30:00Z","data":{"version":1}}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("role", choices=sorted(_ROLES))
    parser.add_argument("--url", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--endpoints", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    if asked.url:
        site.set_up(asked.url)
    print(json.dumps(_ROLES[asked.role](asked)), flush=True)


def receive(asked: argparse.Namespace) -> dict[str, Any]:
    """Answer every request with 204; ends with standard input."""
    del asked
    arrived: dict[str, float] = {}
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while head := await _head(reader):
            at = time.time()
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
            await reader.readexactly(int(lines[b"content-length"]))
            arrived.setdefault(lines.get(b"webhook-id", b"").decode(), at)
            count += 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.close()

    asyncio.run(run())
    return {"count": count, "different": len(arrived), "arrived": arrived}


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def stage(asked: argparse.Namespace) -> dict[str, Any]:
    """Make the tables, endpoints of four tenants, and events that make ``count`` deliveries."""
    from django.core.management import call_command

    from claimkit.tenants import use_tenant
    from claimkit_django.tenants.models import Tenant
    from claimkit_django.webhooks.endpoints import add_endpoint

    call_command("migrate", verbosity=0)
    tenants = 4
    for number in range(tenants):
        key = f"tenant{number}"
        Tenant.objects.create(key=key, name=key)
        with use_tenant(key):
            for at in range(asked.endpoints // tenants):
                url = f"http://127.0.0.1:{asked.port}/{key}/{at}"
                add_endpoint(url=url, event_types=["*"], using="default")
    events = asked.count // asked.endpoints
    for number in range(tenants):
        _publish(f"tenant{number}", events)
    return {"deliveries": events * asked.endpoints}


def _publish(tenant: str, count: int) -> None:
    from django.db import transaction

    from claimkit_django.runtime import make_bus, open_store

    bus = make_bus(open_store("default"))
    with bus.transaction(transaction.atomic()):
        for number in range(count):
            bus.stage(_event(tenant, number))


def _event(tenant: str, number: int) -> Any:
    from claimkit.events import ClaimsImported
    from claimkit.types import SystemClock, TenantKey

    return ClaimsImported(
        tenant=TenantKey(tenant),
        at=SystemClock().now(),
        upload=f"upl_{number}",
        new=number,
        changed=2,
        same=1,
        rejected=0,
    )


def work(asked: argparse.Namespace) -> dict[str, Any]:
    """Deliver what is due, from the moment at which a line comes in."""
    from claimkit.webhooks.deliver import deliver
    from claimkit_django.webhooks.store import make_courier

    courier = make_courier("default")
    _ready()
    began, cpu = time.time(), time.process_time()
    tally = deliver(courier, threads=asked.threads)
    return {
        "began": began,
        "ended": time.time(),
        "cpu": time.process_time() - cpu,
        "done": tally.done,
    }


def serve(asked: argparse.Namespace) -> dict[str, Any]:
    """Deliver whatever comes until SIGTERM, as the command does."""
    from claimkit.webhooks.deliver import deliver
    from claimkit_django.outbox import wait_for_notice
    from claimkit_django.webhooks.addressing import CHANNEL
    from claimkit_django.webhooks.store import make_courier

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    courier = make_courier("default")
    _ready()
    tally = deliver(
        courier,
        threads=asked.threads,
        wait=wait_for_notice("default", CHANNEL),
        is_stopping=stopping.is_set,
    )
    return {"done": tally.done}


def publish(asked: argparse.Namespace) -> dict[str, Any]:
    """Commit one event after the other, 25 a second; tell when each commit returned."""
    from claimkit.tenants import use_tenant
    from claimkit_django.webhooks.models import Message

    # Imports and connections are not what is measured.
    _publish("tenant0", 1)
    _ready()
    committed: dict[str, float] = {}
    for _ in range(asked.count):
        _publish("tenant0", 1)
        at = time.time()
        with use_tenant("tenant0"):
            committed[Message.objects.values_list("uid", flat=True).latest("pk")] = at
        time.sleep(max(0.0, at + 0.04 - time.time()))
    return {"committed": committed}


def post(asked: argparse.Namespace) -> dict[str, Any]:
    """Send the same requests over one connection that is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", asked.port)
    headers = {"content-type": "application/json", "webhook-id": "msg_bare"}
    _ready()
    began = time.time()
    for _ in range(asked.count):
        connection.request("POST", "/", _BODY, headers)
        connection.getresponse().read()
    return {"began": began, "ended": time.time(), "done": asked.count}


def sign(asked: argparse.Namespace) -> dict[str, Any]:
    """Sign a body of 1 KiB, ours and bare, turn about; the fastest round of each counts."""
    from claimkit.webhooks.signing import generate_key
    from claimkit.webhooks.signing import sign as ours

    body, secret, key = b"x" * 1_024, os.urandom(32), generate_key("v1")
    now = dt.datetime.now(dt.UTC)

    def bare() -> None:
        base64.b64encode(hmac.digest(secret, b"msg_1.1776000000." + body, "sha256"))

    best = {"ours": 0.0, "bare": 0.0}
    for _ in range(7):
        for name, act in (
            ("ours", lambda: ours("msg_1", now, body, [key])),
            ("bare", bare),
        ):
            began = time.perf_counter()
            for _ in range(asked.count):
                act()
            best[name] = max(best[name], asked.count / (time.perf_counter() - began))
    return best


def _ready() -> None:
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()


_ROLES = {one.__name__: one for one in (receive, stage, work, serve, publish, post, sign)}

if __name__ == "__main__":
    main()
