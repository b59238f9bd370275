"""Where reports and exports lie: under their tenant, with a random name that nobody can guess."""

from __future__ import annotations

import secrets
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from claimkit.tenants import current_tenant

if TYPE_CHECKING:
    from django.db.models import Model

__all__ = ["FOLDERS", "export_path", "folder_of", "report_path"]

#: Where reports lie, and exports.
FOLDERS = ("reports", "exports")


def report_path(instance: Model, filename: str) -> str:
    """Return the storage path of a rendered report.

    Raises:
        TenantRequired: no tenant is in scope.
    """
    del instance  # The path says nothing but the tenant.
    return _path("reports", filename)


def export_path(instance: Model, filename: str) -> str:
    """Return the storage path of an export.

    Raises:
        TenantRequired: no tenant is in scope.
    """
    del instance
    return _path("exports", filename)


def folder_of(folder: str) -> str:
    """Return where files of the tenant in scope lie.

    Raises:
        TenantRequired: no tenant is in scope.
    """
    return f"claimkit/{current_tenant()}/{folder}"


def _path(folder: str, filename: str) -> str:
    suffix = PurePosixPath(filename).suffix
    return f"{folder_of(folder)}/{secrets.token_hex(16)}{suffix}"
