"""Workers killed at random and at chosen points: nothing is lost, nothing is made up.

``CLAIMKIT_CRASH_SECONDS`` makes it as long as you like: ``tox -e webhooks-crash`` goes on for ten
minutes, and prints what was lost, made up and repeated.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection, transaction
from django.utils import timezone

from claimkit.events import Bus
from claimkit.testing.receivers import answer
from claimkit.webhooks import parse_key, verify
from claimkit_django.tenants.scope import enter
from claimkit_django.webhooks.endpoints import add_key, disable
from claimkit_django.webhooks.enqueue import WebhookListener
from claimkit_django.webhooks.models import Attempt, Delivery
from tests.postgres import durable_server

ROOT = Path(__file__).parents[3]
SEED = int(os.environ.get("CLAIMKIT_CRASH_SEED", "20260412"))
_EVENTS, _KILLS = ("5600", "60") if connection.vendor == "postgresql" else ("300", "6")
EVENTS = int(os.environ.get("CLAIMKIT_CRASH_EVENTS", _EVENTS))
KILLS = int(os.environ.get("CLAIMKIT_CRASH_KILLS", _KILLS))
#: At least so long, and with as many more events and kills.
SECONDS = float(os.environ.get("CLAIMKIT_CRASH_SECONDS", "0"))
BATCH, THREADS = 10, 2

#: Has everything loaded, and forks a worker for each line that it reads: the line names the point
#: at which the worker kills itself, or is empty.
_NURSERY = """
import http.client, os, signal, sys
import django
django.setup()
from django.db import connections, transaction
from claimkit.events import ClaimsImported
from claimkit.types import SystemClock, TenantKey
from claimkit.webhooks.deliver import Courier, deliver
from claimkit_django.runtime import make_bus, open_store
from claimkit.webhooks.transport import HttpTransport
from claimkit_django.outbox import wait_for_notice
from claimkit_django.webhooks.addressing import CHANNEL
from claimkit_django.webhooks.store import OrmDeliveryBook, make_courier
from claimkit_django.webhooks.models import Attempt

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def before(kind, name):
    setattr(kind, name, die)

def pause(kind, name):
    act = getattr(kind, name)
    setattr(kind, name, lambda *args: (os.kill(os.getpid(), signal.SIGSTOP), act(*args))[1])

def after(kind, name):
    act = getattr(kind, name)
    setattr(kind, name, lambda *args, **kwargs: (act(*args, **kwargs), die()))

def refuse(kind, name):
    act = getattr(kind, name)
    words = {
        "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "sqlite": "PRAGMA query_only = 1",
    }
    def refused(*args):
        with connections["default"].cursor() as cursor:
            cursor.execute(words[connections["default"].vendor])
        return act(*args)
    setattr(kind, name, refused)

def begin_and_die():
    bus = make_bus(open_store("default"))
    with bus.transaction(transaction.atomic()):
        bus.stage(ClaimsImported(tenant=TenantKey("northside"), at=SystemClock().now(),
            upload="upl_never", new=1, changed=0, same=0, rejected=0))
        die()

POINTS = {
    "uncommitted": begin_and_die,
    "sent": lambda: before(http.client.HTTPConnection, "getresponse"),
    "refused": lambda: refuse(OrmDeliveryBook, "record"),
    "leased": lambda: before(OrmDeliveryBook, "load"),
    "loaded": lambda: before(HttpTransport, "post"),
    "answered": lambda: before(OrmDeliveryBook, "record"),
    "settled": lambda: before(OrmDeliveryBook, "_keep_attempts"),
    "attempted": lambda: before(OrmDeliveryBook, "_judge"),
    "recorded": lambda: after(OrmDeliveryBook, "record"),
    "stopped": lambda: pause(OrmDeliveryBook, "record"),
}
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        point = line.strip()
        if point:
            POINTS[point]()
        # Stopped in the middle of a transaction of another thread, it would hold a lock for ever.
        threads = 1 if point == "stopped" else 2
        deliver(make_courier("default"), threads=threads, wait=wait_for_notice("default", CHANNEL))
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
        # Other rooms listen too, and would take most of the time.
        bus = Bus([WebhookListener(USING)])
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
    repeated = sum(got.values()) - len(committed)
    # What pytest -rP shows.
    print(f"{len(committed):,} committed, 0 lost, 0 made up, {repeated:,} repeated of {bound:,}")
    assert repeated <= bound
    with enter(tenant):
        rows = Delivery.objects.all()
        assert set(rows.values_list("state", flat=True)) == {"done"}
        told = Attempt.objects.filter(reason="").values_list("delivery_id", flat=True)
        assert set(rows.values_list("pk", flat=True)) == set(told)


