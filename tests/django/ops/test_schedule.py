"""What the documentation wants on a schedule is there, and takes no claims along."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re

import pytest

pytest.importorskip("celery")

from celery import Celery
from django.apps import apps


@pytest.fixture(autouse=True)
def _registered():
    """Let every installed room register its tasks, as a worker does."""
    names = [one.name for one in apps.get_app_configs() if one.name.startswith("claimkit_django.")]
    for name in names:
        if importlib.util.find_spec(f"{name}.tasks"):
            importlib.import_module(f"{name}.tasks")


def ours():
    """Return the tasks of rooms; tests make some of their own, and leave some app current."""
    app = Celery("scheduled", broker="memory://", set_as_current=False)
    app.finalize()
    return {
        name: one
        for name, one in app.tasks.items()
        if name.startswith("claimkit.") and one.run.__module__.startswith("claimkit_django.")
    }


def test_every_task_that_is_told_of_exists(pytestconfig):
    page = pytestconfig.rootpath / "docs" / "howto" / "run-with-celery.md"
    told = set(re.findall(r"`(claimkit\.\w+\.\w+)`", page.read_text(encoding="utf-8")))

    assert len(told) >= 8
    assert told <= ours().keys()


def test_tasks_take_names_and_never_what_they_work_on():
    """Arguments lie in a broker: identifiers, keys, aliases and days only."""
    for name, task in ours().items():
        for one in inspect.signature(task.run).parameters.values():
            assert one.name in {"uid", "tenant", "using", "as_of"}, f"{name}: {one.name}"


def test_what_takes_long_is_acknowledged_late():
    late = {name for name, one in ours().items() if one.acks_late}

    assert {
        "claimkit.claims.import_upload", "claimkit.drift.watch_tenant", "claimkit.drift.backtest",
        "claimkit.reports.make_report", "claimkit.reports.make_export",
        "claimkit.ops.apply_retention",
    } <= late  # fmt: skip
