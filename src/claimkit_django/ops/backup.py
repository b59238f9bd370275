"""Backups that were restored once: a dump, its restoration elsewhere, and what both hold, compared.

The story: :func:`make_backup` takes a dump and, of the same instant, the number of rows and a
checksum of every table, which it keeps beside the dump as a manifest. :func:`verify_backup` restores
the dump into a scratch database, counts and sums again, compares, lets installed rooms look at the
copy (``AppConfig.copy_checks``: the audit room walks its chains), and drops it. Whatever keeps one
of these from being done raises: a verification that did not run is none that passed. PostgreSQL is
dumped by ``pg_dump`` and restored by ``pg_restore``; SQLite is copied by its backup interface.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from django.apps import apps
from django.db import connections
from django.utils import timezone
from django.utils.module_loading import import_string

from claimkit.errors import ClaimkitError
from claimkit_django.conf import config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = [
    "BackupFailed",
    "Engine",
    "Fingerprint",
    "Verified",
    "last_verified",
    "make_backup",
    "verify_backup",
]

_FORM = 1


class BackupFailed(ClaimkitError):
    """A backup could not be made or verified: nobody may rely on it."""

    code = "backup_failed"
    remedy = "Mend what the message names, and run it again"


class Fingerprint(NamedTuple):
    """What a table holds, in any order of its rows."""

    rows: int
    #: Sum of a hash of each row, as text.
    checksum: str


class Engine(Protocol):
    """How one kind of database is dumped and restored."""

    def dump(self, path: Path) -> dict[str, Fingerprint]:
        """Write a dump, and return what its tables hold at that instant."""
        ...

    def restored(self, path: Path) -> AbstractContextManager[str]:
        """Restore a dump into a scratch database, whose alias it gives; dropped at the end."""
        ...

    def fingerprints(self, alias: str) -> dict[str, Fingerprint]:
        """Return what the tables of a database hold."""
        ...

    def faults(self, alias: str) -> Iterator[str]:
        """Yield what is wrong with a restored database that no table shows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A backup that was restored and holds what the database held."""

    tables: int
    rows: int
    bytes: int
    sha256: str
    #: When the dump was taken; what was written later is not in it.
    taken_at: str
    #: How long restoring took: what a recovery costs at least.
    restore_seconds: float


def make_backup(path: Path, *, using: str, tools: str = "") -> None:
    """Write a dump, and a manifest beside it.

    Args:
        path: A new file; the manifest is beside it, with ``.json`` added to its name.
        using: Alias of the database.
        tools: Folder of ``pg_dump`` and ``pg_restore``; the search path if empty.

    Raises:
        BackupFailed: no dump could be made; the message says why.
    """
    if path.exists():
        raise BackupFailed(f"{path} is there already", remedy="Name a new file")
    taken_at = timezone.now()
    tables = _engine(using, tools).dump(path)
    path.chmod(0o600)
    size, digest = _summed(path)
    if not (size and tables):
        raise BackupFailed("the dump is empty")
    manifest = {
        "form": _FORM,
        "taken_at": taken_at.isoformat(),
        "bytes": size,
        "sha256": digest,
        "tables": {name: one._asdict() for name, one in sorted(tables.items())},
    }
    _manifest_of(path).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def verify_backup(path: Path, *, using: str, tools: str = "") -> Verified:
    """Restore a dump into a scratch database and compare it with its manifest.

    Where ``OPS.BACKUP_STATUS`` names a file, what was verified is noted there.

    Raises:
        BackupFailed: it could not be restored, or does not hold what it should.
    """
    manifest = _read_manifest(path)
    size, digest = _summed(path)
    if (size, digest) != (manifest["bytes"], manifest["sha256"]):
        raise BackupFailed(
            f"the dump has {size:,} bytes and is not the one that was made, of {manifest['bytes']:,}"
        )
    engine, began = _engine(using, tools), time.monotonic()
    with engine.restored(path) as alias:
        seconds = time.monotonic() - began
        _compare(manifest["tables"], engine.fingerprints(alias))
        faults = [*engine.faults(alias), *_faults_of_rooms(alias)]
    if faults:
        raise BackupFailed(f"the restored copy is not sound: {'; '.join(faults[:5])}")
    verified = Verified(
        tables=len(manifest["tables"]),
        rows=sum(one["rows"] for one in manifest["tables"].values()),
        bytes=size,
        sha256=digest,
        taken_at=manifest["taken_at"],
        restore_seconds=round(seconds, 3),
    )
    _note(verified)
    return verified


def last_verified() -> dt.datetime | None:
    """Return when the newest dump was taken that was verified; None where there is none.

    Raises:
        OSError, ValueError: the file of ``OPS.BACKUP_STATUS`` cannot be read.
    """
    path = Path(config().ops.backup_status)
    if not path.exists():
        return None
    noted = json.loads(path.read_text(encoding="utf-8"))
    return dt.datetime.fromisoformat(noted["taken_at"])


def _engine(using: str, tools: str) -> Engine:
    vendor = connections[using].vendor
    if vendor == "postgresql":
        from claimkit_django.ops.backup_postgresql import PostgresqlEngine

        return PostgresqlEngine(using, tools)
    if vendor == "sqlite":
        from claimkit_django.ops.backup_sqlite import SqliteEngine

        return SqliteEngine(using)
    raise BackupFailed(f"nobody knows how to back up {vendor}", remedy="Use its own tools")


def _compare(wanted: dict[str, Any], found: dict[str, Fingerprint]) -> None:
    wrong: list[str] = []
    for name in sorted(wanted.keys() | found.keys()):
        told = Fingerprint(**wanted[name]) if name in wanted else None
        there = found.get(name)
        if told is None or there is None:
            wrong.append(f"{name} is {'missing' if there is None else 'new'}")
        elif told.rows != there.rows:
            wrong.append(f"{name} has {there.rows:,} rows instead of {told.rows:,}")
        elif told != there:
            wrong.append(f"{name} has other rows")
    if wrong:
        raise BackupFailed(f"{len(wrong)} tables differ: {'; '.join(wrong[:5])}")


def _faults_of_rooms(alias: str) -> Iterator[str]:
    for app in apps.get_app_configs():
        paths: tuple[str, ...] = getattr(app, "copy_checks", ())
        for path in paths:
            yield from import_string(path)(alias)


def _manifest_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read_manifest(path: Path) -> Any:
    try:
        manifest = json.loads(_manifest_of(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BackupFailed(
            f"the manifest of {path} cannot be read", remedy="Make a new backup"
        ) from None
    if not path.exists():
        raise BackupFailed(f"there is no dump {path}", remedy="Make a new backup")
    return manifest


def _summed(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, digest


def _note(verified: Verified) -> None:
    if status := config().ops.backup_status:
        whole = Path(f"{status}.new")
        whole.write_text(json.dumps(asdict(verified)), encoding="utf-8")
        whole.replace(status)
