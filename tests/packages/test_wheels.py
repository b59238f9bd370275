"""What users install: every distribution built, installed together from files, and used.

``claimkit`` and its plugins come from the wheels built here and from nowhere else: an index is
only asked for the packages of others, so that a stranger's package of the same name cannot win.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = (
    *("apprise", "datadog", "fhir", "pagerduty", "payers-us", "prometheus", "sentry", "slack"),
    "x12",
)
#: Kinds of plugins that the command makes.
NEW = (
    *("action", "channel", "detector", "measure", "normalizer", "payers", "reader", "renderer"),
    "store",
)
DISTRIBUTIONS = (ROOT, *sorted((ROOT / "plugins").iterdir()))
DIST = ROOT / "dist"
REMITTANCE = ROOT / "tests" / "samples" / "x12" / "pairp.835"


def run(*command, cwd):
    done = subprocess.run(
        [str(one) for one in command], cwd=cwd, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """Build a source distribution of each, and the wheel from that, into ``dist/``."""
    pytest.importorskip("build")
    shutil.rmtree(DIST, ignore_errors=True)
    for source in DISTRIBUTIONS:
        run(
            *(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, source),
            cwd=tmp_path_factory.mktemp("build"),
        )
    return {re.match(r"\w+", one.name)[0]: one for one in DIST.glob("*.whl")}


@pytest.fixture(scope="session")
def home(wheels, tmp_path_factory):
    """Install the wheels into an environment of their own, and return its ``bin``."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "download", "--dest", folder / "others", *_others(*wheels.values()), cwd=folder)
    local = ("--no-index", "--find-links", DIST, "--find-links", folder / "others")
    ours = ("claimkit", *(f"claimkit-{name}" for name in PLUGINS))
    run(*pip, "install", *local, *ours, cwd=folder)
    return python.parent


def _others(*wheels):
    """Return what the wheels ask of other people's packages, without any extra."""
    wanted = set()
    for wheel in wheels:
        for line in _metadata(wheel).splitlines():
            name, _, requirement = line.partition(": ")
            if name == "Requires-Dist" and ";" not in requirement:
                wanted.add(requirement)
    return sorted(one for one in wanted if not one.startswith("claimkit"))


def _metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def _names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_core_needs_only_two_packages(wheels):
    needed = [re.match(r"\w+", one)[0] for one in _others(wheels["claimkit"])]

    assert needed == ["numpy", "pluggy"]


