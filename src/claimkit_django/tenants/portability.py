"""Everything of one tenant, as one archive: to take along, or to keep when the tenant is erased.

:func:`tenant_tables` finds the models by introspection, so a room that is added later, or a table
of the host that refers to a tenant, is included. :func:`export_tenant` writes a ZIP file with one
file of newline-delimited JSON per model, the files of the tenant as they are in the storage, and a
manifest with counts and SHA-256 of each; :func:`check_archive` reads it over. What is encrypted at
rest stays behind: nobody else could open it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, models, transaction
from django.db.models import FileField
from django.utils import timezone

from claimkit.errors import StoreError
from claimkit_django import trail
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.db.models import QuerySet

    from claimkit.types import Progress

__all__ = ["Manifest", "TenantTable", "check_archive", "export_tenant", "tenant_tables"]

_FORM = 1
_MANIFEST = "manifest.json"
_CHUNK = 2_000
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantTable:
    """One model whose rows belong to tenants."""

    model: type[models.Model]
    #: Attribute that holds the tenant's database id.
    column: str

    @property
    def label(self) -> str:
        """Such as ``claimkit_claims.Claim``."""
        return str(self.model._meta.label)

    @property
    def outlives(self) -> bool:
        """Whether the rows stay when the tenant is gone."""
        return bool(getattr(self.model, "outlives_tenant", False))

    def rows(self, tenant_id: int, using: str) -> QuerySet[Any]:
        """Return the tenant's rows, whatever is in scope."""
        manager: Any = getattr(self.model, "unscoped", self.model._base_manager)
        found: QuerySet[Any] = manager.using(using).filter(**{self.column: tenant_id})
        return found

    def file_fields(self) -> list[FileField]:
        """Return the fields that name files in a storage."""
        return [one for one in self.model._meta.concrete_fields if isinstance(one, FileField)]

    def files(self, tenant_id: int, using: str) -> Iterator[tuple[Any, str]]:
        """Yield storage and name of each file of the tenant; a query per file field."""
        for field in self.file_fields():
            names = self.rows(tenant_id, using).exclude(**{field.name: ""}).order_by()
            for name in names.values_list(field.name, flat=True).iterator(chunk_size=_CHUNK):
                yield field.storage, name


