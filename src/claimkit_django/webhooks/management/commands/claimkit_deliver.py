"""``manage.py claimkit_deliver``: the worker that sends webhooks."""

from __future__ import annotations

import json
import logging
import signal
import threading
from dataclasses import asdict
from random import Random
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from claimkit.webhooks.deliver import Tally, deliver
from claimkit_django.conf import config
from claimkit_django.outbox import wait_for_notice
from claimkit_django.webhooks.addressing import CHANNEL
from claimkit_django.webhooks.store import make_courier

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]

logger = logging.getLogger(__name__)

_LONGEST_PAUSE = 30.0


class Command(BaseCommand):
    """Send webhooks until told to stop; any number of workers may run."""

    help = "Send webhooks that are due, for ever or once; any number of workers may run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--once", action="store_true", help="drain: stop when nothing is due")
        parser.add_argument(
            "--threads", type=int, default=0, metavar="N", help="endpoints served at a time"
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Deliver; a database that is away is waited for."""
        del args
        self._as_json = options["format"] == "json"
        using, stopping = options["database"], threading.Event()
        threads = options["threads"] or config().webhooks.threads
        if options["once"]:
            self._tell(deliver(make_courier(using), threads=threads))
            return
        if threading.current_thread() is threading.main_thread():
            for one in (signal.SIGINT, signal.SIGTERM):
                signal.signal(one, lambda *_: stopping.set())
        failures = 0
        while not stopping.is_set():
            try:
                tally = deliver(
                    make_courier(using),
                    threads=threads,
                    wait=wait_for_notice(using, CHANNEL),
                    is_stopping=stopping.is_set,
                )
                failures = 0
                self._tell(tally)
            except DatabaseError:
                # What was leased comes back when the lease ends.
                failures += 1
                logger.exception("the database is not there; the worker waits")
                connections.close_all()
                pause = min(2.0**failures, _LONGEST_PAUSE)
                stopping.wait(pause * Random().uniform(0.5, 1))  # noqa: S311 - scatters waits

    def _tell(self, tally: Tally) -> None:
        if self._as_json:
            self.stdout.write(json.dumps(asdict(tally)))
            return
        self.stdout.write(
            f"{tally.done} delivered, {tally.retried} to be tried again, {tally.dead} given up, "
            f"{tally.cancelled} cancelled"
        )
