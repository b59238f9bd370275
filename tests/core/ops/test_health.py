"""Checks are asked at once, in a box of time, and never pile up."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.ops.health import Answer, Checkup, Examiner, Status, Vital


class Looks:
    def __init__(self, name, found=None, act=lambda: None):
        self.name, self.found, self.act, self.asked = name, found or Vital(), act, 0

    def look(self):
        self.asked += 1
        self.act()
        return self.found


def fail():
    raise RuntimeError("password=marsupilami")


@pytest.fixture
def gate():
    """Return what a hanging check waits for; opened in the end, whatever happens."""
    made = threading.Event()
    yield made
    made.set()


def test_the_worst_finding_is_the_status():
    checks = [Looks("cache"), Looks("disk", Vital(status=Status.DEGRADED, note="fills up"))]

    health = Examiner(checks, seconds=5).examine()

    assert health.status is Status.DEGRADED
    assert [one.check for one in health.answers] == ["cache", "disk"]
    assert Examiner([], seconds=5).examine().status is Status.OK


def test_what_was_found_is_told_with_its_numbers():
    found = Vital(status=Status.FAILING, note="nobody sends", figures={"due": 7})
    told = Checkup(answers=[Answer(check="webhooks", vital=found, milliseconds=1.26)]).as_json()

    assert told == {
        "status": "failing",
        "checks": {
            "webhooks": {
                "status": "failing", "milliseconds": 1.3, "note": "nobody sends", "figures": {"due": 7}
            }
        },
    }  # fmt: skip


def test_a_check_that_raises_fails_and_does_not_tell_what_it_raised(caplog):
    checks = [Looks("cache", act=fail), Looks("disk")]

    health = Examiner(checks, seconds=5).examine()

    first, second = health.answers
    assert first.vital == Vital(
        status=Status.FAILING, note="raised RuntimeError; the log tells more"
    )
    assert second.vital.status is Status.OK
    assert caplog.records[0].check == "cache"


def test_a_check_that_hangs_fails_in_time_and_holds_up_no_other(gate):
    checks = [Looks("broker", act=gate.wait), Looks("disk")]
    began = time.monotonic()

    health = Examiner(checks, seconds=0.05).examine()

    assert time.monotonic() - began < 2
    assert [one.vital.status for one in health.answers] == [Status.FAILING, Status.OK]
    assert health.answers[0].vital.note == "has not answered in time"


def test_a_check_that_hangs_is_not_asked_again_before_it_is_back(gate):
    hanging = Looks("broker", act=gate.wait)
    examiner = Examiner([hanging], seconds=0.01)

    told = [examiner.examine().status for _ in range(5)]
    gate.set()
    back = Examiner([hanging], seconds=5)

    assert (told, hanging.asked) == ([Status.FAILING] * 5, 1)
    assert back.examine().status is Status.OK
    assert hanging.asked == 2


def test_checks_are_asked_at_the_same_time():
    together = threading.Barrier(3, timeout=5)

    health = Examiner([Looks(str(n), act=together.wait) for n in range(3)], seconds=5).examine()

    assert health.status is Status.OK


def test_an_answer_is_kept_for_a_moment_and_asked_for_anew():
    now = [100.0]
    check, other = Looks("database"), Looks("disk")
    examiner = Examiner([check, other], seconds=5, keep_seconds=2, clock=lambda: now[0])

    examiner.examine(["database", "nobody"])
    now[0] += 1.9
    health = examiner.examine()
    now[0] += 0.1
    examiner.examine()

    assert len(health.answers) == 2
    assert (check.asked, other.asked) == (2, 1)


def test_many_callers_share_one_look():
    check = Looks("database")
    examiner = Examiner([check], seconds=5, keep_seconds=60)
    callers = [threading.Thread(target=examiner.examine) for _ in range(8)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()

    assert check.asked == 1


def test_each_look_runs_in_its_scope():
    entered = []

    @contextmanager
    def scope():
        entered.append(threading.current_thread().name)
        yield
        entered.append("left")

    Examiner([Looks("disk", act=lambda: None)], seconds=5, scope=scope).examine()

    assert entered == ["claimkit-check-disk", "left"]


def test_two_checks_cannot_have_one_name():
    with pytest.raises(ValueError, match="one name"):
        Examiner([Looks("disk"), Looks("disk")], seconds=1)


@given(st.lists(st.sampled_from(Status), max_size=6))
def test_the_status_is_never_better_than_any_part(statuses):
    answers = [
        Answer(check=str(n), vital=Vital(status=one), milliseconds=0)
        for n, one in enumerate(statuses)
    ]
    order = list(Status)

    status = Checkup(answers=answers).status

    assert order.index(status) == max(map(order.index, statuses), default=0)
