"""The house is the same everywhere: a room has one name in core, Django, tests, docs, settings."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import tomllib

import pytest

from claimkit.config import Config

#: Room → whether it has its own Django app.
ROOMS = {
    "tenants": True,
    "claims": True,
    "drift": True,
    "reports": True,
    "webhooks": True,
    "alerts": True,
    "ops": True,
    "audit": True,
    "authorizations": True,
    "automation": True,
}
#: Rooms whose app has no tables, and therefore no furniture for them.
_WITHOUT_TABLES = {"ops"}
#: What makes a room's Django app: the same furniture in each.
_FURNITURE = ("apps.py", "checks.py", "urls.py")
_TABLES = ("models.py", "admin.py", "rest.py", "migrations")
#: The verb of each room: package and name, as the story of a file tells it.
_VERBS = (
    ("claims", "claimkit.claims.intake", "import_claims"),
    ("drift", "claimkit.drift.watch", "watch"),
    ("drift", "claimkit.drift.risk", "score_claims"),
    ("drift", "claimkit.drift.risk", "calibrate"),
    ("reports", "claimkit.reports.period", "compose_period"),
    ("webhooks", "claimkit.webhooks.deliver", "deliver"),
)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_where_one_looks_for_it(root, room):
    core = root / "src" / "claimkit"
    tests = root / "tests" / "core"

    assert (core / room / "__init__.py").exists() or (core / f"{room}.py").exists()
    assert list((tests / room).glob("test_*.py")) or (tests / f"test_{room}.py").exists()
    assert (root / "docs" / "reference" / f"{room}.md").exists()
    assert room in {field.name for field in dataclasses.fields(Config)}


@pytest.mark.parametrize("room", [room for room, has_app in ROOMS.items() if has_app])
def test_a_django_room_has_its_furniture(root, room):
    folder = root / "src" / "claimkit_django" / room

    wanted = _FURNITURE if room in _WITHOUT_TABLES else _FURNITURE + _TABLES

    assert [one for one in wanted if not (folder / one).exists()] == []
    assert list((root / "tests" / "django" / room).glob("test_*.py"))


def test_there_is_no_room_that_nobody_knows(root):
    folders = {
        one.parent.name
        for package in ("claimkit", "claimkit_django")
        for one in (root / "src" / package).glob("*/__init__.py")
    }

    assert folders - ROOMS.keys() == {
        "accounts",
        "cli",
        "dashboard",
        "stores",
        "testing",
        "rest",
        "http",
        "migrations_kit",
    }


@pytest.mark.parametrize(("room", "module", "verb"), _VERBS)
def test_a_verb_is_called_by_its_django_room_and_by_the_command_line(sources, room, module, verb):
    """No core that nobody calls."""
    callers = {one.module for one in sources if _calls(one.tree, module, verb)}

    assert any(one.split(".")[:2] == ["claimkit", "cli"] for one in callers)
    assert ROOMS[room] == any(one.startswith(f"claimkit_django.{room}.") for one in callers)


def _calls(tree, module, verb):
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
        if alias.name == verb
    }
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
        for node in ast.walk(tree)
    )


def _project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _version(path):
    return re.search(r'^__version__ = "(.+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)[1]


def test_versions_agree(root):
    version = _version(root / "src" / "claimkit" / "__init__.py")
    major_minor = ".".join(version.split(".")[:2])

    for folder in sorted((root / "plugins").iterdir()):
        project = _project(folder)
        assert f"claimkit>={major_minor},<1" in project["dependencies"]
        assert project["requires-python"] == _project(root)["requires-python"]


def test_the_core_depends_on_two_packages(root):
    names = {re.match(r"[\w-]+", one)[0] for one in _project(root)["dependencies"]}

    assert names == {"pluggy", "numpy"}


def test_pythons_agree(root):
    told = (root / ".python-version").read_text(encoding="utf-8").split()
    classified = [
        one.rsplit(" ", 1)[1]
        for one in _project(root)["classifiers"]
        if one.startswith("Programming Language :: Python :: 3.")
    ]

    assert told == classified
    assert _project(root)["requires-python"] == f">={told[0]}"


def _kept(root):
    """Return the text files that are part of the repository."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        pytest.skip("not a Git checkout")
    return [root / one for one in done.stdout.split("\0") if one and (root / one).is_file()]


def test_nothing_tells_of_the_machine_it_was_written_on(root):
    """Paths of a home, registry hosts and addresses of a network have no place in a library."""
    home = re.compile(rb"/(?:root|home|Users|work)/[A-Za-z.][\w.-]*/|\b10\.\d+\.\d+\.\d+\b")
    mirror = re.compile(rb"https?://[\w.-]*(?:artifactory|nexus|devpi|pypi-mirror)[\w.-]*")
    told = {
        str(path.relative_to(root))
        for path in _kept(root)
        if path.suffix not in {".png", ".ico"} and path.name != "test_house.py"
        if home.search(path.read_bytes()) or mirror.search(path.read_bytes())
    }

    assert told == set()


def test_a_change_is_told_in_a_fragment_that_the_changelog_can_take(root):
    kinds = {"security", "removed", "deprecated", "added", "changed", "fixed"}
    for path in (root / "changelog.d").iterdir():
        if path.name == "README.md":
            continue
        slug, kind, suffix = path.name.split(".")
        text = path.read_text(encoding="utf-8")

        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
        assert kind in kinds
        assert suffix == "md"
        assert text[:1].isupper() or text.startswith("`")
        assert text.endswith(".\n")
        assert not text.startswith("#")


def test_pages_of_the_repository_name_what_is_there(root):
    named = {
        (page.name, one)
        for page in root.glob("*.md")
        for one in re.findall(
            r"`((?:tests|src|docs|plugins|changelog\.d)/[\w./-]+)`", page.read_text()
        )
    }

    assert {(page, one) for page, one in named if not (root / one).exists()} == set()


def test_ci_runs_every_environment_that_make_test_runs(root):
    listed = tomllib.loads((root / "tox.toml").read_text(encoding="utf-8"))["env_list"]
    workflow = (root / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    run = set(re.findall(r"environment: ([\w-]+),", workflow))

    assert set(listed) <= run | {"coverage"}
    assert "-e coverage" in workflow
