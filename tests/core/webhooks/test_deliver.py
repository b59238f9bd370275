from __future__ import annotations

import datetime as dt
import threading
from ipaddress import ip_network
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimkit.config import WebhooksConfig
from claimkit.outbox import DeliveryState, MemoryOutbox
from claimkit.testing.receivers import Receiver, answer, answering, dripping
from claimkit.types import SystemClock, TenantKey
from claimkit.webhooks.deliver import Courier, Endpoint, Tally, deliver
from claimkit.webhooks.memory import MemoryBook
from claimkit.webhooks.signing import HOP, TimedKey, generate_key, verify
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import HttpTransport, Limits, Reason, Reply, SendFailed

NOON = dt.datetime(2026, 4, 12, 12, tzinfo=dt.UTC)
NORTHSIDE = TenantKey("northside")
KEY = generate_key()


class Receivers:
    """Answers by URL: a status, an exception, or a function of the request; keeps all requests."""

    def __init__(self, clock):
        self.clock = clock
        self.plan = {}
        self.requests = []
        self.closed = 0

    def post(self, url, headers, body, *, certificates=None):
        self.requests.append((url, dict(headers), body, self.clock.now()))
        self.certificates = certificates
        planned = self.plan.get(url, 200)
        if callable(planned):
            planned = planned()
        if isinstance(planned, SendFailed):
            self.clock.move(seconds=15 if planned.reason is Reason.DEADLINE else 0)
        if isinstance(planned, Exception):
            raise planned
        return planned if isinstance(planned, Reply) else Reply(status=planned, body=b"no")

    def close(self):
        self.closed += 1


class ManualClock:
    def __init__(self):
        self.at = NOON

    def now(self):
        return self.at

    def move(self, **by):
        self.at += dt.timedelta(**by)


class Post:
    """An outbox, a book and a courier, with time in hand."""

    def __init__(self, **settings):
        self.clock = ManualClock()
        self.receivers = Receivers(self.clock)
        self.config = WebhooksConfig(**settings)
        self.outbox = MemoryOutbox()
        self.book = MemoryBook(self.outbox, self.config)
        self.courier = Courier(
            outbox=self.outbox,
            book=self.book,
            make_transport=lambda: self.receivers,
            clock=self.clock,
            random=Random(7),
            config=self.config,
        )
        self.sent = 0

    def open(self, lane, **values):
        values.setdefault("keys", (TimedKey(key=KEY),))
        self.book.add(Endpoint(lane=lane, url=f"https://{lane}/", **values))

    def send(self, lane, count=1):
        names = []
        for _ in range(count):
            self.sent += 1
            names.append(f"d-{self.sent:03}")
            self.book.send(
                names[-1],
                lane,
                b'{"x":1}',
                message_id=f"msg_{self.sent}",
                tenant=NORTHSIDE,
                at=self.clock.now(),
            )
        return names

    def state(self, name):
        known = self.outbox.find(name)
        return known.state, known.reason


def test_a_delivery_is_signed_and_done():
    post = Post()
    post.open("a", headers={"authorization": "Bearer marsupilami"})
    (name,) = post.send("a")

    tally = deliver(post.courier)

    ((_, headers, body, at),) = post.receivers.requests
    assert (tally, post.state(name)) == (Tally(done=1), (DeliveryState.DONE, ""))
    assert verify(headers, body, [KEY], now=at).message_id == "msg_1"
    assert headers["authorization"] == "Bearer marsupilami"
    assert headers["content-type"] == "application/json"
    assert "x-signature" not in headers
    assert post.receivers.closed == 1


def test_an_old_receiver_gets_its_header_beside_the_others():
    post = Post()
    post.open("a", legacy_secret="marsupilami")
    post.send("a")
    deliver(post.courier)

    headers = post.receivers.requests[0][1]
    assert len(headers["x-signature"]) == 64
    assert "webhook-signature" in headers


