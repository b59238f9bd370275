"""Files that nobody knows: left in the storage by workers that were killed before they told.

A file is written first and its row last, so that no row ever points at half a file. What a worker
leaves behind in between is found by its name: under its tenant, and in no row.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS

from claimkit.tenants import use_tenant
from claimkit.types import TenantKey
from claimkit_django.conf import config
from claimkit_django.reports.files import FOLDERS, folder_of
from claimkit_django.reports.models import ExportRun, ReportFile, ReportRun
from claimkit_django.tenants.holds import held_tenants
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.storage import Storage

__all__ = ["remove_orphans"]

logger = logging.getLogger(__name__)

#: Files younger than this may be of a run that has not told of them yet.
_OLD = dt.timedelta(days=1)


def remove_orphans(*, now: dt.datetime, using: str = DEFAULT_DB_ALIAS) -> int:
    """Remove files of reports and exports that are in no row, of all tenants; return how many.

    Only those that are older than a day, and of tenants none of whose runs is at work. A storage
    that cannot list its files keeps them, as do tenants under a legal hold.
    """
    rows = Tenant.objects.using(using).exclude(pk__in=held_tenants(using))
    removed = 0
    for key in list(rows.values_list("key", flat=True)):
        with use_tenant(TenantKey(key)):
            if not _at_work(now, using):
                removed += sum(_remove(one, now, using) for one in FOLDERS)
    return removed


def _at_work(now: dt.datetime, using: str) -> bool:
    """Whether a run of the tenant in scope is alive."""
    alive = now - dt.timedelta(minutes=config().reports.dead_after_minutes)
    return any(
        model.objects.using(using).filter(status="running", heartbeat_at__gte=alive).exists()
        for model in (ReportRun, ExportRun)
    )


def _remove(folder: str, now: dt.datetime, using: str) -> int:
    model = ReportFile if folder == "reports" else ExportRun
    storage = model._meta.get_field("file").storage
    found = [one for one in _files(storage, folder) if _is_old(storage, one, now)]
    if not found:
        return 0
    known = set(model.objects.using(using).filter(file__in=found).values_list("file", flat=True))
    unknown = [one for one in found if one not in known]
    for one in unknown:
        storage.delete(one)
    if unknown:
        logger.warning("files without a row were removed", extra={"files": len(unknown)})
    return len(unknown)


def _files(storage: Storage, folder: str) -> Iterator[str]:
    where = folder_of(folder)
    try:
        names = storage.listdir(where)[1]
    except (NotImplementedError, FileNotFoundError):
        return
    yield from (f"{where}/{name}" for name in names)


def _is_old(storage: Storage, name: str, now: dt.datetime) -> bool:
    try:
        return storage.get_modified_time(name) < now - _OLD
    except (NotImplementedError, FileNotFoundError):
        return False
