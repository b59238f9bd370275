"""The example served for real: a server, a worker over files, and a browser's requests."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

pytest.importorskip("celery")
pytest.importorskip("rest_framework")

PROJECT = Path(__file__).parents[2] / "example_project"
PEOPLE = """
from example import people
people.make_tenant(key="northside", name="Northside Hospital", timezone="UTC")
people.make_tenant(key="lakeview", name="Lakeview Clinic", timezone="UTC")
print(people.password())
"""
ONSET = dt.date(2026, 1, 5)


def claims_csv():
    """Ten months of one payer's MRI claims; from ``ONSET`` on, half of them are denied."""
    chance = random.Random(20_260_105)
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(
        [
            "claim id",
            "payer",
            "cpt",
            "date of service",
            "submitted date",
            "decision date",
            "billed",
            "paid",
            "status",
            "carc",
        ]
    )
    for number in range(9_000):
        decided = dt.date(2025, 6, 2) + dt.timedelta(days=number // 30)
        is_denied = chance.random() < (0.5 if decided >= ONSET else 0.1)
        sent = decided - dt.timedelta(days=chance.randint(10, 30))
        money = ("0.00", "denied", "CO-197") if is_denied else ("900.00", "paid", "")
        rows.writerow([f"A{number:06}", "Aetna", "73721", sent, sent, decided, "1450.00", *money])
    rows.writerow(["A999999", "Aetna", "73721", "2026-01-05", "", "", "12..5", "", "paid", ""])
    return out.getvalue().encode()


class Site:
    """A running example with its worker."""

    def __init__(self, folder):
        self.env = {
            **os.environ,
            "CLAIMKIT_DEMO_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "example.settings",
        }
        for name in ("DATABASE_URL", "REDIS_URL"):
            self.env.pop(name, None)
        self.manage("migrate", "-v0")
        self.password = self.manage("shell", "-v0", "-c", PEOPLE).strip()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = (folder / "site.log").open("wb")
        self.running = [
            self._start("manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"),
            self._start("-m", "celery", "-A", "example", "worker", "--pool", "solo"),
        ]

    def _start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=self.env,
            stdout=self.log,
            stderr=self.log,
        )

    def manage(self, *arguments):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(timeout=30)
        self.log.close()

    def call(self, path, *, user, body=None, content_type=""):
        """Return status, headers and JSON of a call with basic credentials."""
        token = base64.b64encode(f"{user}:{self.password}".encode()).decode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body)
        request.add_header("Authorization", f"Basic {token}")
        if content_type:
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.load(error)

    def browser(self, user):
        """Return an opener that is signed in."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = self.page(opener, "/login/")
        form = {"username": user, "password": self.password, "csrfmiddlewaretoken": _token(page)}
        self.page(opener, "/login/", form)
        return opener

    def page(self, opener, path, form=None):
        data = urllib.parse.urlencode(form).encode() if form else None
        with opener.open(f"http://127.0.0.1:{self.port}{path}", data, timeout=30) as answer:
            return answer.read().decode()


def _token(page):
    return re.search(r'csrfmiddlewaretoken" value="(\w+)"', page).group(1)


def wait_for(question, *, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if (answer := question()) is not None:
                return answer
        except urllib.error.URLError:
            pass  # still starting
        time.sleep(0.2)
    raise AssertionError("waited in vain")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    running = Site(tmp_path_factory.mktemp("demo"))
    try:
        wait_for(lambda: running.call("/api/v1/", user="northside-viewer")[2])
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def upload(site):
    """A file that an analyst sent and the worker has read."""
    body = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="q1.csv"\r\n'
    body += b"Content-Type: text/csv\r\n\r\n" + claims_csv() + b"\r\n--edge--\r\n"
    status, headers, sent = site.call(
        "/api/v1/uploads/",
        user="northside-analyst",
        body=body,
        content_type="multipart/form-data; boundary=edge",
    )
    assert status == 202, sent

    def finished():
        seen = site.call(headers["Location"], user="northside-viewer")[2]
        return seen if seen["progress"]["done"] else None

    return wait_for(finished)


@pytest.mark.slow
def test_an_upload_is_read_by_the_worker_and_its_drift_is_found(site, upload):
    assert upload["status"] == "partial", upload["error"]
    assert upload["claims_new"] == 9_000
    assert [one["position"] for one in upload["problems"]] == [9_002]

    site.manage("claimkit_watch", "--tenant", "northside", "-v0")
    active = site.call("/api/v1/drift/active/", user="northside-viewer")[2]["results"]

    denials = [one for one in active if one["signal"] == "denial_rate"]
    assert [one["payer"].casefold() for one in denials] == ["aetna"]
    assert abs(dt.date.fromisoformat(denials[0]["onset"]) - ONSET) <= dt.timedelta(days=14)
    assert float(denials[0]["dollars_per_month"]) > 10_000


@pytest.mark.slow
def test_people_deal_with_its_alert(site, upload):
    site.manage("claimkit_watch", "--tenant", "northside", "-v0")
    browser = site.browser("northside-analyst")
    (where,) = set(
        re.findall(r"/dashboard/alerts/alr_\w+/", site.page(browser, "/dashboard/alerts/"))
    )
    page = site.page(browser, where)
    assert "I deal with it" in page

    answered = site.page(browser, f"{where}acknowledge/", {"csrfmiddlewaretoken": _token(page)})
    assert "Acknowledged, with northside-analyst" in answered
    assert "I deal with it" not in answered
    assert "alr_" not in site.page(site.browser("lakeview-owner"), "/dashboard/alerts/")
    assert "Mail that was sent" in site.page(browser, "/mail/")


@pytest.mark.slow
def test_the_other_hospital_sees_nothing_of_it(site, upload):
    status, _, body = site.call(upload["_links"]["self"], user="lakeview-owner")
    assert (status, body["code"]) == (404, "not_found")
    assert site.call("/api/v1/claims/", user="lakeview-owner")[2]["results"] == []


@pytest.mark.slow
@pytest.mark.parametrize("role", ["owner", "admin", "analyst", "viewer"])
def test_every_role_sees_the_pages_and_viewers_cannot_send(site, upload, role):
    browser = site.browser(f"northside-{role}")

    assert "Northside Hospital" in site.page(browser, "/")
    files = site.page(browser, "/dashboard/uploads/")
    assert "q1.csv" in files
    assert ('type="file"' in files) == (role != "viewer")


@pytest.mark.slow
@pytest.mark.parametrize("user", ["group-analyst", "site-admin"])
def test_who_may_enter_both_chooses(site, upload, user):
    browser = site.browser(user)
    page = site.page(browser, "/")
    assert "Whose claims do you want to see?" in page

    chosen = {"tenant": "lakeview", "csrfmiddlewaretoken": _token(page)}
    answered = site.page(browser, "/dashboard/organizations/", chosen)
    assert "Lakeview Clinic" in answered
    assert "There are no decisions of payers yet" in answered


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site):
    browser = site.browser("northside-owner")
    for path in (
        "/",
        "/dashboard/uploads/",
        "/dashboard/alerts/",
        "/dashboard/automation/",
        "/mail/",
        "/login/",
        "/api/v1/docs/",
        "/api/v1/redoc/",
    ):
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', site.page(browser, path)), path


@pytest.mark.slow
def test_operators_see_how_it_fares(site, upload):
    status, _, told = site.call("/health/", user="site-admin")
    text = site.page(site.browser("site-admin"), "/metrics")

    assert (status, told["status"]) == (200, "ok"), told
    assert {"database", "migrations", "alerts", "broker"} <= told["checks"].keys()
    assert (
        'claimkit_http_requests_total{method="POST",route="/api/v1/uploads/",status="202"}' in text
    )
    assert 'claimkit_uploads_waiting{status="queued"} 0.0' in text