def test_a_failure_follows_the_schedule_until_it_is_given_up():
    post = Post(circuit_failures=99)
    post.open("a")
    post.receivers.plan["https://a/"] = 500
    (name,) = post.send("a")

    for _ in range(2_000):
        deliver(post.courier)
        if not post.outbox.find(name).state.is_live:
            break
        post.clock.move(minutes=5)

    times = [(at - NOON).total_seconds() / 3600 for *_, at in post.receivers.requests]
    ids = {headers["webhook-id"] for _, headers, _, _ in post.receivers.requests}
    stamps = [int(headers["webhook-timestamp"]) for _, headers, _, _ in post.receivers.requests]
    assert len(times) == 10
    assert 75.6 * 0.8 < times[-1] < 75.6 * 1.2 + 1
    assert (post.state(name), ids) == ((DeliveryState.DEAD, "http_status"), {"msg_1"})
    assert stamps == sorted(set(stamps))


def test_retry_after_is_kept_and_the_endpoint_left_alone():
    """A41."""
    post = Post()
    post.open("a")
    post.receivers.plan["https://a/"] = Reply(status=429, retry_after="600")
    _, second = post.send("a", 2)

    deliver(post.courier)
    post.clock.move(seconds=599)
    deliver(post.courier)
    assert len(post.receivers.requests) == 1
    assert post.outbox.find(second).attempts == 0

    post.receivers.plan.clear()
    post.clock.move(seconds=1)
    assert deliver(post.courier) == Tally(done=2)


def test_gone_disables_the_endpoint_and_cancels_the_rest():
    post = Post()
    post.open("a")
    post.receivers.plan["https://a/"] = 410
    names = post.send("a", 3)

    tally = deliver(post.courier)
    (late,) = post.send("a")
    deliver(post.courier)

    assert tally == Tally(dead=1, cancelled=2)
    assert post.book.disabled == {"a": "gone"}
    assert [post.state(one)[0] for one in names] == ["dead", "cancelled", "cancelled"]
    assert post.state(late) == (DeliveryState.CANCELLED, "endpoint_disabled")
    assert len(post.receivers.requests) == 1


def test_days_of_failures_disable_the_endpoint():
    post = Post()
    post.open("a")
    post.receivers.plan["https://a/"] = SendFailed(Reason.CONNECT_FAILED)
    for _ in range(6 * 24):
        if "a" in post.book.disabled:
            break
        post.send("a")
        deliver(post.courier)
        post.clock.move(hours=1)

    assert post.book.disabled == {"a": "failing"}
    assert post.clock.now() - NOON >= dt.timedelta(days=5)


def test_an_open_circuit_lets_one_probe_through_and_burns_no_attempts():
    post = Post(circuit_failures=2)
    post.open("a")
    post.receivers.plan["https://a/"] = 500
    names = post.send("a", 9)

    deliver(post.courier)
    assert len(post.receivers.requests) == 2
    post.clock.move(seconds=30)
    deliver(post.courier)
    assert len(post.receivers.requests) == 3
    assert [post.outbox.find(one).attempts for one in names] == [1, 1, 1, 0, 0, 0, 0, 0, 0]

    post.receivers.plan.clear()
    post.clock.move(hours=1)
    assert deliver(post.courier) == Tally(done=9)


def test_a_slow_receiver_costs_one_attempt_and_not_a_batch():
    post = Post()
    post.open("a")
    post.open("b")
    post.receivers.plan["https://a/"] = SendFailed(Reason.DEADLINE)
    post.send("a", 5)
    post.send("b", 5)

    leases = post.courier.lease(1)
    tally = post.courier.serve(leases[0])

    assert tally == Tally(retried=1, released=4)
    assert (post.clock.now() - NOON).total_seconds() == 15


def test_without_a_key_nothing_is_sent():
    post = Post()
    post.open("a", keys=(TimedKey(key=KEY, expires_at=NOON),))
    (name,) = post.send("a")

    assert deliver(post.courier) == Tally(retried=1)
    assert (post.state(name), post.receivers.requests) == ((DeliveryState.DUE, "no_key"), [])
    assert post.book.find("a").health.is_clean


