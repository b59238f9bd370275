"""``claimkit plugin new`` makes a whole plugin or none; that it works is seen in tests/packages."""

from __future__ import annotations

import json
import tomllib
from importlib import resources

import pytest

import claimkit
from claimkit import hookspecs
from claimkit.cli import main
from claimkit.cli.scaffold import KINDS, write_plugin
from claimkit.errors import ConfigError
from claimkit.testing import conformance

SKELETON = resources.files("claimkit.cli") / "skeleton"
FILES = {
    *(".github/workflows/ci.yml", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md"),
    *("docs/acme-rcm.md", "pyproject.toml", "tests/test_conformance.py"),
    *(f"src/claimkit_acme_rcm/{one}" for one in ("__init__.py", "plugin.py", "py.typed")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_of_each_kind_is_complete(tmp_path, kind, capsys):
    arguments = ("plugin", "new", "acme-rcm", "--kind", kind, "--directory", str(tmp_path))

    assert main([*arguments, "--author", "Ada", "--format", "json"]) == 0

    told = json.loads(capsys.readouterr().out)
    folder = tmp_path / "claimkit-acme-rcm"
    assert (told["plugin"], told["kind"], set(told["files"])) == (folder.name, kind, FILES)
    assert {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()} == FILES
    assert [one.name for one in tmp_path.iterdir()] == [folder.name]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["claimkit>=0.1,<1"]
    assert project["entry-points"] == {"claimkit": {"acme-rcm": "claimkit_acme_rcm.plugin"}}
    assert project["authors"] == [{"name": "Ada"}]
    # Nothing is left to fill in, but what GitHub fills in.
    for path in folder.rglob("*.*"):
        text = path.read_text() if path.is_file() else ""
        assert "$" not in text.replace("${{ matrix", "").replace("\n$ ", "\n"), path
    assert KINDS[kind].suite in conformance.__all__


def test_every_hook_that_collects_has_a_kind():
    """What people add often is a command away; the rest is told in the reference of hooks."""
    hooks = {one for one in vars(hookspecs) if one.startswith("claimkit_")}
    made = {
        hook
        for kind in KINDS
        for hook in hooks
        if f"def {hook}(" in (SKELETON / kind / "plugin.py.txt").read_text(encoding="utf-8")
    }

    assert hooks - made == {
        "claimkit_register_event_types",
        "claimkit_register_listeners",
        "claimkit_register_remark_codes",
        "claimkit_resolve_tenant",
    }


def test_what_to_do_next_is_told(tmp_path, capsys):
    assert main(["plugin", "new", "spip", "--kind", "payers", "--directory", str(tmp_path)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "claimkit-spip:"
    assert "  src/claimkit_spip/plugin.py" in lines
    assert lines[-1].startswith("      pytest ")


def test_nothing_is_overwritten(tmp_path, capsys):
    folder = tmp_path / "claimkit-spip"
    folder.mkdir()
    (folder / "mine.txt").write_text("marsupilami")

    status = main(["plugin", "new", "spip", "--kind", "reader", "--directory", str(tmp_path)])

    assert status == 1
    assert "is there already, and nothing of it is overwritten" in capsys.readouterr().err
    assert [one.name for one in tmp_path.rglob("*")] == ["claimkit-spip", "mine.txt"]


@pytest.mark.parametrize(
    "name",
    ["", "Acme", "acme_rcm", "9acme", "acme-", "a/b", "..", "a--b", "x" * 33, "é", "claimkit-"],
)
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="is no name of a plugin"):
        write_plugin(name, kind="reader", into=tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_name_may_have_the_prefix_already(tmp_path):
    assert write_plugin("claimkit-spip", kind="reader", into=tmp_path).name == "claimkit-spip"


@pytest.mark.parametrize("author", ['Ada "x"', "a\\b", "a\nb"])
def test_an_author_that_would_break_a_file_is_refused(tmp_path, author):
    with pytest.raises(ConfigError, match="the author has"):
        write_plugin("spip", kind="reader", into=tmp_path, author=author)


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path, capsys):
    gone = str(tmp_path / "gone")

    assert main(["plugin", "new", "spip", "--kind", "reader", "--directory", gone]) == 1
    assert "gone is no folder. Make it first" in capsys.readouterr().err


def test_it_promises_what_it_is_made_with(tmp_path, monkeypatch):
    monkeypatch.setattr("claimkit.cli.scaffold.__version__", "2.3.1")
    folder = write_plugin("spip", kind="action", into=tmp_path)

    assert 'dependencies = ["claimkit>=2.3,<3"]' in (folder / "pyproject.toml").read_text()
    assert "claimkit==2.3.*" in (folder / ".github/workflows/ci.yml").read_text()
    assert claimkit.__version__.count(".") == 2
