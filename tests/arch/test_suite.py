"""The suite tests what it seems to test."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_hypothesis_profile_is_loaded():
    loaded = settings()

    assert settings.get_current_profile_name() == "claimkit"
    assert (loaded.max_examples, loaded.derandomize, loaded.deadline) == (100, True, None)


def test_a_property_is_tried_a_hundred_times():
    tried = []

    @given(st.integers())
    def holds(number):
        tried.append(number)

    holds()

    assert len(tried) == 100


def test_a_warning_fails_a_test(pytestconfig):
    assert pytestconfig.getini("filterwarnings") == ["error"]


def test_the_core_is_tested_without_django(root):
    """Fixtures of the Django tests must not be loaded for the core."""
    code = (
        "import pytest, sys; pytest.main(['-q', '--co', 'tests/core', '-p', 'no:randomly', "
        "'-p', 'no:django']); assert 'claimkit_django' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, encoding="utf-8"
    )

    assert done.returncode == 0, done.stderr


def test_modules_of_tests_do_not_import_each_other(root):
    telling = [
        str(path.relative_to(root))
        for path in (root / "tests").rglob("test_*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(("from tests.core", "from tests.django", "from tests.stores"))
    ]

    assert telling == []
    assert not list((root / "tests").rglob("__init__.py"))


def _environments():
    root = Path(__file__).parents[2]
    tox = tomllib.loads((root / "tox.toml").read_text(encoding="utf-8"))
    return [
        pytest.param([environment, *_bases(tox, environment)], id=name)
        for name, environment in tox["env"].items()
    ]


def _bases(tox, environment):
    return [tox[base] for base in environment.get("base", ["env_run_base"])]


@pytest.mark.parametrize("tables", _environments())
def test_an_environment_of_tox_runs_something(tables):
    """tox says OK of an environment whose base it does not find, and runs nothing."""
    commands = next(one["commands"] for one in tables if "commands" in one)

    assert commands


def test_every_environment_that_is_listed_is_there(root):
    tox = tomllib.loads((root / "tox.toml").read_text(encoding="utf-8"))

    assert set(tox["env_list"]) <= tox["env"].keys()


def test_what_the_default_list_leaves_out_is_named_by_a_workflow(root):
    """It must still run somewhere by itself."""
    workflows = "".join(one.read_text() for one in (root / ".github" / "workflows").glob("*.yml"))

    for name in ("coverage", "py313-dj61"):
        assert re.search(rf"(-e |environment: ){name}\b", workflows), name
