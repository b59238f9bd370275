from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from kombu.exceptions import OperationalError

from claimkit.types import TenantKey
from claimkit_django.claims import tasks
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.models import Upload
from claimkit_django.runtime import open_store

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[3]
NORTHSIDE = TenantKey("northside")
HEADER = "Claim ID,Payer,CPT,DOS,Submitted,Decided,Status,Billed,Allowed,Paid\n"
ROW = "A{n:05},Meridian Health,99213,2026-01-05,2026-01-06,2026-01-12,paid,120.00,100.00,80.00\n"


def export(count):
    return (HEADER + "".join(ROW.format(n=n) for n in range(count))).encode()


@pytest.fixture
def waiting(northside, make_upload):
    def make(count):
        content = export(count)
        return make_upload(
            northside, file=ContentFile(content, name="export.csv"), bytes_total=len(content)
        )

    return make


@pytest.fixture
def elsewhere(tmp_path, settings, transactional_db):
    """Return the environment in which a child process shares our database, files and broker."""
    broker, media = tmp_path / "broker", tmp_path / "media"
    broker.mkdir()
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(media)},
        },
    }
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.projects.core_rooms",
        "CLAIMKIT_TEST_NAME": str(connection.settings_dict["NAME"]),
        "CLAIMKIT_TEST_BROKER": str(broker),
        "CLAIMKIT_TEST_MEDIA": str(media),
        "CLAIMKIT_TEST_BATCH_SIZE": "20",
    }


def wait_for(condition, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def test_an_import_is_queued_after_the_commit_with_ids_only(
    waiting, monkeypatch, django_capture_on_commit_callbacks
):
    sent = []
    monkeypatch.setattr(tasks.import_upload, "delay", lambda *message: sent.append(message))
    upload = waiting(1)

    with django_capture_on_commit_callbacks() as callbacks:
        tasks.queue_import(upload)
    assert sent == []
    callbacks[0]()

    assert sent == [(upload.uid, "northside", "default")]


def test_without_celery_the_import_runs_here_and_now(
    waiting, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(tasks, "shared_task", None)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.queue_import(waiting(3))

    assert Upload.unscoped.get().status == "success"


def test_a_broker_that_is_away_leaves_the_upload_queued(
    waiting, monkeypatch, django_capture_on_commit_callbacks
):
    def refuse(*_):
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.import_upload, "delay", refuse)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.queue_import(waiting(1))

    assert Upload.unscoped.get().status == "queued"


def test_a_file_that_kills_its_workers_is_given_up(waiting):
    upload = waiting(1)
    Upload.unscoped.filter(pk=upload.pk).update(attempts=5)

    assert tasks.import_upload(upload.uid, "northside") == "given_up"
    assert Upload.unscoped.get().status == "queued"


def test_the_task_has_a_stable_name_and_returns_the_status(waiting):
    assert tasks.import_upload.name == "claimkit.claims.import_upload"
    assert tasks.import_upload(waiting(2).uid, "northside") == "success"


@pytest.mark.slow
def test_a_worker_in_another_process_imports_the_file(elsewhere, waiting):
    upload = waiting(50)
    send = (
        "import django; django.setup(); from claimkit_django.claims.tasks import import_upload; "
        f"import_upload.delay({upload.uid!r}, 'northside')"
    )
    subprocess.run([sys.executable, "-c", send], env=elsewhere, cwd=ROOT, check=True, timeout=120)
    assert Upload.unscoped.get().status == "queued"
    command = [sys.executable, "-m", "celery", "-A", "tests.projects.worker", "worker"]
    worker = subprocess.Popen(
        [*command, "--pool", "solo", "--without-gossip", "--without-mingle", "--loglevel", "ERROR"],
        env=elsewhere,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: Upload.unscoped.get().finished_at)
    finally:
        worker.terminate()
        worker.wait(60)

    ended = Upload.unscoped.get()
    assert (ended.status, ended.claims_new, ended.batches_done) == ("success", 50, 3)


@pytest.mark.slow
def test_an_import_killed_with_no_chance_to_clean_up_is_completed(elsewhere, waiting):
    upload = waiting(2_000)
    victim = subprocess.Popen(
        [sys.executable, "-m", "django", "claimkit_import", "--resume", "-v", "0"],
        env=elsewhere,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: Upload.unscoped.get().batches_done >= 3)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait(60)
    halfway = Upload.unscoped.get()
    assert (halfway.status, halfway.batches_done < 100) == ("processing", True)
    assert open_store().claims.totals(NORTHSIDE).claims == halfway.claims_new

    # As the command does where no batch size is set: the same batches as before.
    from django.test import override_settings

    with override_settings(CLAIMKIT={"CLAIMS": {"BATCH_SIZE": 20}}):
        ended = run_import(NORTHSIDE, upload.uid)

    assert (ended.status, ended.attempts) == ("success", 2)
    assert (ended.claims_new, ended.claims_same) == (2_000, 0)
    assert open_store().claims.totals(NORTHSIDE).claims == 2_000
