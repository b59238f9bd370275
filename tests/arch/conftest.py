"""What the rules of the house are checked against: every source file, parsed once.

A test that takes ``source`` runs once for each module of the packages that are shipped.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: All that are shipped; a plugin is found by its folder.
PACKAGES = tuple(
    sorted(
        folder.relative_to(ROOT).as_posix()
        for pattern in ("src/claimkit*", "plugins/*/src/claimkit_*")
        for folder in ROOT.glob(pattern)
        if (folder / "__init__.py").exists()
    )
)


@dataclass(frozen=True)
class Source:
    """One module that is shipped."""

    path: Path
    #: Dotted, such as ``claimkit.drift.watch``.
    module: str

    @property
    def tree(self) -> ast.Module:
        return _parse(self.path)

    @property
    def lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    @property
    def is_migration(self) -> bool:
        return ".migrations." in self.module

    def __str__(self) -> str:
        return self.module


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _sources() -> tuple[Source, ...]:
    found = []
    for package in PACKAGES:
        folder = ROOT / package
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found.append(Source(path=path, module=".".join(parts)))
    return tuple(found)


def pytest_generate_tests(metafunc):
    if "source" in metafunc.fixturenames:
        metafunc.parametrize("source", _sources(), ids=str)


@pytest.fixture(scope="session")
def packages() -> tuple[str, ...]:
    return PACKAGES


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> tuple[Source, ...]:
    return _sources()