@pytest.mark.slow
def test_workers_killed_at_random_lose_nothing(northside, add, imported, takes, workers):
    """C1 to C6 wherever the kill strikes; a tenth of the transactions roll back."""
    random = Random(SEED)
    receiver, lost = takes(0.02)
    add(northside, receiver.url())
    for _ in range(3):
        workers.start()
    committed = []
    kills, share, ends = 0, EVENTS // KILLS, time.monotonic() + SECONDS
    while kills < KILLS or time.monotonic() < ends:
        # Numbers far apart: a share may be exceeded by a transaction.
        committed += produce(northside, imported, random, share, first=kills * 10 * share)
        time.sleep(random.uniform(0, 0.1))
        workers.kill(random.choice(workers.pids))
        workers.start()
        kills += 1
    wait_until_done(northside, seconds=60 + len(committed) / 50)

    print(f"{kills:,} workers killed, {len(lost):,} answers lost, seed {SEED}")
    check(northside, receiver, committed, bound=kills * BATCH * THREADS + len(lost))


@pytest.mark.parametrize(
    ("point", "receipts"),
    [
        ("leased", {1}),
        ("loaded", {1}),
        # The first of the batch only.
        ("sent", {1, 2}),
        ("answered", {2}),
        ("refused", {2}),
        ("settled", {2}),
        ("attempted", {2}),
        ("recorded", {1}),
    ],
)
def test_a_worker_that_dies_at_a_chosen_point(
    northside, add, imported, takes, workers, point, receipts
):
    """C3 (leased, loaded), C4 (sent), C5 (answered), C6 (settled, attempted); C9 (refused): the
    database takes no writes after the answer.
    """
    receiver, _ = takes(0)
    add(northside, receiver.url())
    committed = produce(northside, imported, Random(1), 1)
    workers.start(point)
    wait_for(lambda: not alive(workers.pids[0]))
    end_leases(northside)
    workers.start()
    wait_until_done(northside, seconds=30)

    got = uploads(receiver)
    assert set(got) == set(committed)
    assert set(got.values()) == receipts
    assert_repeated_as_they_were(receiver)


def end_leases(tenant):
    """Let leases end now; by themselves they would in some seconds."""
    with enter(tenant):
        return Delivery.objects.filter(state="leased").update(due_at=timezone.now())


def assert_repeated_as_they_were(receiver):
    """Every repetition has the same id and the same bytes, and is of its own time."""
    by_upload = {}
    for head, body in receiver.requests:
        by_upload.setdefault(json.loads(body)["data"]["upload"], []).append(
            (headers_of(head), body)
        )
    for told in by_upload.values():
        seconds = [int(one["webhook-timestamp"]) for one, _ in told]
        assert len({(one["webhook-id"], body) for one, body in told}) == 1
        assert seconds == sorted(seconds)


def headers_of(head):
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])


def test_a_producer_that_dies_before_its_commit_tells_nothing(
    northside, add, imported, takes, workers
):
    """C1: killed between the writes and the commit."""
    receiver, _ = takes(0)
    add(northside, receiver.url())
    workers.start("uncommitted")
    wait_for(lambda: not alive(workers.pids[0]))
    committed = produce(northside, imported, Random(1), 1)
    workers.start()
    wait_until_done(northside, seconds=30)

    check(northside, receiver, committed, bound=0)


def test_a_notice_that_nobody_hears_costs_a_look_and_nothing_more(
    northside, add, imported, takes, workers, monkeypatch
):
    """C2: no NOTIFY arrives; workers look by themselves."""
    receiver, _ = takes(0)
    add(northside, receiver.url())
    workers.start()
    first = produce(northside, imported, Random(1), 1)
    wait_until_done(northside, seconds=30)
    monkeypatch.setattr("claimkit_django.webhooks.addressing.wake", lambda using: None)
    second = produce(northside, imported, Random(2), 1, first=1_000)
    wait_until_done(northside, seconds=30)

    check(northside, receiver, [*first, *second], bound=0)


def test_many_workers_repeat_nothing_unless_one_dies(northside, add, imported, takes, workers):
    """C14: a deployment that overlaps, workers started twice."""
    receiver, _ = takes(0)
    add(northside, receiver.url("/a"), order="subject")
    for _ in range(4):
        workers.start()
    committed = produce(northside, imported, Random(SEED), 60)
    for _ in range(4):
        workers.start()
    wait_until_done(northside, seconds=60)

    check(northside, receiver, committed, bound=0)


@pytest.fixture
def held(receive):
    """Return a receiver that waits for ``go`` before it gives its first answer, and then 204."""

    def start(status):
        arrived, go = threading.Event(), threading.Event()

        def script(receiver, sock):
            while receiver.read(sock):
                if len(receiver.requests) == 1:
                    arrived.set()
                    go.wait(30)
                    sock.sendall(answer(status))
                else:
                    sock.sendall(answer(204))

        return receive(script), arrived, go

    return start


