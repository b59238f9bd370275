"""Make the databases that ``test_upgrade.py`` upgrades: what an earlier claimkit left behind.

    python tests/upgrades/make.py REVISION

The revision's own wheel is built from what git keeps of it and installed beside what is installed
here; its code, and none of today's, fills a database on SQLite and one on PostgreSQL by
``live.py``, and both are written to this folder. A new revision belongs here after each release
that has migrations.
"""

from __future__ import annotations

import gzip
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
#: Lines for one program, or for one version of the server.
_LOCAL = re.compile(r"^(\\(un)?restrict .*|SET transaction_timeout = .*)\n", re.MULTILINE)
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))


def run(*command: str | Path, **environment: str) -> str:
    """Run a command with more environment, and return what it printed."""
    done = subprocess.run(
        [str(one) for one in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}")
    return done.stdout


def unpack(revision: str, folder: Path) -> Path:
    """Build the revision's wheel, unpack it with the settings of its tests, and return the folder."""
    source, installed = folder / "source", folder / "installed"
    for one in (source, installed):
        one.mkdir()
    archive = folder / "source.tar"
    run("git", "-C", ROOT, "archive", "-o", archive, revision)
    run("tar", "-xf", archive, "-C", source)
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    subprocess.run(build, cwd=source, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("claimkit-*.whl")
    run(sys.executable, "-m", "zipfile", "-e", wheel, installed)
    # Settings and the server are no part of a wheel; they are the revision's own too.
    (source / "tests" / "projects").rename(installed / "projects")
    (installed / "tests").mkdir()
    (installed / "projects").rename(installed / "tests" / "projects")
    for name in ("postgres.py", "settings.py"):
        (source / "tests" / name).rename(installed / "tests" / name)
    return installed


def live(installed: Path, kind: str, name: str) -> None:
    """Fill the database with the revision's code."""
    run(
        sys.executable,
        # Not the folder of the script, which has today's code above it.
        *("-P", HERE / "live.py"),
        PYTHONPATH=str(installed),
        DJANGO_SETTINGS_MODULE="tests.settings",
        CLAIMKIT_TEST_DATABASE=kind,
        CLAIMKIT_TEST_NAME=name,
        CLAIMKIT_LIVE_FROM=str(installed),
    )


def main(revision: str) -> None:
    """Write both dumps."""
    from tests.postgres import _binaries, postgres_url

    short = run("git", "-C", ROOT, "rev-parse", "--short=7", revision).strip()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        installed = unpack(revision, folder)
        live(installed, "sqlite", str(folder / "claims.sqlite3"))
        with sqlite3.connect(folder / "claims.sqlite3") as database:
            write(f"{short}.sqlite.sql.gz", "\n".join(database.iterdump()))
        url = postgres_url()
        psql = (_binaries() / "psql", "-q", "-d", url)
        run(*psql, "-c", "CREATE DATABASE lived_in")
        live(installed, "postgres", "lived_in")
        dump = run(
            *(_binaries() / "pg_dump", "--no-owner", "--no-privileges", "--column-inserts"),
            # As many rows a statement as keep it readable for the driver.
            *("--rows-per-insert=500", "-d", url.replace("/postgres?", "/lived_in?")),
        )
        write(f"{short}.postgres.sql.gz", _LOCAL.sub("", dump))


def write(name: str, text: str) -> None:
    """Write a dump; the same one is the same bytes."""
    packed = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    (HERE / name).write_bytes(packed)
    print(f"{name}: {len(packed):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
