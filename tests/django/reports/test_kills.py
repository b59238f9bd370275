"""A worker that is killed publishes nothing, and what it was making is made by another."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from claimkit.tenants import Role
from claimkit.types import TenantKey
from claimkit_django.reports.exports import Wanted, ask_export, prune_exports
from claimkit_django.reports.files import report_path
from claimkit_django.reports.models import ExportRun, ReportFile, ReportMail, ReportRun
from claimkit_django.reports.orphans import remove_orphans
from claimkit_django.reports.runs import dead_reports, run_report
from claimkit_django.tenants.models import LegalHold
from claimkit_django.tenants.scope import enter
from tests.reporting import FEBRUARY, ask, make

ROOT = Path(__file__).resolve().parents[3]
#: Makes one report or export, and kills itself where it is told to.
_WORKER = """
import os, signal, sys
import django
django.setup()
from claimkit.types import TenantKey
from claimkit_django.reports import exports, runs

def cut(place, name, nth):
    act, seen = getattr(place, name), []

    def instead(*args, **kwargs):
        seen.append(name)
        if len(seen) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*args, **kwargs)

    setattr(place, name, instead)

def cut_after(place, name):
    act = getattr(place, name)

    def instead(*args, **kwargs):
        act(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, instead)

kind, uid, name, nth = sys.argv[1:]
place = runs if kind == "report" else exports
cut(place, name, int(nth)) if int(nth) else cut_after(place, name)
getattr(place, f"run_{kind}")(TenantKey("northside"), uid)
"""


def killed(kind, uid, name, nth=1):
    """Make something in a process of its own, which is killed on the way; return how it ended."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "DJANGO_SETTINGS_MODULE": "tests.projects.bare",
        "CLAIMKIT_TEST_NAME": str(connection.settings_dict["NAME"]),
        "CLAIMKIT_TEST_MEDIA": str(default_storage.location),
    }
    command = [sys.executable, "-c", _WORKER, kind, uid, name, str(nth)]
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=120, check=False).returncode


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "nth"),
    [("_render", 2), ("_publish", 1), ("_queue_mails", 1)],
    ids=["between two formats", "before it is published", "while it is published"],
)
def test_a_report_whose_worker_is_killed_is_made_by_another(clinic, name, nth):
    row, _ = ask(clinic, formats=["json", "html"], recipients=["cfo@example.org"])

    ended_by = killed("report", row.uid, name, nth)

    halfway = ReportRun.unscoped.get()
    assert (ended_by, halfway.status, halfway.headline) == (-signal.SIGKILL, "running", "")
    assert (ReportFile.unscoped.count(), ReportMail.unscoped.count()) == (0, 0)
    # Nobody takes it before it has been silent for long.
    assert dead_reports(ReportRun, using="default", now=timezone.now()) == (0, 0)
    later = timezone.now() + dt.timedelta(hours=2)
    assert dead_reports(ReportRun, using="default", now=later) == (1, 0)
    made = run_report(TenantKey(clinic.key), row.uid)
    assert (made.status, made.attempts) == ("success", 2)
    assert (ReportFile.unscoped.count(), ReportMail.unscoped.count()) == (2, 1)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_export_whose_worker_is_killed_is_given_up_and_says_so(clinic):
    with enter(clinic):
        row = ask_export(Wanted(source="findings", form="csv"), role=Role.OWNER)

    ended_by = killed("export", row.uid, "save_file")

    halfway = ExportRun.unscoped.get()
    assert (ended_by, halfway.status, halfway.file.name) == (-signal.SIGKILL, "running", "")
    assert prune_exports(now=timezone.now() + dt.timedelta(hours=2)) == (0, 1)
    ended = ExportRun.unscoped.get()
    assert (ended.status, ended.error_code) == ("failed", "run_died")
    assert "ask for it again" in ended.error_message


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["report", "export"])
def test_what_a_killed_worker_left_in_the_storage_is_removed(clinic, storage, kind):
    kept = make(clinic, FEBRUARY)
    if kind == "report":
        row, _ = ask(clinic, formats=["json", "html"])
    else:
        with enter(clinic):
            row = ask_export(Wanted(source="findings", form="csv"), role=Role.OWNER)
    before = storage()

    # After the file is there, before anything tells of it.
    ended_by = killed(kind, row.uid, "save_file", 0)

    left = set(storage()) - set(before)
    now = timezone.now()
    assert (ended_by, len(left)) == (-signal.SIGKILL, 1)
    # A run that is alive, or a file of today, may be of somebody who is about to tell.
    assert remove_orphans(now=now) == 0
    assert remove_orphans(now=now + dt.timedelta(hours=23)) == 0
    assert remove_orphans(now=now + dt.timedelta(hours=25)) == 1
    assert storage() == before
    assert remove_orphans(now=now + dt.timedelta(hours=25)) == 0
    assert ReportFile.unscoped.get().run_id == kept.pk


@pytest.mark.django_db(transaction=True)
def test_a_hold_keeps_what_nobody_knows(clinic, storage):
    with enter(clinic):
        default_storage.save(report_path(None, "report.json"), ContentFile(b"{}"))
        LegalHold.objects.create(reason="audit", placed_by="user:1")
    later = timezone.now() + dt.timedelta(days=2)

    assert remove_orphans(now=later) == 0
    assert len(storage()) == 1