def test_an_endpoint_that_is_disabled_while_a_webhook_is_under_way(
    northside, add, imported, held, workers
):
    """C11: what happened is written down, and nothing more is sent."""
    receiver, arrived, go = held(500)
    endpoint, _ = add(northside, receiver.url())
    produce(northside, imported, Random(1), 1)
    workers.start()
    assert arrived.wait(30)
    with enter(northside):
        disable(endpoint, using=USING)
    go.set()
    wait_until_done(northside, seconds=30)

    with enter(northside):
        assert set(Delivery.objects.values_list("state", flat=True)) == {"cancelled"}
        assert [one.status for one in Attempt.objects.all()] == [500]
    assert len(receiver.requests) == 1


def test_a_key_that_is_replaced_while_a_webhook_is_under_way(
    northside, add, imported, held, workers
):
    """C12: the first attempt was signed by the key of its time, the next one by both."""
    receiver, arrived, go = held(500)
    endpoint, old = add(northside, receiver.url())
    while len(produce(northside, imported, Random(3), 1)) < 1:
        pass
    workers.start()
    assert arrived.wait(30)
    with enter(northside):
        new = add_key(endpoint, using=USING)
    go.set()
    wait_until_done(northside, seconds=30)

    (first, body), *_ = receiver.requests
    again = [head for head, one in receiver.requests[1:] if one == body]
    assert len(headers_of(first)["webhook-signature"].split()) == 1
    for key, head in ((old, first), (old, again[0]), (new, again[0])):
        assert verify(headers_of(head), body, [parse_key(key)], now=timezone.now())


def test_a_worker_that_slept_past_its_lease_settles_nothing(
    northside, add, imported, takes, workers
):
    """C7: stopped for longer than its lease, then continued."""
    receiver, _ = takes(0)
    add(northside, receiver.url())
    produce(northside, imported, Random(1), 1)
    workers.start("stopped")
    (sleeper,) = workers.pids
    wait_for(lambda: state_of(sleeper) == "T")
    count = end_leases(northside)
    workers.start()
    wait_until_done(northside, seconds=30)
    with enter(northside):
        before = list(Delivery.objects.order_by("pk").values())
    os.kill(sleeper, signal.SIGCONT)
    with enter(northside):
        # What it sent is written down all the same: the receiver got it twice.
        wait_for(lambda: Attempt.objects.count() == 2 * count)
        assert list(Delivery.objects.order_by("pk").values()) == before
    assert set(uploads(receiver).values()) == {2}


#: Makes a tenant with an endpoint and stages events; or stages further ones.
_STAGE = """
import sys
import django
django.setup()
from django.core.management import call_command
from django.db import transaction
from claimkit.events import ClaimsImported
from claimkit.tenants import use_tenant
from claimkit.types import SystemClock, TenantKey
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.models import Tenant
from claimkit_django.webhooks.endpoints import add_endpoint

first, count, url = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
call_command("migrate", verbosity=0)
_, is_new = Tenant.objects.get_or_create(key="northside", name="Northside")
if is_new:
    with use_tenant("northside"):
        add_endpoint(url=url, event_types=["*"], using="default")
for number in range(first, first + count):
    bus = make_bus(open_store("default"))
    with bus.transaction(transaction.atomic()):
        bus.stage(ClaimsImported(tenant=TenantKey("northside"), at=SystemClock().now(),
            upload=f"upl_{number}", new=1, changed=0, same=0, rejected=0))
"""


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a server to restart")
def test_a_database_that_restarts_loses_nothing(takes):
    """C8: it crashes while workers are at it, and comes back."""
    psycopg = pytest.importorskip("psycopg")
    receiver, _ = takes(0)
    with durable_server() as server:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.projects.bare",
            "CLAIMKIT_TEST_WEBHOOKS": str(BATCH),
            "DATABASE_URL": server.url,
        }

        def start(*arguments):
            command = [sys.executable, *arguments]
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

        assert start("-c", _STAGE, "0", "300", receiver.url()).wait(60) == 0
        worker = start("-m", "django", "claimkit_deliver", "--skip-checks")
        try:
            wait_for(lambda: len(receiver.requests) > 30)
            server.restart()
            assert start("-c", _STAGE, "300", "50", "").wait(60) == 0
            wait_for(lambda: len(uploads(receiver)) == 350)
            with psycopg.connect(server.url, autocommit=True) as other:
                query = "SELECT DISTINCT state FROM claimkit_webhooks_delivery"
                wait_for(lambda: other.execute(query).fetchall() == [("done",)])
            assert worker.poll() is None
        finally:
            worker.kill()
            worker.wait()
    assert set(uploads(receiver)) == {f"upl_{number}" for number in range(350)}
    assert len(receiver.requests) - 350 <= BATCH * THREADS


def wait_for(is_so, *, seconds=40):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state_of(pid):
    """Return the letter of a process's state; T is stopped."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        pytest.skip("states of processes are read from /proc")
    return stat.read_text().rpartition(")")[2].split()[0]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
