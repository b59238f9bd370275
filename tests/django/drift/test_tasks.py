from __future__ import annotations

import datetime as dt

import pytest

from claimkit.types import TenantKey
from claimkit_django.drift import tasks
from claimkit_django.drift.models import WatchRun

pytestmark = pytest.mark.django_db


def test_the_task_watches_as_of_a_day(northside):
    assert tasks.watch_tenant.name == "claimkit.drift.watch_tenant"
    assert tasks.watch_tenant("northside", "2026-03-20") == 0

    run = WatchRun.unscoped.get()
    assert (run.status, run.actor, run.as_of) == ("success", "task", dt.date(2026, 3, 20))


def test_every_active_tenant_gets_a_message_of_its_own(northside, lakeview, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.watch_tenant, "delay", lambda *message: sent.append(message))
    northside.active = False
    northside.save()

    assert tasks.watch_all() == 1
    assert sent == [("lakeview",)]


def test_a_watch_is_queued_or_runs_here_and_now(northside, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.watch_tenant, "delay", lambda *message: sent.append(message))
    tasks.queue_watch(TenantKey("northside"), as_of=dt.date(2026, 3, 20))
    assert sent == [("northside", "2026-03-20")]

    monkeypatch.setattr(tasks, "shared_task", None)
    tasks.queue_watch(TenantKey("northside"))
    assert WatchRun.unscoped.get().status == "success"
