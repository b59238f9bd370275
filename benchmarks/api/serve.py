"""Requests per second of the claims list under gunicorn: two workers, five programs with tokens.

``python benchmarks/api/serve.py`` fills a tenant with 100,000 claims, ``--full`` with 1,000,000.
Every program has an API token and asks for the next page as soon as it has one, on a connection of
its own each time; sign-in, tenant, role, quota and all headers are on. Wall time on a shared machine
is noise, so the seconds of CPU that server, database and client took are told beside it, and what
two cores that do nothing else would serve. Exit status: 1 where a request failed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
_PATH = [str(HERE), str(HERE.parent / "imports"), str(ROOT)]
sys.path[:0] = _PATH

from site_of_requests import set_up  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Requests per second that are the aim on two cores; told, not enforced: the machine is shared.
AIM = 250
_WORKERS = 2
_PEOPLE = 5
_TICK = os.sysconf("SC_CLK_TCK")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="1,000,000 claims instead of 100,000")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    with set_up(1_000_000 if options.full else 100_000) as site:
        tokens = [_token() for _ in range(_PEOPLE)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = _serve(port)
        try:
            _ask_until_there(port, tokens[0])
            rounds = [_round(port, tokens, options.seconds, server) for _ in range(options.rounds)]
        finally:
            server.terminate()
            server.wait(timeout=30)
    print(
        f"{site.claims:,} claims, {site.vendor}; gunicorn, {_WORKERS} workers; {_PEOPLE} programs"
    )
    for one in rounds:
        print(
            f"{one['rps']:6.0f} requests/s; of CPU, ms per request: server {one['server']:.2f},"
            f" database {one['database']:.2f}, client {one['client']:.2f};"
            f" load of the machine {one['load']:.1f}; failed {one['failed']}"
        )
    alone = statistics.median(2_000 / (one["server"] + one["database"]) for one in rounds)
    print(f"two cores with nothing else to do: {alone:.0f} requests/s (aim {AIM})")
    return int(any(one["failed"] for one in rounds))


def _token() -> str:
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from claimkit_django.accounts.tokens import issue_token
    from claimkit_django.tenants.models import Tenant

    text: str
    _, text = issue_token(
        user=get_user_model().objects.get(username="viewer"),
        tenant=Tenant.objects.get(key="northside"),
        name="benchmark",
        scope="read",
        expires_at=timezone.now() + dt.timedelta(hours=1),
    )
    return text


def _serve(port: int) -> subprocess.Popen[bytes]:
    arguments = [
        "--workers",
        str(_WORKERS),
        "--bind",
        f"127.0.0.1:{port}",
        "--log-level",
        "warning",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *arguments, "site_of_requests:application()"],
        cwd=HERE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(_PATH),
        },
    )


def _ask_until_there(port: int, token: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            for _ in range(4 * _WORKERS):
                assert _ask(port, token)
        except OSError:
            time.sleep(0.2)
        else:
            return
    sys.exit("gunicorn did not answer")


def _round(
    port: int, tokens: Sequence[str], seconds: float, server: subprocess.Popen[bytes]
) -> dict[str, Any]:
    answers: list[bool] = []
    until = time.monotonic() + seconds

    def work(token: str) -> None:
        while time.monotonic() < until:
            answers.append(_ask(port, token))

    people = [threading.Thread(target=work, args=[token]) for token in tokens]
    before, began = _cpu(server), time.perf_counter()
    for one in people:
        one.start()
    for one in people:
        one.join()
    took, after = time.perf_counter() - began, _cpu(server)
    spent = {name: 1_000 * (after[name] - before[name]) / len(answers) for name in after}
    return {
        "rps": len(answers) / took,
        "failed": answers.count(False),
        "load": os.getloadavg()[0],
        **spent,
    }


def _ask(port: int, token: str) -> bool:
    """Ask for the list; whether it came. Plain sockets: the client shares the cores."""
    request = (
        f"GET /api/v1/claims/ HTTP/1.1\r\nHost: testserver\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\nConnection: close\r\n\r\n"
    )
    parts = []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request.encode())
        while part := connection.recv(65_536):
            parts.append(part)
    answer = b"".join(parts)
    head, _, body = answer.partition(b"\r\n\r\n")
    lower = head.lower()
    return (
        head.startswith(b"HTTP/1.1 200")
        and b"\r\nratelimit:" in lower
        and b"\r\nx-request-id:" in lower
        and body.count(b'"uid"') == 50
    )


def _cpu(server: subprocess.Popen[bytes]) -> dict[str, float]:
    """Return the seconds of CPU that each has taken: workers, the database's processes, us."""
    from django.db import connection

    mine = resource.getrusage(resource.RUSAGE_SELF)
    connection.ensure_connection()
    # Every backend is a child of the one server, as ours is.
    database = _stat(connection.connection.info.backend_pid)[0]
    spent = {server.pid: 0.0, database: 0.0}
    for pid in _pids():
        parent, seconds = _stat(pid)
        if parent in spent:
            spent[parent] += seconds
    return {
        "server": spent[server.pid],
        "database": spent[database],
        "client": mine.ru_utime + mine.ru_stime,
    }


def _pids() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]


def _stat(pid: int) -> tuple[int, float]:
    """Return the parent and the seconds of CPU of a process; nothing of one that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0, 0.0
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICK


if __name__ == "__main__":
    sys.exit(main())
