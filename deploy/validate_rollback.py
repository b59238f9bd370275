#!/usr/bin/env python3
"""Says whether a site is well after a rollback: asks its health addresses until they answer, or time is up.

Needs nothing but Python, so that it runs where the site is broken. Exit status: 0 the site is
well; 1 it answers and is not well, or is not the version that was asked for; 2 it does not answer,
or the arguments cannot be meant.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import asdict, dataclass

WELL, NOT_WELL, NO_ANSWER = 0, 1, 2
#: What ``--local`` asks.
LOCAL = "http://127.0.0.1:8000"
#: Largest answer that is read, in bytes.
LIMIT = 1 << 20


@dataclass(frozen=True)
class Found:
    """What one address answered last."""

    address: str
    #: None: nothing.
    status: int | None
    note: str = ""
    attempts: int = 1

    @property
    def is_well(self) -> bool:
        return self.status == http.HTTPStatus.OK


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A site that sends probes elsewhere is not well, and a token must not follow."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


OPENER = urllib.request.build_opener(NoRedirect)


def ask(address: str, *, token: str, host: str, timeout: float) -> Found:
    """Ask once."""
    request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if host:
        request.add_header("Host", host)
    try:
        with OPENER.open(request, timeout=timeout) as answer:
            return Found(address, answer.status, note_of(answer.read(LIMIT)))
    except urllib.error.HTTPError as error:
        with error:
            return Found(address, error.code, note_of(error.read(LIMIT)))
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return Found(address, None, f"no answer ({type(reason).__name__})")


def note_of(body: bytes) -> str:
    """Return what failed, where the answer tells; never the whole answer."""
    try:
        told = json.loads(body)
        checks = told.get("checks", {})
        wrong = [
            f"{name} {one['status']}" for name, one in checks.items() if one.get("status") != "ok"
        ]
        return ", ".join([str(told.get("status", "")), *wrong])[:300]
    except (ValueError, AttributeError, KeyError, TypeError):
        return ""


def patiently(address: str, options: argparse.Namespace, deadline: float) -> Found:
    """Ask until the address answers 200, the attempts are used up, or time is."""
    found = Found(address, None, "not asked", 0)
    for attempt in range(1, options.retries + 2):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        answer = ask(
            address,
            token=os.environ.get("OPS_TOKEN", ""),
            host=options.host,
            timeout=min(options.timeout, left),
        )
        found = Found(address, answer.status, answer.note, attempt)
        if found.is_well or attempt > options.retries:
            break
        time.sleep(max(0.0, min(options.wait, deadline - time.monotonic())))
    return found


def validate(options: argparse.Namespace) -> tuple[int, list[Found]]:
    """Ask every address; return the exit status and what they answered."""
    deadline = time.monotonic() + options.total
    base = LOCAL if options.local else options.url.rstrip("/")
    found = [patiently(f"{base}/{path}", options, deadline) for path in options.paths]
    if any(one.status is None for one in found):
        return NO_ANSWER, found
    return (WELL if all(one.is_well for one in found) else NOT_WELL), found


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("url", nargs="?", default="", help="such as https://claims.example.org")
    made.add_argument("--local", action="store_true", help=f"ask {LOCAL}")
    made.add_argument(
        "--host", default="", help="name in the Host header, where one asks by address"
    )
    made.add_argument(
        "--path", action="append", default=[], dest="paths", metavar="PATH",
        help="instead of livez, readyz and health/; may be repeated",
    )  # fmt: skip
    made.add_argument("--retries", type=int, default=5, help="after the first attempt (5)")
    made.add_argument("--wait", type=float, default=3.0, help="seconds between attempts (3)")
    made.add_argument("--timeout", type=float, default=5.0, help="seconds for one attempt (5)")
    made.add_argument("--total", type=float, default=120.0, help="seconds for all of it (120)")
    made.add_argument("--format", choices=("text", "json"), default="text")
    return made


def main(argv: list[str] | None = None) -> int:
    """Validate, print, and return the exit status."""
    made = parser()
    options = made.parse_args(argv)
    if options.local == bool(options.url):
        made.error("name the site's URL, or --local")
    if options.url and urllib.parse.urlsplit(options.url).scheme not in {"http", "https"}:
        made.error("the URL must begin with https:// or http://")
    if options.retries < 0 or min(options.timeout, options.total) <= 0 or options.wait < 0:
        made.error("retries and seconds must not be below 0, timeouts must be above")
    options.paths = [one.lstrip("/") for one in options.paths] or ["livez", "readyz", "health/"]
    status, found = validate(options)
    if options.format == "json":
        told = [{**asdict(one), "is_well": one.is_well} for one in found]
        print(json.dumps({"status": status, "answers": told}))
        return status
    for one in found:
        answer = one.status if one.status is not None else "---"
        print(f"{answer}  {one.address}  {one.note}".rstrip())
    words = {WELL: "the site is well", NOT_WELL: "the site is NOT well", NO_ANSWER: "NO ANSWER"}
    print(words[status])
    return status


if __name__ == "__main__":
    sys.exit(main())
