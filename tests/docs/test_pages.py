"""The pages at the root of the repository tell of commands and files that there are."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from claimkit import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    (
        *ROOT.glob("*.md"),
        *ROOT.glob("plugins/*/README.md"),
        *ROOT.glob("benchmarks/**/README.md"),
        ROOT / "changelog.d" / "README.md",
    )
)


def _typed(start):
    return [
        pytest.param(shlex.split(line, comments=True), id=f"{page.name}: {line}")
        for page in PAGES
        for line in re.findall(rf"^\$ {re.escape(start)}(.+)$", page.read_text(), re.MULTILINE)
    ]


@pytest.mark.parametrize("arguments", _typed("claimkit "))
def test_commands_are_as_they_are_told(arguments):
    assert cli._parser().parse_args(arguments).run


@pytest.mark.parametrize("arguments", _typed("python manage.py claimkit"))
def test_management_commands_are_as_they_are_told(arguments):
    name = f"claimkit{arguments[0]}"
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)

    assert parser.parse_args(arguments[1:])


@pytest.mark.parametrize("target", _typed("make "))
def test_targets_are_as_they_are_told(target):
    assert re.search(rf"^{target[0]}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text)
    broken = []
    for target, anchor in links:
        path = page.parent / target if target else page
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(f"{target}#{anchor}")

    assert broken == []


def _anchors(path):
    """Return what headings are linked by, as GitHub makes it of their words."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", one.lower()) for one in headings)
    return {one.strip().replace(" ", "-") for one in words}


def test_links_of_metadata_lead_to_files_of_this_repository():
    """What a package says of itself names no page that is not there."""
    for path in (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]

        assert (path.parent / project["readme"]).exists()
        assert all((path.parent / one).exists() for one in project["license-files"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_environments_are_as_they_are_told(page):
    told = re.findall(r"tox run -e ([\w-]+)", page.read_text(encoding="utf-8"))
    tox = (ROOT / "tox.toml").read_text(encoding="utf-8")

    assert [one for one in told if f'[env."{one}"]' not in tox and f"[env.{one}]" not in tox] == []
