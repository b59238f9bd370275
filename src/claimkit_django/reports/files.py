"""Where reports and exports lie: under their tenant, with a random name that nobody can guess."""

from __future__ import annotations

import secrets
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from claimkit.tenants import current_tenant

if TYPE_CHECKING:
    from django.db.models import Model

__all__ = ["export_path", "report_path"]


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


def _path(folder: str, filename: str) -> str:
    suffix = PurePosixPath(filename).suffix
    return f"claimkit/{current_tenant()}/{folder}/{secrets.token_hex(16)}{suffix}"
