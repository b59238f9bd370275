"""``claimkit deliver``: send one signed webhook, to see whether a receiver can trust it."""

from __future__ import annotations

import ipaddress
import os
import secrets
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from claimkit.cli.terminal import fail, print_json
from claimkit.errors import ConfigError, InvalidSigningKey
from claimkit.events import EndpointPinged
from claimkit.outbox import MemoryOutbox
from claimkit.types import SystemClock, TenantKey
from claimkit.webhooks.deliver import Courier, Endpoint, deliver
from claimkit.webhooks.memory import MemoryBook
from claimkit.webhooks.payloads import MAX_BODY_BYTES, Detail, make_body
from claimkit.webhooks.signing import PublicKey, TimedKey, parse_key
from claimkit.webhooks.targets import TargetPolicy, parse_target
from claimkit.webhooks.transport import HttpTransport, Limits

if TYPE_CHECKING:
    import argparse

    from claimkit.config import WebhooksConfig
    from claimkit.plugins import Plugins
    from claimkit.webhooks.signing import SecretKey, SigningPair

__all__ = ["add_deliver_arguments", "add_key_argument", "deliver_one", "read_key"]

_KEY_VARIABLE = "CLAIMKIT_WEBHOOK_KEY"
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def add_deliver_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``claimkit deliver``."""
    parser.add_argument("url", metavar="URL", help="where to send it")
    add_key_argument(parser, "whsec_… or whsk_…")
    parser.add_argument(
        "--body", type=Path, metavar="FILE", help="send these bytes (a webhooks.ping)"
    )
    parser.add_argument(
        "--local", action="store_true", help="allow http and addresses of this machine"
    )


def deliver_one(arguments: argparse.Namespace, config: WebhooksConfig, plugins: Plugins) -> int:
    """Send one webhook, print what happened, and return the exit status.

    Raises:
        ConfigError, InvalidSigningKey: there is no key, or none that signs.
        InvalidTarget: webhooks may not be sent there.
    """
    policy = TargetPolicy.of(config)
    if arguments.local:
        policy = replace(
            policy, allow_http=True, allowed_networks=(*policy.allowed_networks, *_LOOPBACK)
        )
    parse_target(arguments.url, policy)
    # One attempt: whoever tries a receiver wants to see how it went.
    config = replace(config, retry_waits=())
    clock, outbox = SystemClock(), MemoryOutbox()
    book = MemoryBook(outbox, config)
    book.add(
        Endpoint(lane="receiver", url=arguments.url, keys=(TimedKey(key=_signing_key(arguments)),))
    )
    book.send(
        "delivery",
        "receiver",
        _body(arguments, plugins),
        message_id=f"msg_{secrets.token_hex(16)}",
        tenant=TenantKey("local"),
        at=clock.now(),
    )
    limits = Limits(total_seconds=config.attempt_seconds, connect_seconds=config.connect_seconds)
    tally = deliver(
        Courier(
            outbox=outbox,
            book=book,
            make_transport=lambda: HttpTransport(policy, limits=limits, proxy=config.proxy),
            clock=clock,
            random=Random(),  # noqa: S311 - scatters waits, protects nothing
            config=config,
        )
    )
    (attempt,) = book.attempts
    if arguments.format == "json":
        print_json(
            {
                "delivered": bool(tally.done),
                "status": attempt.status,
                "reason": attempt.reason,
                "seconds": round(attempt.seconds, 3),
            }
        )
        return 0 if tally.done else 1
    if tally.done:
        print(f"delivered: status {attempt.status} after {attempt.seconds:.2f} s")
        return 0
    told = f", status {attempt.status}" if attempt.status else ""
    return fail(f"not delivered: {attempt.reason}{told}")


def add_key_argument(parser: argparse.ArgumentParser, kinds: str) -> None:
    """Declare where the key is, which is one of these kinds."""
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help=f"holds the key, {kinds}; else the variable {_KEY_VARIABLE} does",
    )


def read_key(arguments: argparse.Namespace) -> SecretKey | SigningPair | PublicKey:
    """Return the key that the arguments or the environment name.

    Raises:
        ConfigError: there is none.
        InvalidSigningKey: it is none.
        OSError: its file cannot be read.
    """
    text = os.environ.get(_KEY_VARIABLE, "")
    if arguments.key_file is not None:
        text = arguments.key_file.read_text(encoding="utf-8").strip()
    if not text:
        raise ConfigError("there is no key", remedy=f"Use --key-file or set {_KEY_VARIABLE}")
    return parse_key(text)


def _signing_key(arguments: argparse.Namespace) -> SecretKey | SigningPair:
    key = read_key(arguments)
    if isinstance(key, PublicKey):
        raise InvalidSigningKey("a public key signs nothing", remedy="Use the whsk_… key")
    return key


def _body(arguments: argparse.Namespace, plugins: Plugins) -> bytes:
    if arguments.body is not None:
        raw: bytes = arguments.body.read_bytes()
        if len(raw) > MAX_BODY_BYTES:
            raise ConfigError("the body is larger than 64 KiB")
        return raw
    event = EndpointPinged(
        tenant=TenantKey("local"), at=SystemClock().now(), endpoint="command-line"
    )
    return make_body(plugins.event_types[event.topic], event, Detail.THIN)
