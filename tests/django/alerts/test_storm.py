"""Ten thousand signals over evaluators that get killed: the same alerts, and few notifications."""

from __future__ import annotations

import datetime as dt
import os
import signal as signals
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection

from claimkit_django.alerts.models import Alert, Notification, NotificationItem
from claimkit_django.alerts.notify import notify_due
from claimkit_django.tenants.scope import enter

ROOT = Path(__file__).parents[3]
SIGNALS = 10_000 if connection.vendor == "postgresql" else 1_000
CHUNK, INCIDENTS, EVALUATORS = 100, 50, 4
BEGAN = dt.datetime(2026, 4, 12, 9, tzinfo=dt.UTC)

#: Applies the chunks that it is given, each in a transaction, and says so after each.
_EVALUATOR = """
import datetime as dt, sys
import django
django.setup()
from django.utils import timezone
from claimkit.alerts.lifecycle import AlertSignal, Subject
from claimkit.types import Severity, TenantKey
from claimkit_django.alerts.board import receive

began, size, incidents = dt.datetime.fromisoformat(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for chunk in map(int, sys.argv[4:]):
    receive(TenantKey("northside"), [
        AlertSignal(fingerprint=f"fp-{number % incidents}", is_firing=True,
            severity=(Severity.LOW, Severity.MEDIUM)[number // incidents % 2],
            at=began + dt.timedelta(seconds=number),
            subject=Subject(source="drift", kind="denial_rate", summary=f"signal {number}"))
        for number in range(chunk * size, (chunk + 1) * size)
    ], now=timezone.now(), using="default")
    print(chunk, flush=True)
"""


class Evaluator:
    """A process that applies chunks until it has none, or is killed."""

    def __init__(self, chunks):
        self.chunks = list(chunks)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.projects.bare",
            "CLAIMKIT_TEST_NAME": str(connection.settings_dict["NAME"]),
        }
        given = [BEGAN.isoformat(), CHUNK, INCIDENTS, *self.chunks]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _EVALUATOR, *map(str, given)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def kill_after(self, count):
        """Kill it once it has said so often that a chunk is in; return what it has not said."""
        said = [int(self.process.stdout.readline()) for _ in range(count)]
        time.sleep(0.01)
        self.process.send_signal(signals.SIGKILL)
        with self.process.stdout as rest:
            said += map(int, rest.read().split())
        self.process.wait(30)
        return [one for one in self.chunks if one not in said]

    def wait(self):
        with self.process.stdout as rest:
            rest.read()
        assert self.process.wait(120) == 0


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_storm_over_evaluators_that_get_killed(northside, add_channel, add_route):
    route = add_route(northside, add_channel(northside), interval_minutes=60)
    chunks = list(range(SIGNALS // CHUNK))
    Random(417).shuffle(chunks)
    running = [Evaluator(chunks[at::EVALUATORS]) for at in range(EVALUATORS)]
    # What a killed one did not say may be in or not: it is applied again.
    running = [Evaluator(one.kill_after(2)) for one in running]
    for one in running:
        one.wait()

    with enter(northside):
        found = {one.fingerprint: one for one in Alert.objects.all()}
        assert len(found) == INCIDENTS
        for number in range(INCIDENTS):
            last = SIGNALS - INCIDENTS + number
            alert = found[f"fp-{number}"]
            assert (alert.state, alert.episode) == ("open", 1)
            assert alert.severity == ("low", "medium")[last // INCIDENTS % 2]
            assert alert.summary == f"signal {last}"
            assert alert.seen_at == BEGAN + dt.timedelta(seconds=last)
            assert alert.count >= SIGNALS // INCIDENTS
        # Nobody sent anything yet: one notification waits, with each alert once.
        (waiting,) = Notification.objects.filter(route=route.uid)
        assert NotificationItem.objects.filter(notification=waiting).count() == INCIDENTS
    assert notify_due(using=USING).sent == 1
