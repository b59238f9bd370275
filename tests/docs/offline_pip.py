"""Stands for ``pip`` while the documentation is tried: what it asks for must be installable.

Packages by name must be installed here already, with the extras that are asked for. A local
folder, and a plugin of this repository that is not installed, is built into a wheel and unpacked
into the folder that ``CLAIMKIT_DOCS_SITE`` names.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import hatchling.build
from packaging.requirements import Requirement

PLUGINS = Path(__file__).parents[2] / "plugins"


def main(arguments: list[str]) -> None:
    """Do what ``pip install ARGUMENTS`` would have done, or raise."""
    verb, *wanted = arguments
    if verb != "install":
        raise SystemExit(f"pip {verb} is not known here")
    for one in wanted:
        if one.startswith((".", "/")):
            _install_folder(Path(one).resolve())
        elif one != "-e":
            _look_for(Requirement(one))


def _look_for(requirement: Requirement) -> None:
    folder = PLUGINS / requirement.name
    if folder.is_dir() and not list(importlib.metadata.distributions(name=requirement.name)):
        _install_folder(folder)
    else:
        _check(requirement)


def _check(requirement: Requirement) -> None:
    installed = importlib.metadata.distribution(requirement.name)
    offered = set(installed.metadata.get_all("Provides-Extra") or ())
    if not requirement.extras <= offered:
        raise SystemExit(f"{requirement.name} has no extra {requirement.extras - offered}")
    if not requirement.specifier.contains(installed.version, prereleases=True):
        raise SystemExit(f"{requirement.name} {installed.version} is installed")


def _install_folder(folder: Path) -> None:
    os.chdir(folder)
    with tempfile.TemporaryDirectory() as built:
        wheel = hatchling.build.build_wheel(built)
        with zipfile.ZipFile(Path(built) / wheel) as archive:
            archive.extractall(os.environ["CLAIMKIT_DOCS_SITE"])


main(sys.argv[1:])
