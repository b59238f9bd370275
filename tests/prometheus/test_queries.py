"""Every query of dashboards and rules finds data in a real Prometheus that scrapes the running example."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("celery")
pytest.importorskip("prometheus_client")
pytest.importorskip("rest_framework")

from claimkit.ops.dashboards import dashboards
from claimkit.ops.rules import alert_rules, recordings
from claimkit.testing.receivers import Receiver, answer, answering
from tests.postgres import postgres_url

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "example_project"
ACTS = Path(__file__).parent / "acts.py"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(question, *, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answered := question():
                return answered
        except (urllib.error.URLError, ConnectionError):
            pass  # still starting
        time.sleep(0.3)
    raise AssertionError("waited in vain")


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answered:
        return json.load(answered)


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answered:
            return answered.status
    except urllib.error.HTTPError as error:
        return error.code


class Observed:
    """The example with a worker, and a Prometheus that scrapes it every second."""

    def __init__(self, folder, binary):
        counts = folder / "counts"
        counts.mkdir()
        self.env = {
            **os.environ,
            "CLAIMKIT_DEMO_DIR": str(folder / "demo"),
            "DATABASE_URL": postgres_url(),
            "DJANGO_SETTINGS_MODULE": "tests.projects.observed",
            "PROMETHEUS_MULTIPROC_DIR": str(counts),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(PROJECT)]),
        }
        self.env.pop("REDIS_URL", None)
        self.log = (folder / "site.log").open("wb")
        self.running = []
        self.run("demo.py", "--scale", "0.02")
        self.run("manage.py", "claimkit_dashboards", str(folder / "made"), "-v0")
        site, self.port = free_port(), free_port()
        self.site = f"http://127.0.0.1:{site}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "made" / "prometheus" / "claimkit.rules.yml")],
            "scrape_configs": [
                {"job_name": "claimkit", "static_configs": [{"targets": [f"127.0.0.1:{site}"]}]}
            ],
        }
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
        self.start(sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{site}")
        self.start(sys.executable, "-m", "celery", "-A", "example", "worker", "--pool", "solo")
        self.start(
            binary,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        )

    def start(self, *command):
        self.running.append(
            subprocess.Popen(command, cwd=PROJECT, env=self.env, stdout=self.log, stderr=self.log)
        )

    def run(self, *arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT, env=self.env, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def visit(self):
        """Ask what answers well and what does not."""
        return [status_of(self.site + path) for path in ("/livez", "/health/", "/api/v1/", "/no")]

    def query(self, expression):
        text = urllib.parse.urlencode({"query": expression})
        told = get(f"http://127.0.0.1:{self.port}/api/v1/query?{text}")
        return [float(one["value"][1]) for one in told["data"]["result"]]

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(timeout=30)
        self.log.close()


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not on this machine; on Debian: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("observed")
    running = Observed(folder, binary)
    try:
        with Receiver(answering(answer(204))) as good, Receiver(answering(answer(410))) as gone:
            wait_for(lambda: status_of(f"{running.site}/livez") == 200)
            wait_for(lambda: running.query("up == 1"))
            for number in (1, 2):
                # Twice, a scrape in between: a rate needs to see a series grow.
                running.run(str(ACTS), str(number), good.url(), gone.url())
                assert running.visit() == [200, 503, 200, 404]
                failures = f'sum(claimkit_tasks_total{{state="failure"}}) >= {number}'
                wait_for(lambda asked=failures: running.query(asked))
                time.sleep(2.5)
        yield running
    finally:
        running.stop()
        print((folder / "site.log").read_text(encoding="utf-8", errors="replace")[-4_000:])


def panels():
    return [
        pytest.param(query, id=f"{board.uid}: {panel.title} {number}")
        for board in dashboards(per_tenant=True)
        for panel in board.panels
        for number, (query, _) in enumerate(panel.queries)
    ]


@pytest.mark.parametrize("query", panels())
def test_a_panel_shows_something(observed, query):
    values = observed.query(query.replace("$__rate_interval", "5m"))

    assert values
    assert not all(map(math.isnan, values))


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda one: one.name)
def test_what_a_rule_compares_is_there(observed, rule):
    compared, limit = rule.expr.rsplit(" > ", 1)
    values = observed.query(compared)

    assert float(limit) >= 0
    assert values
    assert not all(map(math.isnan, values))


@pytest.mark.parametrize("recording", recordings(), ids=lambda one: one.record)
def test_what_is_recorded_is_there(observed, recording):
    assert observed.query(recording.record)


def test_prometheus_takes_every_rule(observed):
    told = get(f"http://127.0.0.1:{observed.port}/api/v1/rules")
    found = [one for group in told["data"]["groups"] for one in group["rules"]]

    assert {one["health"] for one in found} == {"ok"}
    assert len(found) == len(alert_rules()) + len(recordings())
    firing = {one["name"] for one in found if one["type"] == "alerting" and one["alerts"]}
    # What went wrong on purpose, twice: a rate does not see the first time.
    failing = {f"Claimkit{one}Fail" for one in ("Files", "Reports", "Rules")}
    assert {*failing, "ClaimkitWatchFails"} <= firing


def test_no_name_of_a_tenant_leaves_the_site(observed):
    with urllib.request.urlopen(f"{observed.site}/metrics", timeout=30) as answered:
        text = answered.read().decode()

    assert not re.search("northside|lakeview", text)
    assert 'tenant="' in text
