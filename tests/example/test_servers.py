"""The example with servers: its schedule, its Compose file, and Flower, which asks for a password."""

from __future__ import annotations

import base64
import json
import os
import re
import runpy
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("celery")

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "example_project"
COMPOSE = PROJECT / "compose"
PASSWORD = "marsupilami-417"


@pytest.fixture
def env(tmp_path):
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "FLOWER_BASIC_AUTH"}
    }
    return {**kept, "CLAIMKIT_DEMO_DIR": str(tmp_path / "demo")}


def test_every_task_of_the_schedule_exists(env):
    asked = (
        "import json; from example.celery import app; app.loader.import_default_modules();"
        "print(json.dumps([[one['task'] for one in app.conf.beat_schedule.values()],"
        " sorted(app.tasks)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=PROJECT, env=env, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    wanted, known = json.loads(done.stdout)
    assert len(wanted) == 9
    assert set(wanted) <= set(known)


def test_nothing_of_the_compose_file_starts_without_a_password(tmp_path):
    text = (COMPOSE / "compose.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text))

    assert asked == set(re.findall(r"\$\{(\w+):\?", text))
    path = tmp_path / ".env"
    for _ in range(2):
        subprocess.run([sys.executable, COMPOSE / "make_env.py", path], check=True)
    made = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert asked <= made.keys()
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_compose_file_opens_ports_to_this_machine_only():
    text = (COMPOSE / "compose.yml").read_text(encoding="utf-8")
    ports = re.findall(r"ports: \[\"([^\"]+)\"\]", text)

    assert len(ports) == 4
    assert all(one.startswith("127.0.0.1:") for one in ports)
    services = set(re.findall(r"^  (\w+):$", text.split("services:\n")[1], re.MULTILINE))
    assert {"postgres", "redis", "web", "worker", "beat", "flower"} <= services
    assert {"prometheus", "grafana"} <= services


@pytest.mark.parametrize(
    "given", ["", "operator", "operator:", "operator:short", ":marsupilami-417"]
)
def test_flower_refuses_to_start_without_a_password(monkeypatch, given):
    monkeypatch.setenv("FLOWER_BASIC_AUTH", given)

    with pytest.raises(SystemExit, match="FLOWER_BASIC_AUTH must be"):
        runpy.run_path(str(PROJECT / "flowerconfig.py"))


@pytest.mark.slow
def test_flower_asks_for_the_password(env):
    """A real Flower: nobody in without it, and in with it."""
    pytest.importorskip("flower")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [*(sys.executable, "-m", "celery", "-A", "example", "flower", "--conf=flowerconfig.py"),
         f"--port={port}"],
        cwd=PROJECT,
        env={**env, "FLOWER_BASIC_AUTH": f"operator:{PASSWORD}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert _status(port, "") == 401
        assert _status(port, f"operator:{PASSWORD[:-1]}") == 401
        assert _status(port, f"operator:{PASSWORD}") == 200
    finally:
        server.terminate()
        server.wait(timeout=20)


def _status(port, who):
    address = f"http://127.0.0.1:{port}/workers"
    headers = {"Authorization": f"Basic {base64.b64encode(who.encode()).decode()}"} if who else {}
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as told:
                return told.status
        except urllib.error.HTTPError as refused:
            return refused.code
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)