def test_a_retry_carries_the_keys_of_now():
    post = Post()
    old, new = generate_key(), generate_key()
    post.open("a", keys=(TimedKey(key=old),))
    post.receivers.plan["https://a/"] = 500
    post.send("a")
    deliver(post.courier)
    post.open(
        "a",
        keys=(TimedKey(key=new), TimedKey(key=old, expires_at=NOON + dt.timedelta(hours=24))),
    )
    post.receivers.plan.clear()
    post.clock.move(seconds=10)
    deliver(post.courier)

    first, second = (one[1]["webhook-signature"].split() for one in post.receivers.requests)
    assert (len(first), len(second)) == (1, 2)
    assert post.book.attempts[1].keys == (new.fingerprint, old.fingerprint)


def test_a_poisonous_delivery_dies_alone(caplog):
    """C13."""
    post = Post()
    post.open("a")
    answers = iter([200, RuntimeError("marsupilami"), 200])
    post.receivers.plan["https://a/"] = lambda: next(answers)
    names = post.send("a", 3)

    assert deliver(post.courier) == Tally(done=2, dead=1)
    assert [post.state(one) for one in names][1] == (DeliveryState.DEAD, "internal")
    assert [one.message for one in caplog.records] == ["webhook could not be sent"]


def test_a_worker_that_was_overtaken_changes_nothing_and_still_tells():
    post = Post()
    post.open("a")
    (name,) = post.send("a")
    (paused,) = post.courier.lease(1)
    post.clock.move(minutes=2)
    assert deliver(post.courier) == Tally(done=1)

    late = post.courier.serve(paused)

    assert late == Tally(overtaken=1)
    assert post.state(name)[0] is DeliveryState.DONE


def test_a_lease_that_is_nearly_over_is_not_used():
    post = Post()
    post.open("a")
    (name,) = post.send("a")
    (leases,) = post.courier.lease(1)
    post.clock.move(seconds=35)

    assert post.courier.serve(leases) == Tally(released=1)
    assert (post.outbox.find(name).attempts, post.receivers.requests) == (0, [])


def test_the_answer_to_a_failure_is_kept_and_that_to_a_success_is_not():
    post = Post()
    post.open("a")
    answers = iter([Reply(status=200, body=b"thanks"), Reply(status=500, body=b"sorry")])
    post.receivers.plan["https://a/"] = lambda: next(answers)
    post.send("a", 2)
    deliver(post.courier)

    assert [one.response for one in post.book.attempts] == [b"", b"sorry"]
    assert "sorry" not in repr(post.book.attempts)


def test_threads_serve_lanes_at_the_same_time_and_leave():
    post = Post()
    meeting = threading.Barrier(3, timeout=10)
    left = []
    post.courier._on_leave = lambda: left.append(threading.get_ident())
    for lane in "abc":
        post.open(lane)
        post.receivers.plan[f"https://{lane}/"] = lambda: (meeting.wait() and 200) or 200
        post.send(lane)

    assert deliver(post.courier, threads=3) == Tally(done=3)
    assert len(set(left)) == 3


@pytest.mark.parametrize("threads", [1, 3])
def test_each_thread_has_opened_what_it_needs_before_anything_is_leased(threads):
    post, arrived, seen = Post(), [], []
    post.courier._on_arrive = lambda: arrived.append(threading.get_ident())
    lease = post.courier.lease
    post.courier.lease = lambda lanes: seen.append(len(arrived)) or lease(lanes)
    post.open("a")
    post.send("a")

    assert deliver(post.courier, threads=threads) == Tally(done=1)
    assert (len(set(arrived)), seen[0]) == (threads, threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_cannot_be_opened_is_an_error_and_takes_nothing(threads):
    post = Post()

    def refuse():
        raise ConnectionError("no database")

    post.courier._on_arrive = refuse
    post.open("a")
    [name] = post.send("a")

    with pytest.raises(ConnectionError):
        deliver(post.courier, threads=threads)
    assert post.outbox.find(name).attempts == 0


def test_it_waits_for_more_until_it_is_stopped():
    post = Post(poll_seconds=2.5)
    post.open("a")
    waits = []

    def wait(seconds):
        waits.append(seconds)
        post.send("a")

    tally = deliver(post.courier, wait=wait, is_stopping=lambda: len(waits) == 3)

    assert (tally, waits) == (Tally(done=2), [2.5] * 3)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=25), st.integers())