def tenant_tables() -> list[TenantTable]:
    """Return every model with a foreign key to a tenant, those of the host included, by label."""
    found: list[TenantTable] = []
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy or not model._meta.managed:
            continue
        for field in model._meta.concrete_fields:
            if field.is_relation and field.related_model is Tenant:
                found.append(TenantTable(model=model, column=field.attname))
                break
    return sorted(found, key=lambda one: one.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive holds."""

    tenant: str
    #: Label of the model → rows.
    rows: dict[str, int]
    #: Files of the tenant.
    files: int


def export_tenant(
    tenant: Tenant, path: Path, *, using: str, progress: Progress | None = None
) -> Manifest:
    """Write everything of a tenant into a new ZIP file, as of one instant.

    Rows stream: memory does not grow with the tenant.

    Raises:
        StoreError: a file of the tenant is gone from the storage.
        FileExistsError: there is a file already.
    """
    with path.open("xb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        path.chmod(0o600)
        with _snapshot(using):
            made = _write(archive, tenant, using, progress)
    with transaction.atomic(using=using):
        trail.record(
            "tenant.exported",
            tenant_id=tenant.pk,
            target=tenant.key,
            changes={"rows": (None, sum(made.rows.values())), "files": (None, made.files)},
            is_read=True,
            using=using,
        )
    return made


def _write(
    archive: zipfile.ZipFile, tenant: Tenant, using: str, progress: Progress | None
) -> Manifest:
    tables = tenant_tables()
    told: dict[str, Any] = {}
    files: dict[str, Any] = {}
    for number, table in enumerate(tables):
        if progress is not None:
            progress(table.label, number, len(tables))
        told[table.label] = _write_rows(archive, table, tenant.pk, using)
        for storage, name in table.files(tenant.pk, using):
            files[name] = _write_file(archive, storage, name)
    manifest = {
        "form": _FORM,
        "tenant": {"key": tenant.key, "name": tenant.name, "timezone": tenant.timezone},
        "exported_at": timezone.now(),
        "models": told,
        "files": files,
    }
    text = json.dumps(manifest, cls=DjangoJSONEncoder, indent=1, sort_keys=True)
    archive.writestr(_MANIFEST, text)
    if progress is not None:
        progress("written", len(tables), len(tables))
    rows = {label: one["rows"] for label, one in told.items()}
    return Manifest(tenant=tenant.key, rows=rows, files=len(files))


def _write_rows(
    archive: zipfile.ZipFile, table: TenantTable, tenant_id: int, using: str
) -> dict[str, Any]:
    fields = table.model._meta.concrete_fields
    sealed = [one.attname for one in fields if isinstance(one, models.BinaryField)]
    names = [
        one.attname for one in fields if one.concrete and one.column and one.attname not in sealed
    ]
    place = f"models/{table.label}.ndjson"
    digest, count = hashlib.sha256(), 0
    rows = table.rows(tenant_id, using).order_by("pk").values(*names)
    with archive.open(place, "w", force_zip64=True) as out:
        for row in rows.iterator(chunk_size=_CHUNK):
            line = json.dumps(row, cls=DjangoJSONEncoder, sort_keys=True).encode() + b"\n"
            digest.update(line)
            out.write(line)
            count += 1
    return {"rows": count, "sha256": digest.hexdigest(), "file": place, "left_out": sealed}


def _write_file(archive: zipfile.ZipFile, storage: Any, name: str) -> dict[str, Any]:
    place = f"files/{name}"
    try:
        with storage.open(name, "rb") as file, archive.open(place, "w", force_zip64=True) as out:
            digest, size = _copy(file, out)
    except FileNotFoundError:
        raise StoreError(
            f"the file {name} is gone from the storage", remedy="Restore it, then export again"
        ) from None
    return {"bytes": size, "sha256": digest, "file": place}


def _copy(source: Any, out: IO[bytes] | None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        digest.update(piece)
        size += len(piece)
        if out is not None:
            out.write(piece)
    return digest.hexdigest(), size


def _snapshot(using: str) -> Any:
    """Return a transaction whose queries all see the same instant."""
    connection = connections[using]
    return (
        _RepeatableRead(using) if connection.vendor == "postgresql" else transaction.atomic(using)
    )


class _RepeatableRead:
    """A transaction of PostgreSQL at the level REPEATABLE READ; inside of another one, that one."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._atomic = transaction.atomic(using=using)

    def __enter__(self) -> None:
        is_outermost = not connections[self._using].in_atomic_block
        self._atomic.__enter__()
        if is_outermost:
            with connections[self._using].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    def __exit__(self, *error: Any) -> None:
        self._atomic.__exit__(*error)


def check_archive(path: Path) -> Manifest:
    """Read an archive over and compare counts and checksums with its manifest.

    Raises:
        StoreError: it is no such archive, or something of it is missing or different.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(_MANIFEST))
            for one in manifest["models"].values():
                _check(archive, one, lines=one["rows"])
            for one in manifest["files"].values():
                _check(archive, one)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise StoreError(
            f"this is no whole archive of a tenant ({type(error).__name__})",
            remedy="Export the tenant again",
        ) from None
    rows = {label: one["rows"] for label, one in manifest["models"].items()}
    return Manifest(tenant=manifest["tenant"]["key"], rows=rows, files=len(manifest["files"]))


def _check(archive: zipfile.ZipFile, told: Any, lines: int | None = None) -> None:
    with archive.open(told["file"]) as file:
        digest, _ = _copy(file, None)
    count = lines
    if lines is not None:
        with archive.open(told["file"]) as file:
            count = sum(1 for _ in file)
    if digest != told["sha256"] or count != lines:
        raise StoreError(
            f"{told['file']} is not what the manifest says", remedy="Export the tenant again"
        )
