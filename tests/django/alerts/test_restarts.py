"""A worker that stops at any step: nothing is lost, and at most what it was saying is said twice."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack

import pytest
from django.core import mail
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection
from django.utils import timezone

from claimkit_django.alerts.models import Alert, Notification
from claimkit_django.alerts.notify import notify_due
from claimkit_django.tenants.scope import across_tenants, enter
from tests.alerting import report, signal


class Stopped(BaseException):
    """What no isolation point may catch: the process is gone."""


class StopAt:
    """Stops the process at its n-th statement."""

    def __init__(self, number):
        self.left = number

    def __call__(self, execute, sql, params, many, context):
        if self.left == 0:
            raise Stopped
        self.left -= 1
        return execute(sql, params, many, context)


def runs_until(number, step):
    """Run a step, and stop it at a statement; return whether it came to its end."""
    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(StopAt(number)))
        try:
            step()
        except Stopped:
            return False
    return True


def let_leases_end():
    """Act as if the time had passed after which others take over what a worker had."""
    with across_tenants():
        held = Notification.unscoped.using(USING).filter(state="leased")
        held.update(due_at=timezone.now() - dt.timedelta(seconds=1))


def said(number):
    return [one for one in mail.outbox if f"payer number {number}." in one.body]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stops_at_any_statement_loses_nothing(northside, mailed):
    steps = 0
    while True:
        report(northside, signal(number=steps, summary=f"payer number {steps}."))
        came_to_its_end = runs_until(steps, lambda: notify_due(using=USING))
        let_leases_end()
        notify_due(using=USING)

        assert len(said(steps)) in ({1} if came_to_its_end else {1, 2}), f"stopped at {steps}"
        if came_to_its_end:
            break
        steps += 1
    assert steps >= 10
    with enter(northside):
        assert not Notification.objects.filter(state__in=["due", "leased"]).exists()


@pytest.mark.django_db(transaction=True)
def test_a_report_that_stops_at_any_statement_is_there_whole_or_not_at_all(northside, mailed):
    steps = 0
    while True:
        about = signal(number=steps, summary=f"payer number {steps}.")
        came_to_its_end = runs_until(steps, lambda about=about: report(northside, about))
        with enter(northside):
            known = Alert.objects.filter(fingerprint=f"fp-{steps}").count()
            waiting = Notification.objects.filter(state="due").count()
        assert (known, waiting) == ((1, 1) if came_to_its_end else (0, 0)), f"stopped at {steps}"
        if came_to_its_end:
            break
        steps += 1
    assert steps >= 5
    # Told again, it is one alert and one mail.
    report(northside, signal(number=steps, summary=f"payer number {steps}."))
    notify_due(using=USING)
    assert len(said(steps)) == 1
