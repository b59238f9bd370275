"""Who may import whom: the contracts of ``pyproject.toml`` hold, and would notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter")


def lint_imports(folder, *paths):
    """Check the contracts of a folder; its packages are looked for in these paths first."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture
def copy(root, packages, tmp_path):
    """Copy the packages and their contracts to where they can be spoiled."""
    for package in packages:
        shutil.copytree(root / package, tmp_path / Path(package).name)
    shutil.copy(root / "pyproject.toml", tmp_path)


def test_all_contracts_are_kept(root, packages):
    done = lint_imports(root, *{(root / one).parent for one in packages})

    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("claimkit/claims/dates.py", "import claimkit.drift.cube", "rooms meet in events only"),
        ("claimkit/drift/cube.py", "import django", "the core knows neither Django"),
        ("claimkit/errors.py", "import claimkit.testing.factories", "shipped to test with"),
        ("claimkit_django/claims/store.py", "import rest_framework", "rooms work where neither"),
        ("claimkit_django/drift/store.py", "import claimkit_django.claims.store", "are siblings"),
        (
            "claimkit_django/drift/migrations/0001_initial.py",
            "import claimkit_django.drift.models",
            "migrations know neither",
        ),
        ("claimkit_x12/values.py", "import claimkit.stores.memory", "plugins use the ports"),
        ("claimkit_fhir/plugin.py", "import claimkit.cli", "plugins use the ports"),
        ("claimkit_slack/plugin.py", "import claimkit.builtins", "plugins use the ports"),
        ("claimkit_payers_us/plugin.py", "import claimkit.stores.memory", "plugins use the ports"),
        ("claimkit_pagerduty/plugin.py", "import claimkit_django", "plugins use the ports"),
        ("claimkit_apprise/plugin.py", "import claimkit.testing", "plugins use the ports"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(copy, tmp_path, module, line, contract):
    """A contract that matches nothing would be kept for ever."""
    with (tmp_path / module).open("a", encoding="utf-8") as out:
        out.write(f"\n{line}\n")

    done = lint_imports(tmp_path, tmp_path)

    assert done.returncode != 0
    assert [one for one in done.stdout.splitlines() if " BROKEN" in one and contract in one]


def test_a_new_module_must_find_its_layer(copy, tmp_path):
    (tmp_path / "claimkit" / "marsupilami.py").touch()

    done = lint_imports(tmp_path, tmp_path)

    assert done.returncode != 0
    assert "marsupilami" in done.stdout
