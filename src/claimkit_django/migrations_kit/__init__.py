"""Migration operations that stop nobody: for claimkit's own migrations and for a host's.

On PostgreSQL each waits for its lock no longer than requests can wait behind it, scans tables
under locks that let reads and writes pass, and can be run again after it was killed. On other
databases each does what Django's own operation does, so that the schema is the same.
"""

from __future__ import annotations

from claimkit_django.migrations_kit.append_only import AppendOnly
from claimkit_django.migrations_kit.backfill import Backfill
from claimkit_django.migrations_kit.constraints import AddConstraintSafely, RemoveConstraintSafely
from claimkit_django.migrations_kit.indexes import AddIndexSafely, RemoveIndexSafely
from claimkit_django.migrations_kit.locks import LockNotObtained, Patience, Patiently
from claimkit_django.migrations_kit.partitions import PartitionByMonth
from claimkit_django.migrations_kit.policies import AddTenantPolicy

__all__ = [
    "AddConstraintSafely",
    "AddIndexSafely",
    "AddTenantPolicy",
    "AppendOnly",
    "Backfill",
    "LockNotObtained",
    "PartitionByMonth",
    "Patience",
    "Patiently",
    "RemoveConstraintSafely",
    "RemoveIndexSafely",
]
