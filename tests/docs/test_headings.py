"""Whatever has a stable name has a heading in the built documentation, and links to it hold."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from claimkit import cli, config, errors, events, hookspecs
from claimkit.claims.remarks import REMARK_CATEGORIES
from claimkit_django.http.problems import TYPES

ROOT = Path(__file__).parents[2]
#: Function → place of the argument that is a code.
_TELLERS = {
    **dict.fromkeys(("BadCell", "BadRow", "Spoiled", "note", "_notice", "_tell"), 0),
    **dict.fromkeys(("_missing", "_on_broken"), 1),
    "_compare": 2,
}
_CODE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+|truncated")
#: Chosen by more than a constant.
_COMPUTED = {"encoding_utf_16_le", "encoding_utf_16_be", "denied_status_overruled"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the documentation with warnings as errors, and return its folder."""
    folder = tmp_path_factory.mktemp("html")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-b", "html", ROOT / "docs", folder],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return folder


class _Headings(HTMLParser):
    def __init__(self):
        super().__init__()
        self.told = set()
        self._open = None

    def handle_starttag(self, tag, attrs):
        if re.fullmatch(r"h[1-6]", tag):
            self._open = []
        elif tag == "a" and self._open is not None and ("class", "headerlink") in attrs:
            self.told.add("".join(self._open).strip())
            self._open = None

    def handle_data(self, data):
        if self._open is not None:
            self._open.append(data)


@pytest.fixture(scope="module")
def headings(site):
    def of(page):
        parser = _Headings()
        parser.feed((site / "reference" / f"{page}.html").read_text(encoding="utf-8"))
        return parser.told

    return of


def test_every_hook(headings):
    hooks = {
        name
        for name, hook in inspect.getmembers(hookspecs, inspect.isfunction)
        if hasattr(hook, "claimkit_spec")
    }

    assert len(hooks) >= 7
    assert hooks <= headings("hooks")


def test_every_setting(headings):
    settings = {
        f"{room.name}.{field.name}".upper()
        for room in dataclasses.fields(config.Config)
        for field in dataclasses.fields(room.default_factory)
    }

    assert settings <= headings("settings")


def test_every_error_code(headings):
    codes = {
        kind.code
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.ClaimkitError)
    }
    refused = {
        keyword.value.value
        for tree in (*_sources("claims"), *_sources("fhir"))
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "FileRefused"
        for keyword in call.keywords
        if keyword.arg == "code"
    }

    assert "too_many_problems" in refused
    assert codes | refused | TYPES.keys() <= headings("errors")


def test_every_event_topic(headings):
    topics = {
        kind.topic
        for _, kind in inspect.getmembers(events, inspect.isclass)
        if issubclass(kind, events.Event) and kind.topic
    }

    assert {"claims.imported", "drift.detected"} <= topics
    assert topics <= headings("events")


def test_every_problem_of_a_row_and_every_notice(headings):
    codes = set(_COMPUTED)
    for tree in (*_sources("claims"), *_sources("fhir"), *_sources("x12")):
        codes |= _codes(tree)

    assert {"money_invalid", "isa_width", "cas_duplicated", "quote_unclosed"} <= codes
    assert codes - headings("row-problems") == set()


def test_no_problem_is_told_that_there_is_not(headings):
    codes = {one for one in headings("row-problems") if "_" in one}
    trees = (*_sources("claims"), *_sources("fhir"), *_sources("x12"))
    source = "\n".join(map(ast.unparse, trees))

    assert {one for one in codes - _COMPUTED if f"'{one}'" not in source} == set()


def test_every_system_check(headings):
    ids = set()
    for path in (ROOT / "src" / "claimkit_django").glob("*/*.py"):
        ids |= set(re.findall(r'id="(claimkit_\w+\.[EW]\d{3})"', path.read_text(encoding="utf-8")))

    assert len(ids) >= 12
    assert ids <= headings("checks")


def test_every_command(headings):
    commands = {f"claimkit {name}" for name in cli._parser()._subparsers._group_actions[0].choices}
    management = {
        f"manage.py {path.stem}"
        for path in (ROOT / "src" / "claimkit_django").glob("*/management/commands/*.py")
        if path.stem != "__init__"
    }

    assert commands | management <= headings("commands")


def test_every_category_of_reasons(headings):
    table = ROOT / "src" / "claimkit" / "claims" / "data" / "carc_categories.tsv"
    categories = {line.split("\t")[1] for line in table.read_text().splitlines()[1:]}

    assert categories <= headings("carc-categories")


def test_every_category_of_remarks(headings):
    assert set(REMARK_CATEGORIES) <= headings("remark-categories")


def test_links_inside_the_site_lead_somewhere(site):
    anchors, links = {}, []
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        anchors[path.resolve()] = set(re.findall(r'id="([^"]+)"', text))
        links += [(path, href) for href in re.findall(r'<a [^>]*?href="([^"]+)"', text)]
    broken = set()
    for path, href in links:
        name, _, anchor = href.partition("#")
        target = (path.parent / name).resolve() if name else path.resolve()
        if ":" in name or target.suffix != ".html":
            continue
        if target not in anchors or (anchor and anchor not in anchors[target]):
            broken.add(f"{path.relative_to(site)} → {href}")

    assert broken == set()


def test_the_site_loads_nothing_from_elsewhere(site):
    loaded = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:)?//')
    pages = [path for path in site.rglob("*.html") if loaded.search(path.read_text())]

    assert pages == []


def _sources(which):
    folder = {
        "claims": ROOT / "src" / "claimkit" / "claims",
        "fhir": ROOT / "plugins" / "claimkit-fhir" / "src",
        "x12": ROOT / "plugins" / "claimkit-x12" / "src",
    }[which]
    for path in folder.rglob("*.py"):
        yield ast.parse(path.read_text(encoding="utf-8"))


def _codes(tree):
    """Return the codes of problems, notices and flags that a module names."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = _TELLERS.get(name)
            if place is not None and len(node.args) > place:
                found.append(node.args[place])
            if name in {"append", "extend"} and re.search(r"flags|notices", ast.unparse(node.func)):
                found += [one for argument in node.args for one in ast.walk(argument)]
            if name in {"Notice", "RowProblem"}:
                found += [one.value for one in node.keywords if one.arg == "code"]
            found += [
                one
                for keyword in node.keywords
                if keyword.arg == "flags"
                for one in ast.walk(keyword.value)
            ]
        elif isinstance(node, ast.AugAssign) and "flags" in ast.unparse(node.target):
            found += ast.walk(node.value)
    values = {one.value for one in found if isinstance(one, ast.Constant)}
    return {one for one in values if isinstance(one, str) and _CODE.fullmatch(one)}