def test_whatever_receivers_do_every_delivery_ends(plan, seed):
    """Simulated months: what receivers take is done once in the books, nothing stays for ever."""
    random = Random(seed)
    post = Post(disable_after_days=1000.0)
    names = []
    for lane in "abc":
        post.open(lane)
        post.receivers.plan[f"https://{lane}/"] = lambda: random.choice(
            [200, 204, 500, 429, 302, SendFailed(Reason.DEADLINE), SendFailed(Reason.TLS_ERROR)]
        )
    for lane, pause in plan:
        names += post.send(lane)
        post.clock.move(minutes=pause)
        deliver(post.courier)
    for _ in range(900):
        deliver(post.courier)
        post.clock.move(hours=1)
        if not any(post.outbox.find(one).state.is_live for one in names):
            break

    states = [post.outbox.find(one).state for one in names]
    taken = sum(one.succeeded for one in post.book.attempts)
    assert set(states) <= {DeliveryState.DONE, DeliveryState.DEAD}
    assert states.count(DeliveryState.DONE) == taken


@pytest.mark.parametrize("status", [199, 300, 304])
def test_only_two_hundreds_are_successes(status):
    """A39."""
    post = Post()
    post.open("a")
    post.receivers.plan["https://a/"] = status
    post.send("a")

    assert deliver(post.courier) == Tally(retried=1)


@pytest.mark.parametrize("status", [204, 206, 299])
def test_every_two_hundred_is_a_success_whatever_the_body_says(status):
    """A38, A39."""
    post = Post()
    post.open("a")
    post.receivers.plan["https://a/"] = Reply(status=status, body=b"error")
    post.send("a")

    assert deliver(post.courier) == Tally(done=1)


@pytest.mark.parametrize("reason", Reason)
def test_whatever_breaks_is_tried_again_and_counts_against_the_endpoint(reason):
    """A32, A36."""
    post = Post()
    post.open("a")
    post.receivers.plan["https://a/"] = SendFailed(reason)
    (name,) = post.send("a")

    assert deliver(post.courier) == Tally(retried=1)
    assert post.state(name) == (DeliveryState.DUE, reason.value)
    assert (post.book.find("a").health.failures, post.book.attempts[0].status) == (1, 0)


def test_what_is_withdrawn_is_cancelled_and_the_rest_is_sent():
    post = Post()
    post.open("a")
    first, second = post.send("a", 2)
    del post.book._messages[first]

    assert deliver(post.courier) == Tally(done=1, cancelled=1)
    assert post.state(first) == (DeliveryState.CANCELLED, "withdrawn")
    assert post.state(second)[0] is DeliveryState.DONE


@pytest.mark.parametrize(("site", "told"), [("marsupilami", "marsupilami"), ("", None)])
def test_a_site_says_who_it_is(site, told):
    post = Post()
    post.courier._site = site
    post.open("a")
    post.send("a")
    deliver(post.courier)

    assert post.receivers.requests[0][1].get(HOP) == told


def test_a_receiver_that_drips_keeps_nobody_waiting():
    """A31: the others have all of theirs while the first attempt at the bad one still lasts."""
    post = Post()
    post.courier._clock = SystemClock()
    policy = TargetPolicy(allow_http=True, allowed_networks=(ip_network("127.0.0.0/8"),))
    limits = Limits(total_seconds=0.4)
    post.courier._make_transport = lambda: HttpTransport(policy, limits=limits)
    post.clock.at = SystemClock().now()
    with Receiver(dripping) as bad, Receiver(answering(answer(204))) as good:
        for lane, receiver in (("bad", bad), ("good", good)):
            keys = (TimedKey(key=KEY),)
            post.book.add(Endpoint(lane=lane, url=receiver.url(), keys=keys))
            post.send(lane, 10)
        tally = deliver(post.courier, threads=2)

    slow = next(one for one in post.book.attempts if one.reason == Reason.DEADLINE)
    ended = slow.started_at + dt.timedelta(seconds=slow.seconds)
    assert (tally.done, len(good.requests)) == (10, 10)
    assert all(one.started_at < ended for one in post.book.attempts if one.succeeded)
