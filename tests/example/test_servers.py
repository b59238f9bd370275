"""The example with servers: its schedule, its Compose file, and Flower, which asks for a password."""

from __future__ import annotations

import base64
import json
import os
import re
import runpy
import shutil
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


def test_the_compose_file_is_one():
    """By the program that will read it, where there is one; it needs no server."""
    client = shutil.which("docker")
    known = client and subprocess.run([client, "compose", "version"], capture_output=True)
    if not known or known.returncode:
        pytest.skip("no docker with compose on this machine")
    asked = set(re.findall(r"\$\{(\w+)", (COMPOSE / "compose.yml").read_text(encoding="utf-8")))
    done = subprocess.run(
        [client, "compose", "-f", COMPOSE / "compose.yml", "config", "--quiet"],
        env={**os.environ, **dict.fromkeys(asked, PASSWORD)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr


def _commands():
    """Return the command of each service of the Compose file that runs our image."""
    text = (COMPOSE / "compose.yml").read_text(encoding="utf-8")
    services = re.findall(
        r"^  (\w+):\n    <<: \*site\n(?:    .*\n)*?    command: (\[.*\])$", text, re.MULTILINE
    )
    return {name: json.loads(command) for name, command in services}


def test_commands_of_the_compose_file_are_those_that_there_are(env):
    commands = _commands()

    assert commands.keys() == {"demo", "worker", "beat", "flower"}
    # A worker takes whatever the tasks are sent to: one queue, as long as nothing is routed.
    asked = (
        "import json; from example.celery import app; app.loader.import_default_modules();"
        "router = app.amqp.router;"
        "print(json.dumps([sorted({router.route({}, name)['queue'].name for name in app.tasks}),"
        " sorted(app.amqp.queues)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=PROJECT, env=env, capture_output=True, text=True
    )
    sent_to, taken_from = json.loads(done.stdout)
    assert "--queues" not in commands["worker"]
    assert set(sent_to) <= set(taken_from)
    for name in ("worker", "beat", "flower"):
        program, *arguments = commands[name]
        assert program == "celery"
        told = subprocess.run(
            [sys.executable, "-m", "celery", *arguments, "--help"],
            cwd=PROJECT,
            env={**env, "FLOWER_BASIC_AUTH": f"operator:{PASSWORD}"},
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stderr


def test_what_prometheus_and_grafana_are_given_is_where_they_look(env, tmp_path):
    """The command of the Compose file writes it; Prometheus' own program reads it."""
    made = re.search(r"manage.py (claimkit_dashboards) (/demo/\S+)", _commands()["demo"][2])
    there = tmp_path / "demo"
    folder = str(there / Path(made[2]).relative_to("/demo"))
    subprocess.run([sys.executable, "manage.py", made[1], folder], cwd=PROJECT, env=env, check=True)
    provider = (COMPOSE / "grafana/provisioning/dashboards/claimkit.yml").read_text()
    dashboards = Path(re.search(r"path: (\S+)", provider)[1].replace("/demo", str(there)))

    assert [one for one in dashboards.glob("*.json") if json.loads(one.read_text())["panels"]]
    assert (
        "url: http://prometheus:9090"
        in (COMPOSE / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    if shutil.which("promtool"):
        (there / "dashboards" / "token").write_text(PASSWORD)
        config = tmp_path / "prometheus.yml"
        text = (COMPOSE / "prometheus.yml").read_text(encoding="utf-8")
        config.write_text(text.replace("/demo", str(there)))
        checked = subprocess.run(
            ["promtool", "check", "config", config], capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stderr
        assert "rules found" in checked.stdout + checked.stderr


_SIGN_IN = """
from django.contrib.auth import authenticate, get_user_model
from django.core import checks
from example import people
people.make_tenant(key="northside", name="Northside Hospital", timezone="UTC")
get_user_model().objects.create_user("dora", password="zorglub-4171")
told = [one.id for one in checks.run_checks(include_deployment_checks=True)]
print(authenticate(username="site-admin", password=people.password()) is not None,
      authenticate(username="dora", password="zorglub-4171") is not None,
      "example.E001" in told)
"""


@pytest.mark.parametrize(("debug", "told"), [("1", "True True False"), ("0", "False True True")])
def test_the_password_of_the_demo_opens_nothing_where_others_can_reach_it(env, debug, told):
    for command in (["migrate", "-v0"], ["shell", "-v0", "-c", _SIGN_IN]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=PROJECT,
            env={**env, "DEBUG": debug},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    assert done.stdout.strip() == told


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
