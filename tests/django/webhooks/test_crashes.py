"""Workers killed at random and at chosen points: nothing is lost, nothing is made up.

``CLAIMKIT_CRASH_EVENTS`` and ``CLAIMKIT_CRASH_KILLS`` make it as long as you like.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection, transaction
from django.utils import timezone

from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.models import Attempt, Delivery
from tests.receivers import answer

ROOT = Path(__file__).parents[3]
SEED = int(os.environ.get("CLAIMKIT_CRASH_SEED", "20260412"))
EVENTS = int(os.environ.get("CLAIMKIT_CRASH_EVENTS", "300"))
KILLS = int(os.environ.get("CLAIMKIT_CRASH_KILLS", "6"))
BATCH, THREADS = 10, 2

#: Has everything loaded, and forks a worker for each line that it reads: the line names the point
#: at which the worker kills itself, or is empty.
_NURSERY = """
import os, signal, sys
import django
django.setup()
from claimkit.webhooks.deliver import Courier, deliver
from claimkit.webhooks.transport import HttpTransport
from claimkit_django.outbox import wait_for_notice
from claimkit_django.webhooks.enqueue import CHANNEL
from claimkit_django.webhooks.store import OrmDeliveryBook, make_courier
from claimkit_django.webhooks.models import Attempt

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def before(kind, name):
    setattr(kind, name, die)

def after(kind, name):
    act = getattr(kind, name)
    setattr(kind, name, lambda *args, **kwargs: (act(*args, **kwargs), die()))

POINTS = {
    "leased": lambda: before(OrmDeliveryBook, "load"),
    "loaded": lambda: before(HttpTransport, "post"),
    "answered": lambda: before(OrmDeliveryBook, "record"),
    "settled": lambda: before(OrmDeliveryBook, "_keep_attempts"),
    "attempted": lambda: before(OrmDeliveryBook, "_judge"),
    "recorded": lambda: after(OrmDeliveryBook, "record"),
}
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        if line.strip():
            POINTS[line.strip()]()
        deliver(make_courier("default"), threads=2, wait=wait_for_notice("default", CHANNEL))
    print(pid, flush=True)
"""


class Workers:
    """Worker processes that can be killed."""

    def __init__(self):
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.projects.bare",
            "CLAIMKIT_TEST_NAME": str(connection.settings_dict["NAME"]),
            "CLAIMKIT_TEST_WEBHOOKS": str(BATCH),
        }
        self._nursery = subprocess.Popen(
            [sys.executable, "-c", _NURSERY],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pids = []

    def start(self, point=""):
        self._nursery.stdin.write(f"{point}\n")
        self._nursery.stdin.flush()
        self.pids.append(int(self._nursery.stdout.readline()))

    def kill(self, pid):
        self.pids.remove(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_all(self):
        for pid in list(self.pids):
            self.kill(pid)

    def close(self):
        self.kill_all()
        self._nursery.stdin.close()
        self._nursery.wait(30)
        self._nursery.stdout.close()


@pytest.fixture(scope="module")
def nursery(django_db_setup):
    made = Workers()
    yield made
    made.close()


@pytest.fixture
def workers(nursery, transactional_db):
    yield nursery
    nursery.kill_all()


@pytest.fixture
def takes(receive):
    """Return a receiver that loses some of its answers, and what it took."""

    def start(share):
        random, lost = Random(SEED), []

        def script(receiver, sock):
            while receiver.read(sock):
                if random.random() < share:
                    lost.append(1)
                    return
                sock.sendall(answer(204))

        return receive(script), lost

    return start


def live(tenant):
    with enter(tenant):
        return Delivery.objects.filter(Delivery.live()).count()


def wait_until_done(tenant, *, seconds):
    deadline = time.monotonic() + seconds
    while left := live(tenant):
        assert time.monotonic() < deadline, f"{left} deliveries are still waiting"
        time.sleep(0.1)


def produce(tenant, imported, random, count, *, first=0):
    """Stage events in many transactions, of which a tenth roll back; return what was committed."""
    committed, number = [], 0
    while number < count:
        names = [f"upl_{first + number + step}" for step in range(random.randint(1, 20))]
        number += len(names)
        bus = make_bus(open_store(USING))
        with contextlib.suppress(ZeroDivisionError):
            with bus.transaction(transaction.atomic(using=USING)):
                for name in names:
                    bus.stage(imported(tenant, name))
                if random.random() < 0.1:
                    raise ZeroDivisionError
            committed += names
    return committed


def uploads(receiver):
    return Counter(json.loads(body)["data"]["upload"] for _, body in receiver.requests)


def check(tenant, receiver, committed, *, bound):
    got = uploads(receiver)
    assert set(committed) - set(got) == set(), "lost"
    assert set(got) - set(committed) == set(), "made up"
    assert sum(got.values()) - len(committed) <= bound
    with enter(tenant):
        rows = Delivery.objects.all()
        assert set(rows.values_list("state", flat=True)) == {"done"}
        told = Attempt.objects.filter(reason="").values_list("delivery_id", flat=True)
        assert set(rows.values_list("pk", flat=True)) == set(told)


@pytest.mark.slow
def test_workers_killed_at_random_lose_nothing(northside, add, imported, takes, workers):
    random = Random(SEED)
    receiver, lost = takes(0.02)
    add(northside, receiver.url())
    for _ in range(3):
        workers.start()
    committed = []
    for number in range(KILLS):
        share = EVENTS // KILLS
        # Numbers far apart: a share may be exceeded by a transaction.
        committed += produce(northside, imported, random, share, first=number * 10 * share)
        time.sleep(random.uniform(0, 0.1))
        workers.kill(random.choice(workers.pids))
        workers.start()
    wait_until_done(northside, seconds=60 + EVENTS / 50)

    check(northside, receiver, committed, bound=KILLS * BATCH * THREADS + len(lost))


@pytest.mark.parametrize(
    ("point", "receipts"),
    [
        ("leased", 1),
        ("loaded", 1),
        ("answered", 2),
        ("settled", 2),
        ("attempted", 2),
        ("recorded", 1),
    ],
)
def test_a_worker_that_dies_at_a_chosen_point(
    northside, add, imported, takes, workers, point, receipts
):
    receiver, _ = takes(0)
    add(northside, receiver.url())
    committed = produce(northside, imported, Random(1), 1)
    workers.start(point)
    deadline = time.monotonic() + 30
    while alive(workers.pids[0]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with enter(northside):
        # Its lease would end by itself in some seconds.
        Delivery.objects.filter(state="leased").update(due_at=timezone.now())
    workers.start()
    wait_until_done(northside, seconds=30)

    got = uploads(receiver)
    assert set(got) == set(committed)
    assert set(got.values()) == {receipts}


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
