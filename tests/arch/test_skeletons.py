"""What ``claimkit plugin new`` makes is clean at once, whatever it is called."""

from __future__ import annotations

import subprocess
import sys

import pytest

from claimkit.cli.scaffold import KINDS, write_plugin

#: A short and a long name wrap lines differently.
NAMES = ("a", "marsupilami-of-the-far-palombia")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a plugin of each kind under each name, one folder a plugin."""
    folder = tmp_path_factory.mktemp("made")
    for kind in KINDS:
        for name in NAMES:
            place = folder / f"{kind}-{len(name)}"
            place.mkdir()
            write_plugin(name, kind=kind, into=place)
    return folder


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check", "--diff")])
def test_ruff_is_content(made, arguments):
    command = (sys.executable, "-m", "ruff", *arguments, "--no-cache", made)
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_is_content(made, tmp_path):
    """One run for all kinds: each gets a package of its own name."""
    sources = []
    for kind in KINDS:
        folder = write_plugin(f"spip-{kind}", kind=kind, into=tmp_path)
        sources.append(str(folder / "src"))
    config = tmp_path / "mypy.ini"
    config.write_text(
        f"[mypy]\nstrict = true\nexplicit_package_bases = true\nmypy_path = {':'.join(sources)}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", config, *sources],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout + done.stderr
