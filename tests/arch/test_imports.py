"""Importing does nothing but import: each module alone, in a process that has imported no other."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_HAS_DJANGO = importlib.util.find_spec("rest_framework") is not None

#: Reads module names, imports each in a fork of its own, and prints name → what went wrong.
#: Packages of others are imported once, before, because it is they who take the time.
_PROBE = """
import importlib, importlib.metadata, json, logging, os, socket, subprocess, sys, threading, traceback

def forbid(what):
    def refuse(*args, **kwargs):
        raise AssertionError(f"importing {what}")
    return refuse

def foreign():
    return {name.partition(".")[0] for name, module in list(sys.modules.items())
            if "site-packages" in (getattr(module, "__file__", None) or "")}

def check(name):
    environment, search_path, known = dict(os.environ), list(sys.path), foreign()
    find = importlib.metadata.entry_points
    importlib.metadata.entry_points = lambda **asked: (
        forbid("looks for plugins")() if asked.get("group") == "claimkit" else find(**asked))
    socket.socket.connect = forbid("opens a connection")
    subprocess.Popen.__init__ = forbid("starts a process")
    module = importlib.import_module(name)
    assert "claimkit.builtins" not in sys.modules or name == "claimkit.builtins", "plugins loaded"
    assert threading.active_count() == 1, "a thread was started"
    assert dict(os.environ) == environment, "the environment was changed"
    assert sys.path == search_path, "the search path was changed"
    assert not logging.root.handlers, "logging was configured"
    if not name.startswith("claimkit_django"):
        assert foreign() <= known, f"asks for {sorted(foreign() - known)}"
    if name.startswith("claimkit_django.") and not apps_are_ready:
        assert not django.conf.settings.configured, "the settings were read"
    missing = [one for one in getattr(module, "__all__", ()) if not hasattr(module, one)]
    assert not missing, f"__all__ names what is not there: {missing}"

outcomes = {}
for name in json.load(sys.stdin):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            check(name)
            os.write(writer, b"fine")
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-4000:])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        outcomes[name] = told.read()
    os.waitpid(child, 0)
json.dump(outcomes, sys.stdout)
"""
_CORE = "apps_are_ready = False\nimport numpy, pluggy, tempfile\n"
#: What test authors have installed; only ``claimkit.testing`` may ask for it.
_TESTING = f"{_CORE}import hypothesis.stateful, hypothesis.extra.numpy, pytest\n"
_BARE_DJANGO = f"{_CORE}import django.conf, django.db.models, django.http, asgiref.sync\n"
#: A site with the rooms: their models can only be imported once their apps are known.
_ROOMS = """
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="k" * 50,
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
        "django.contrib.messages", "django.contrib.sessions", "rest_framework", "drf_spectacular",
        "claimkit_django.tenants", "claimkit_django.accounts", "claimkit_django.claims",
        "claimkit_django.drift", "claimkit_django.webhooks", "claimkit_django.alerts",
        "claimkit_django.ops", "claimkit_django.authorizations", "claimkit_django.audit",
        "claimkit_django.reports",
        "claimkit_django.automation", "claimkit_django.dashboard",
    ],
)
django.setup()
import numpy, pluggy
apps_are_ready = True
"""
_PLUGINS = sorted(map(str, Path(__file__).parents[2].glob("plugins/*/src")))
#: What a settings file may import: it must not ask for the settings in turn.
_BEFORE_SETTINGS = ("conf", "http", "signals", "terminal")


def probe(before, modules):
    environment = {
        name: value
        for name, value in os.environ.items()
        if "DJANGO" not in name and not name.startswith("COV")
    }
    # A plugin of this repository need not be installed.
    paths = filter(None, [environment.get("PYTHONPATH", ""), *_PLUGINS])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", before + _PROBE],
        input=json.dumps(modules),
        capture_output=True,
        text=True,
        encoding="utf-8",
        # The threads of a numerical library would make Python warn of the fork.
        env={**environment, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _kind(module):
    if module.endswith("__main__"):
        return "run"
    package, _, rest = module.partition(".")
    if module.startswith("claimkit.testing"):
        return "testing"
    if package != "claimkit_django":
        return "core"
    room = rest.partition(".")[0]
    return "settings" if room in _BEFORE_SETTINGS else "rooms"


@pytest.fixture(scope="session")
def outcomes(sources):
    """Import every module of the packages, and return what became of each."""
    kinds = {"core": _CORE, "testing": _TESTING}
    if _HAS_DJANGO:
        kinds |= {"settings": _BARE_DJANGO, "rooms": _ROOMS}
    found = {}
    for kind, before in kinds.items():
        found |= probe(before, [one.module for one in sources if _kind(one.module) == kind])
    return found


def test_a_module_is_imported_alone_and_nothing_happens(source, outcomes):
    if _kind(source.module) == "run":
        pytest.skip("made to be run")
    if source.module.startswith("claimkit_django") and not _HAS_DJANGO:
        pytest.skip("Django is not installed")

    assert outcomes[source.module] == "fine"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import importlib.metadata as m; m.entry_points(group='claimkit')", "looks for plugins"),
        ("import claimkit.builtins", "plugins loaded"),
        ("import os; os.environ['MARSUPILAMI'] = '1'", "environment was changed"),
        ("import logging; logging.basicConfig()", "logging was configured"),
        ("import scipy", "'scipy'"),
        ("import warnings; warnings.warn('old', DeprecationWarning)", "DeprecationWarning"),
        ("__all__ = ['nobody']", "names what is not there"),
    ],
)
def test_a_side_effect_is_noticed(tmp_path, monkeypatch, code, told):
    (tmp_path / "marsupilami.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert told in probe(_CORE, ["marsupilami"])["marsupilami"]
