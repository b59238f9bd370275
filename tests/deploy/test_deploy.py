"""The deploy kit at work: real servers that are well, ill, slow or gone, and a chat that is told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

SECRET = "marsupilami-" + "k" * 20


class Site:
    """A server that answers with what it is told, in turn; the last answer stays."""

    def __init__(self, *answers):
        site = self
        self.asked = []
        self.bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append((self.path, dict(self.headers)))
                status, body = answers[min(len(site.asked), len(answers)) - 1]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def do_POST(self):
                site.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


WELL = (200, {"status": "ok", "checks": {"database": {"status": "ok"}}})
ILL = (503, {"status": "failing", "checks": {"database": {"status": "failing", "note": "x"}}})


@pytest.fixture
def deploy(pytestconfig):
    def run(name, *arguments, **environment):
        kept = {name: one for name, one in os.environ.items() if not name.startswith("GITHUB_")}
        done = subprocess.run(
            [sys.executable, pytestconfig.rootpath / "deploy" / name, *arguments],
            env={**kept, **environment}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_site_that_is_well(deploy):
    with Site(WELL) as site:
        status, out, _ = deploy("validate_rollback.py", site.url, OPS_TOKEN=SECRET)

    assert status == 0
    assert "the site is well" in out
    assert SECRET not in out
    assert [path for path, _ in site.asked] == ["/livez", "/readyz", "/health/"]
    assert {headers["Authorization"] for _, headers in site.asked} == {f"Bearer {SECRET}"}


def test_a_site_that_becomes_well(deploy):
    with Site(ILL, ILL, WELL) as site:
        status, out, _ = deploy(
            "validate_rollback.py", site.url, "--wait", "0", "--format", "json", "--path", "readyz"
        )

    told = json.loads(out)
    assert (status, told["status"]) == (0, 0)
    assert [(one["status"], one["attempts"]) for one in told["answers"]] == [(200, 3)]


def test_a_site_that_is_not_well(deploy):
    with Site(ILL) as site:
        status, out, _ = deploy("validate_rollback.py", site.url, "--wait", "0", "--retries", "1")

    assert status == 1
    assert "503" in out
    assert "database failing" in out
    assert len(site.asked) == 6


def test_a_site_that_sends_probes_elsewhere_is_not_well(deploy):
    with Site((302, {})) as site:
        status, _, _ = deploy("validate_rollback.py", site.url, "--retries", "0")

    assert status == 1


def test_a_site_that_does_not_answer(deploy):
    status, out, _ = deploy(
        "validate_rollback.py", f"http://127.0.0.1:{free_port()}", "--retries", "1", "--wait", "0"
    )

    assert status == 2
    assert "NO ANSWER" in out


def test_a_site_that_hangs_costs_no_more_than_its_time(deploy):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        status, _, _ = deploy("validate_rollback.py", url, "--timeout", "0.3", "--total", "1")

    assert status == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--local", "https://claims.example.org"],
        ["ftp://claims.example.org"],
        ["--local", "--timeout", "0"],
        ["--local", "--retries", "-1"],
    ],
)
def test_arguments_that_cannot_be_meant(deploy, arguments):
    assert deploy("validate_rollback.py", *arguments)[0] == 2


def test_local_asks_this_machine(deploy):
    status, out, _ = deploy(
        *("validate_rollback.py", "--local", "--path", "livez", "--retries", "0"),
        *("--timeout", "2", "--format", "json"),
    )

    assert json.loads(out)["answers"][0]["address"] == "http://127.0.0.1:8000/livez"
    assert status in {0, 1, 2}


def test_a_chat_is_told_and_nothing_in_it_is_markup(deploy):
    with Site((200, {})) as chat:
        status, _, _ = deploy(
            "notify.py", "failed", DEPLOY_WEBHOOK_URL=chat.url, DEPLOY_ENVIRONMENT="production",
            GITHUB_REPOSITORY="claimkit/claimkit", GITHUB_RUN_ID="7", GITHUB_SHA="abcdef1234567890",
            GITHUB_REF_NAME='"},{"x":"<!channel> *bold* @everyone\nsecond', GITHUB_ACTOR="<b>",
        )  # fmt: skip

    assert status == 0
    text = json.loads(chat.bodies[0])["text"]
    assert text.startswith("❌ deployment failed: claimkit/claimkit")
    assert "<" not in text
    assert "&lt;!channel&gt;" in text
    assert "@everyone" not in text
    assert "*bold*" not in text
    first, link = text.splitlines()
    assert "second" in first
    assert link == "https://github.com/claimkit/claimkit/actions/runs/7"


def test_nobody_who_listens_is_no_failure(deploy):
    assert deploy("notify.py", "started", DEPLOY_WEBHOOK_URL="")[0] == 0
    assert deploy("notify.py", "begun")[0] == 2
    url = f"http://127.0.0.1:{free_port()}/secret-{SECRET}"
    status, out, err = deploy("notify.py", "started", DEPLOY_WEBHOOK_URL=url)
    assert (status, SECRET in out + err) == (1, False)


def test_the_summary_needs_every_job(pytestconfig):
    text = (pytestconfig.rootpath / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs = [
        line.strip().rstrip(":")
        for line in text.partition("\njobs:\n")[2].splitlines()
        if line.startswith("  ") and not line.startswith("   ") and line.endswith(":")
    ]
    needed = text.partition("  summary:")[2].partition("needs: [")[2].partition("]")[0].split(", ")

    assert sorted(needed) == sorted(set(jobs) - {"summary"})
    for one in needed:
        assert f'test "${{{{ needs.{one}.result }}}}" = success' in text


def test_every_environment_that_a_workflow_runs_is_there(pytestconfig):
    known = tomllib.loads((pytestconfig.rootpath / "tox.toml").read_text(encoding="utf-8"))["env"]
    for path in (pytestconfig.rootpath / ".github" / "workflows").glob("*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "tox run" in line and "matrix" not in line:
                name = line.partition("-e ")[2].split()[0]
                assert name in known, f"{path.name}: {name}"


def test_no_workflow_puts_what_somebody_chose_into_a_shell(pytestconfig):
    for path in (pytestconfig.rootpath / ".github" / "workflows").glob("*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip().startswith(("run:", "- run:")):
                assert "github.event" not in line
                assert "inputs." not in line
                assert "head_ref" not in line
