"""The same work as Celery tasks, with ids as arguments and nothing else."""

from __future__ import annotations

import pytest

from claimkit.tenants import Role
from claimkit_django.reports.exports import Wanted, ask_export
from claimkit_django.reports.models import ExportRun, ReportRun, ReportSchedule
from claimkit_django.reports.tasks import queue_export, queue_report
from claimkit_django.tenants.scope import enter
from tests.reporting import ask

tasks = pytest.importorskip("celery") and __import__(
    "claimkit_django.reports.tasks", fromlist=["make_report"]
)
pytestmark = pytest.mark.django_db


@pytest.fixture
def here(settings):
    """Run tasks at once, in this process."""
    from celery import current_app

    before = current_app.conf.task_always_eager
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = before


def test_a_report_is_made_and_mailed_by_a_task(
    clinic, here, mailbox, django_capture_on_commit_callbacks
):
    row, _ = ask(clinic, recipients=["cfo@example.org"])

    with django_capture_on_commit_callbacks(execute=True):
        queue_report(row)

    assert ReportRun.unscoped.get().status == "success"
    assert len(mailbox.mails) == 1


def test_an_export_is_written_by_a_task(clinic, here, django_capture_on_commit_callbacks):
    with enter(clinic):
        row = ask_export(Wanted(source="findings", form="csv"), role=Role.OWNER)

    with django_capture_on_commit_callbacks(execute=True):
        queue_export(row)

    assert ExportRun.unscoped.get().rows_done == 1


def test_a_run_that_fails_is_told_by_its_row_and_not_by_the_task(clinic):
    row, _ = ask(clinic)
    ReportRun.unscoped.update(formats=["gone"])
    with enter(clinic):
        wanted = ask_export(Wanted(source="findings", form="csv"), role=Role.OWNER)
    ExportRun.unscoped.update(source="gone")

    assert tasks._make_report(row.uid, clinic.key) == "failed"
    assert tasks._make_export(wanted.uid, clinic.key) == "failed"
    assert tasks._make_report(row.uid, clinic.key) == "taken"
    assert ReportRun.unscoped.get().error_code == ExportRun.unscoped.get().error_code


def test_what_is_due_is_made_by_beat(clinic):
    with enter(clinic):
        ReportSchedule.objects.create(kind="weekly", formats=["json"])

    assert tasks._due() == 1
    assert tasks._due() == 0
    assert tasks._prune() == 0
