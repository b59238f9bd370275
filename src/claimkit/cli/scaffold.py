"""``claimkit plugin new``: make a complete plugin, which passes its conformance suite at once.

The skeletons are in ``skeleton/``: what every plugin has in ``common``, and a folder per kind. A ``$``
begins a placeholder of :class:`string.Template`. All is written beside its place and moved there last,
so that there is a whole plugin or none.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from claimkit import __version__
from claimkit.cli.terminal import print_json
from claimkit.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

__all__ = ["KINDS", "add_plugin_arguments", "make_plugin", "write_plugin"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_LONGEST_NAME: Final = 32
#: Where each file goes; the values are patterns too.
_COMMON: Final = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "CHANGELOG.md.txt": "CHANGELOG.md",
    "LICENSE.txt": "LICENSE",
    "gitignore.txt": ".gitignore",
    "ci.yml.txt": ".github/workflows/ci.yml",
    "docs.md.txt": "docs/$name.md",
    "init.py.txt": "src/$package/__init__.py",
}
_KIND: Final = {
    "plugin.py.txt": "src/$package/plugin.py",
    "test_conformance.py.txt": "tests/test_conformance.py",
}
_NONE: Final = "None."


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is told of a kind of plugin; texts may have placeholders."""

    noun: str
    suite: str
    summary: str
    details: str
    settings: str = _NONE
    problems: str = _NONE


#: Word of the command line → what is made.
KINDS: Final[Mapping[str, _Kind]] = {
    "reader": _Kind(
        "reader",
        "ReaderConformance",
        "Reads $title files of claims",
        "It reads files whose first line is `$signature`, and then one claim a line: number, payer, "
        "day, charge and paid, with `|` between them.",
        problems="`${module}_line_invalid`: a line has not a number, a payer, a day and two amounts; "
        "the others are read.",
    ),
    "channel": _Kind(
        "channel",
        "HttpChannelConformance",
        "Tells alerts by $title",
        "It posts a JSON document with an id and a text to an address, once; claimkit tries again.\n"
        "The address is checked to be public, no redirect is followed, and an attempt ends after 10 "
        "seconds and 64 KiB.",
        "| setting | |\n|---|---|\n| `url` | where to post; a secret |",
        "Why an attempt failed is told as for webhooks: `http_` and the status, or the reason.",
    ),
    "renderer": _Kind(
        "report format",
        "RendererConformance",
        "Writes reports as $title",
        "It writes a report as text: a line for the title, the headline, each figure and each finding.",
    ),
    "detector": _Kind(
        "detector",
        "DetectorConformance",
        "Finds drift as $title does",
        "It reports a payer that decided nothing for 14 days, after 60 claims or more in the 56 days "
        "before.\nName it in the setting `drift.detectors` to let it run.",
    ),
    "measure": _Kind(
        "measure",
        "MeasureConformance",
        "Watches $title",
        "It reads what share of the charge a payer pays; claimkit tells when it falls.\n"
        "Name `$module` in the setting `drift.detectors`, and rebuild the cube once.",
    ),
    "normalizer": _Kind(
        "normalizer",
        "NormalizerConformance",
        "Cleans claims as $title needs it",
        "It writes facilities in capitals with single spaces, so that one place has one name.",
    ),
    "store": _Kind(
        "store",
        "StoreConformance",
        "Keeps claims in $title",
        "It opens `$name:///FOLDER`, a folder with claims, cube and findings of all tenants.",
    ),
    "action": _Kind(
        "action",
        "ActionConformance",
        "Lets rules of automation do $title",
        "It leaves a task with a text and the payer's name.",
        "| setting | |\n|---|---|\n| `text` | what to do, 1 to 100 characters |",
    ),
    "payers": _Kind(
        "payer directory",
        "PayerDirectoryConformance",
        "Knows the payers of $title",
        "It knows the names and ids that payers go by, and suggests the payer for them; "
        "it renames no claim.",
    ),
}


