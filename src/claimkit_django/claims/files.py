"""Where uploaded files lie: under their tenant, with a random name that nobody can guess."""

from __future__ import annotations

import secrets
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from claimkit.tenants import current_tenant

if TYPE_CHECKING:
    from django.db.models import Model

__all__ = ["upload_path"]

_SUFFIXES = frozenset({".csv", ".txt", ".tsv", ".835", ".837", ".edi", ".x12", ".json", ".dat"})


def upload_path(instance: Model, filename: str) -> str:
    """Return the storage path of a new upload; the name that people gave is kept in the row.

    Raises:
        TenantRequired: no tenant is in scope.
    """
    del instance  # The path says nothing but the tenant.
    suffix = PurePosixPath(filename).suffix.lower()
    kept = suffix if suffix in _SUFFIXES else ""
    return f"claimkit/{current_tenant()}/uploads/{secrets.token_hex(16)}{kept}"
