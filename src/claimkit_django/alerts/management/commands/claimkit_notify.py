"""``manage.py claimkit_notify``: the worker that tells people of alerts."""

from __future__ import annotations

import json
import logging
import signal
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from claimkit_django.alerts.notify import Notified, notify_due
from claimkit_django.alerts.telling import CHANNEL
from claimkit_django.conf import config
from claimkit_django.outbox import wait_for_notice

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["Command"]

logger = logging.getLogger(__name__)

_LONGEST_PAUSE = 30.0


class Command(BaseCommand):
    """Send notifications until told to stop; any number of workers may run."""

    help = "Tell people of alerts as they are due, for ever or once; any number may run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--once", action="store_true", help="stop when nothing is due")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Notify; a database that is away is waited for."""
        del args
        using, stopping = options["database"], threading.Event()
        if options["once"]:
            self._tell(notify_due(using=using, threads=1), options["format"])
            return
        if threading.current_thread() is threading.main_thread():
            for one in (signal.SIGINT, signal.SIGTERM):
                signal.signal(one, lambda *_: stopping.set())
        wait, failures = wait_for_notice(using, CHANNEL), 0
        done = Notified()
        while not stopping.is_set():
            try:
                done += notify_due(using=using, threads=config().alerts.threads)
                failures = 0
                wait(config().alerts.poll_seconds)
            except DatabaseError:
                # What was leased comes back when the lease ends.
                failures += 1
                logger.exception("the database is not there; the worker waits")
                connections.close_all()
                stopping.wait(min(2.0**failures, _LONGEST_PAUSE))
        self._tell(done, options["format"])

    def _tell(self, done: Notified, form: str) -> None:
        if form == "json":
            self.stdout.write(json.dumps(asdict(done)))
            return
        self.stdout.write(
            f"{done.sent} sent, {done.retried} to be tried again, {done.dead} given up"
        )