def add_plugin_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``claimkit plugin``."""
    parser.add_argument("verb", choices=("new",), help="make a plugin")
    parser.add_argument("name", metavar="NAME", help="such as acme; it becomes claimkit-acme")
    parser.add_argument("--kind", choices=tuple(KINDS), required=True, help="what it adds")
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="PATH", help="where to put it (here)"
    )
    parser.add_argument("--author", default="", metavar="NAME", help="who holds the copyright")


def make_plugin(arguments: argparse.Namespace) -> int:
    """Make the plugin, and print what was written."""
    folder = write_plugin(
        arguments.name, kind=arguments.kind, into=arguments.directory, author=arguments.author
    )
    files = sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    if arguments.format == "json":
        print_json({"plugin": folder.name, "kind": arguments.kind, "files": files})
        return 0
    print(f"{folder.name}:")
    print("\n".join(f"  {one}" for one in files))
    print(f"Next: pip install -e {folder} --group {folder}/pyproject.toml:lint")
    print(f"      pytest {folder}")
    return 0


def write_plugin(name: str, *, kind: str, into: Path, author: str = "") -> Path:
    """Write a plugin to a new folder of ``into``, and return the folder.

    Args:
        name: Words of small letters and digits with hyphens; ``claimkit-`` before it is left out.
        kind: A word of :data:`KINDS`.
        into: A folder that there is.
        author: Who holds the copyright.

    Raises:
        ConfigError: the name is none, the folder is taken or cannot be written.
    """
    words = _words(name, kind, author)
    if not into.is_dir():
        raise ConfigError(f"{into} is no folder", remedy="Make it first, or name another one")
    target = into / words["distribution"]
    if target.exists():
        raise ConfigError(
            f"{target} is there already, and nothing of it is overwritten",
            remedy="Choose another name or another --directory",
        )
    skeleton = resources.files("claimkit.cli") / "skeleton"
    made = Path(tempfile.mkdtemp(prefix=".claimkit-", dir=into))
    try:
        for folder, files in (("common", _COMMON), (kind, _KIND)):
            for source, place in files.items():
                text = (skeleton / folder / source).read_text(encoding="utf-8")
                path = made / Template(place).substitute(words)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(Template(text).substitute(words), encoding="utf-8")
        (made / "src" / words["package"] / "py.typed").touch()
        made.chmod(0o755)
        made.rename(target)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return target


def _words(name: str, kind: str, author: str) -> dict[str, str]:
    """Return what the placeholders stand for."""
    short = name.removeprefix("claimkit-")
    if not _NAME.fullmatch(short) or len(short) > _LONGEST_NAME:
        raise ConfigError(
            f"{name!r} is no name of a plugin",
            remedy=f"Use up to {_LONGEST_NAME} small letters and digits, with hyphens between words, "
            "such as 'acme-rcm'",
        )
    if '"' in author or "\\" in author or not (author.isprintable() or not author):
        raise ConfigError("the author has a quote, a backslash or a control character")
    title = " ".join(word.capitalize() for word in short.split("-"))
    module = short.replace("-", "_")
    words = {
        "name": short,
        "module": module,
        "package": f"claimkit_{module}",
        "distribution": f"claimkit-{short}",
        "class_name": title.replace(" ", ""),
        "title": title,
        "signature": f"{short.upper()}-CLAIMS 1",
        "author": author or f"The authors of claimkit-{short}",
        "oldest": ".".join(__version__.split(".")[:2]),
        "next_major": str(int(__version__.split(".")[0]) + 1),
    }
    told = KINDS[kind]
    words |= {
        "kind": told.noun,
        "suite": told.suite,
        "summary": Template(told.summary).substitute(words),
        "details": Template(told.details).substitute(words),
        "settings": told.settings,
        "problems": Template(told.problems).substitute(words),
    }
    return {**words, "summary_lower": words["summary"][0].lower() + words["summary"][1:]}