def test_a_wheel_has_all_that_the_source_has(wheels):
    sources = {
        "claimkit": (ROOT / "src" / "claimkit", ROOT / "src" / "claimkit_django"),
        **{
            package: (ROOT / "plugins" / package.replace("_", "-") / "src" / package,)
            for package in (f"claimkit_{name.replace('-', '_')}" for name in PLUGINS)
        },
    }
    for name, folders in sources.items():
        wanted = {
            str(path.relative_to(folder.parent))
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        packed = {one for one in _names(wheels[name]) if ".dist-info/" not in one}

        assert packed == wanted
        assert {f"{folder.name}/py.typed" for folder in folders} <= packed


def test_a_wheel_tells_its_licence_and_what_it_is_for(wheels):
    for wheel in wheels.values():
        metadata = _metadata(wheel)

        assert "License-Expression: BSD-3-Clause" in metadata
        assert "Description-Content-Type: text/markdown" in metadata
        assert any(one.endswith("licenses/LICENSE") for one in _names(wheel))


def test_the_command_lists_all_plugins(home):
    told = [json.loads(line) for line in _claimkit(home, "plugins", "--format", "json")]
    adds = {one["plugin"]: one["adds"] for one in told}

    # Tests run in any order: those that another one made may be there already.
    assert {one for one in adds if not one.startswith("new-")} == {"builtins", *PLUGINS}
    for name in ("fhir", "x12"):
        assert adds[name] == {"readers": [name]}
    assert adds["payers-us"] == {"payer_directories": ["payers-us"], "remark_codes": ["payers-us"]}
    for name in ("apprise", "pagerduty", "slack"):
        assert adds[name] == {"channels": [name]}
    assert adds["datadog"] == {"listeners": ["datadog.counts"]}
    assert adds["prometheus"] == {"listeners": ["prometheus.counts"]}
    assert adds["sentry"] == {"listeners": ["sentry.breadcrumbs"]}


def test_the_installation_is_well(home):
    told = [json.loads(line) for line in _claimkit(home, "doctor", "--format", "json")]

    assert [one["check"] for one in told if not one["ok"]] == []


def test_a_remittance_is_imported_and_the_second_time_changes_nothing(home):
    arguments = ("import", REMITTANCE, "--store", f"sqlite:///{home / 'claims.db'}")

    first = " ".join(_claimkit(home, *arguments))
    again = " ".join(_claimkit(home, *arguments))

    new = int(re.search(r"([\d,]+) new", first)[1].replace(",", ""))
    assert new > 0
    assert f"0 new, 0 changed, {new} the same" in again


def test_the_core_works_without_django(home):
    found = run(
        *(home / "python", "-c", "import importlib.util as u; print(u.find_spec('django'))"),
        cwd=home,
    )

    assert found.strip() == "None"


def _claimkit(home, *arguments):
    return run(home / "claimkit", *arguments, cwd=home).splitlines()


# -- what `claimkit plugin new` makes ------------------------------------------------------


@pytest.fixture(scope="session")
def new_plugins(home, tmp_path_factory):
    """Make a plugin of each kind with the installed command, build it and install its wheel."""
    folder = tmp_path_factory.mktemp("new")
    for kind in NEW:
        run(home / "claimkit", "plugin", "new", f"new-{kind}", "--kind", kind, cwd=folder)
        source = folder / f"claimkit-new-{kind}"
        build = ("-m", "build", "--no-isolation", "--wheel", "--outdir", folder / "dist", source)
        run(sys.executable, *build, cwd=folder)
    wheels = sorted((folder / "dist").glob("*.whl"))
    pip = (home / "python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    run(*pip, "--no-index", "--no-deps", *wheels, cwd=folder)
    yield folder
    names = [f"claimkit-new-{kind}" for kind in NEW]
    run(home / "python", "-m", "pip", "--quiet", "uninstall", "--yes", *names, cwd=folder)


def test_new_plugins_are_loaded(home, new_plugins):
    told = [json.loads(line) for line in _claimkit(home, "plugins", "--format", "json")]

    assert {f"new-{kind}" for kind in NEW} <= {one["plugin"] for one in told}
    assert {one["status"] for one in told} == {"loaded"}


def test_new_plugins_pass_their_suites_at_once(home, new_plugins):
    """All in one run, by the pytest of these tests, with nothing of ours but what is installed."""
    (site,) = (home.parent / "lib").glob("python*/site-packages")
    tests = [new_plugins / f"claimkit-new-{kind}" / "tests" for kind in NEW]
    command = (sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    done = subprocess.run(
        [*map(str, command), "--import-mode=importlib", *map(str, tests)],
        cwd=new_plugins,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 100


# -- into a site that is there already, a room at a time -----------------------------------

#: Each line is what a site may stop at; the order is that of the documentation.
ROOMS = (
    *("tenants", "claims", "drift", "alerts", "webhooks", "reports", "authorizations"),
    *("automation", "audit", "ops", "accounts", "dashboard"),
)
_STEP = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "hospital.settings"
import django
django.setup()
from django.core.management import call_command
from django.contrib.auth import get_user_model
call_command("check", fail_level="ERROR")
call_command("migrate", verbosity=0)
call_command("makemigrations", check=True, dry_run=True, verbosity=0)
people = get_user_model().objects
print(people.filter(username="spirou").count() or people.create_user("spirou") and "made")
"""
_ADD = """
INSTALLED_APPS += ["claimkit_django.{room}"]
"""
_ONCE = """
MIDDLEWARE += ["claimkit_django.tenants.middleware.TenantMiddleware"]
DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE"}
MEDIA_ROOT = BASE_DIR / "media"
LOGIN_URL = "/admin/login/"
"""


@pytest.fixture(scope="session")
def site(wheels, tmp_path_factory):
    """Return an existing Django site, and a Python with Django and our wheel."""
    folder = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet")
    # The wheel by its path: no index is asked for anything of that name.
    run(*pip, "install", f"claimkit[django,webhooks] @ {wheels['claimkit'].as_uri()}", cwd=folder)
    run(python, "-m", "django", "startproject", "hospital", folder, cwd=folder)
    (folder / "step.py").write_text(_STEP, encoding="utf-8")
    return folder, python


def test_a_site_adopts_one_room_at_a_time(site):
    """After each room the site checks, migrates, needs no migration of its own, and keeps its people."""
    folder, python = site
    settings = folder / "hospital" / "settings.py"
    assert run(python, "step.py", cwd=folder).split()[-1] == "made"
    settings.write_text(settings.read_text() + _ONCE)

    for room in ROOMS:
        settings.write_text(settings.read_text() + _ADD.format(room=room))

        assert run(python, "step.py", cwd=folder).split()[-1] == "1", room

    told = run(python, "manage.py", "claimkit_tenant", "create", "northside", cwd=folder)
    assert "created tenant northside" in told
    csv = "claim id,payer,date of service,decision date,billed,paid,status\n"
    csv += "A-1,Aetna,2026-01-05,2026-01-25,100.00,80.00,paid\n"
    (folder / "claims.csv").write_text(csv)
    read = ("manage.py", "claimkit_import", "claims.csv", "--tenant", "northside")
    assert "1 new" in run(python, *read, cwd=folder)


def test_a_source_distribution_has_the_tests_and_no_more_than_git_keeps(wheels):
    """What builds the wheel and what proves it, and nothing that lay about on the machine."""
    (archive,) = DIST.glob("claimkit-*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {one.partition("/")[2] for one in packed.getnames()}
    kept = set(run("git", "ls-files", cwd=ROOT).splitlines())

    assert {"pyproject.toml", "README.md", "LICENSE", "src/claimkit/__init__.py"} <= names
    assert {one for one in names if one.startswith("tests/")}
    assert names - kept - {"PKG-INFO"} == set()
