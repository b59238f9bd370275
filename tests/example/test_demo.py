"""The demo, run as ``make demo`` runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("celery")
pytest.importorskip("rest_framework")
pytest.importorskip("claimkit_x12")

DEMO = Path(__file__).parents[2] / "example_project" / "demo.py"
#: Not the one of a demo that runs beside the tests.
PORT = 8_753


def run(folder):
    env = {
        **os.environ,
        "CLAIMKIT_DEMO_DIR": str(folder),
        "CLAIMKIT_DEMO_RECEIVER_PORT": str(PORT),
        "PYTHONWARNINGS": "error",
    }
    for name in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
        env.pop(name, None)
    done = subprocess.run(
        [sys.executable, str(DEMO)],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(folder):
    return run(folder)


@pytest.mark.slow
def test_every_planted_drift_is_found_and_nothing_else(first):
    told = re.findall(r"(\d+) of (\d+) planted drifts, (\d+) false alarm", first)

    assert [(int(found), int(false)) for found, _, false in told] == [(3, 0), (1, 0)]
    assert all(found == planted for found, planted, _ in told)


@pytest.mark.slow
def test_it_says_what_since_when_and_how_much(first):
    assert re.search(r"MERIDIAN OHIO", first)
    assert re.search(r"since \d+ \w+ 20\d\d", first)
    assert re.search(r"\$\d", first)


@pytest.mark.slow
def test_each_hospital_is_told_in_one_mail(first, folder):
    assert first.count("Told by mail: 1 mail") == 2
    mails = [one.read_text(encoding="utf-8") for one in (folder / "mail").iterdir()]

    assert len(mails) == 2
    assert sum("Subject: [critical]" in one and "and 2 more" in one for one in mails) == 1


@pytest.mark.slow
def test_a_partner_verifies_every_webhook(first, folder):
    told = re.findall(r"Told a partner's program: (\d+) webhooks, .* kept (\d+), in", first)
    inbox = [json.loads(one.read_bytes()) for one in (folder / "partner" / "inbox").iterdir()]

    assert len(told) == 2
    assert all(sent == kept for sent, kept in told)
    # Run again by another test, it tells of its imports again.
    assert sum(int(sent) for sent, _ in told) <= len(inbox)
    kinds = Counter(one["type"] for one in inbox)
    assert kinds["webhooks.ping"] == 2
    # Each drift that was found, and no patient, payer or money.
    assert kinds["drift.detected"] >= 4
    assert not any("payer" in one["data"] for one in inbox)


@pytest.mark.slow
def test_rules_leave_tasks_and_ask_a_person(first):
    told = re.findall(r"Rules of automation: (\d+) tasks? left, (\d+) to approve", first)

    assert len(told) == 2
    assert all(int(left) > 0 for left, _ in told)
    assert sum(int(asked) for _, asked in told) > 0


@pytest.mark.slow
def test_each_hospital_has_its_month_as_pdf_and_workbook(first, folder):
    told = re.findall(r"The month to print and to forward: (\S+\.pdf), (\S+\.xlsx)", first)
    made = list((folder / "media").glob("claimkit/*/reports/*"))

    assert len(told) == 2
    assert sorted(one.suffix for one in made) == [".pdf", ".pdf", ".xlsx", ".xlsx"]
    assert all(one.read_bytes()[:4] in (b"%PDF", b"PK\x03\x04") for one in made)


@pytest.mark.slow
def test_it_says_how_to_open_the_site_and_whom_to_be(first, folder):
    assert "runserver 127.0.0.1:8000" in first
    assert (folder / "demo-password").read_text() in first
    for tenant in ("northside", "lakeview"):
        for role in ("owner", "admin", "analyst", "viewer"):
            assert f"{tenant}-{role}" in first


@pytest.mark.slow
def test_reports_have_charts_and_load_nothing(first, folder):
    for tenant in ("northside", "lakeview"):
        page = (folder / "reports" / tenant / "report.html").read_text()

        assert "<svg" in page
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


@pytest.mark.slow
def test_running_it_again_changes_nothing_and_says_so(first, folder):
    again = run(folder)

    imports = re.findall(r"(?:837P|835|csv) .*MB: (.*)", again)
    assert imports == ["nothing changed"] * 3
    assert again.count("Watched: nothing changed since the last run") == 2
