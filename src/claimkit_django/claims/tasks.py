"""The import as a Celery task, and how an import is queued with or without Celery."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction

from claimkit.tenants import use_tenant
from claimkit.types import TenantKey
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.mappings import apply_version
from claimkit_django.claims.models import MappingVersion, Upload

try:
    from celery import shared_task
    from kombu.exceptions import OperationalError as BrokerError
except ImportError:  # Celery is an extra.
    shared_task = None

if TYPE_CHECKING:
    from claimkit_django.tenants.models import Tenant

__all__ = ["queue_import", "queue_mapping"]

logger = logging.getLogger(__name__)

#: A message that kills its worker comes again; after so many runs the file is the suspect.
_MAX_ATTEMPTS = 5


def queue_import(upload: Upload) -> None:
    """Start the upload's import once the transaction has committed.

    With Celery installed a worker runs it; if the broker cannot be reached the upload stays
    queued, and ``claimkit_import --resume`` runs it. Without Celery it runs here and now.
    """
    using = upload._state.db or DEFAULT_DB_ALIAS
    tenant: Tenant = upload.tenant
    key, uid = tenant.key, upload.uid
    transaction.on_commit(lambda: _start(key, uid, using), using=using)


def queue_mapping(version: MappingVersion) -> None:
    """Put the version in force once the transaction has committed, as :func:`queue_import` does."""
    using = version._state.db or DEFAULT_DB_ALIAS
    key, uid = version.tenant.key, version.uid

    def start() -> None:
        if shared_task is None:
            apply_version(TenantKey(key), uid, using=using)
            return
        try:
            apply_mapping.delay(uid, key, using)
        except BrokerError:
            logger.warning("broker not reached; the mapping stays queued", extra={"mapping": uid})

    transaction.on_commit(start, using=using)


def _start(key: str, uid: str, using: str) -> None:
    if shared_task is None:
        run_import(TenantKey(key), uid, using=using)
        return
    try:
        import_upload.delay(uid, key, using)
    except BrokerError:
        logger.warning("broker not reached; the upload stays queued", extra={"upload": uid})


def _import_upload(uid: str, tenant: str, using: str = DEFAULT_DB_ALIAS) -> str:
    """Import one upload; takes the public id and the tenant's key, never the file or its rows.

    Returns:
        The status in which the upload ended.
    """
    key = TenantKey(tenant)
    with use_tenant(key):
        attempts = Upload.objects.using(using).values_list("attempts", flat=True).get(uid=uid)
    if attempts >= _MAX_ATTEMPTS:
        logger.error("import given up", extra={"upload": uid, "attempts": attempts})
        return "given_up"
    return run_import(key, uid, using=using).status


def _apply_mapping(uid: str, tenant: str, using: str = DEFAULT_DB_ALIAS) -> str:
    """Put one version of a tenant's mapping in force; takes ids, never rules.

    Returns:
        The status in which the version ended.
    """
    return apply_version(TenantKey(tenant), uid, using=using).status


if shared_task is not None:
    import_upload = shared_task(
        name="claimkit.claims.import_upload",
        acks_late=True,
        # A worker that was killed has not finished; the message goes to another one.
        reject_on_worker_lost=True,
        ignore_result=True,
        autoretry_for=(DatabaseError, OSError),
        retry_backoff=True,
        retry_jitter=True,
        max_retries=_MAX_ATTEMPTS - 1,
    )(_import_upload)
    apply_mapping = shared_task(
        name="claimkit.claims.apply_mapping",
        acks_late=True,
        reject_on_worker_lost=True,
        ignore_result=True,
        autoretry_for=(DatabaseError, OSError),
        retry_backoff=True,
        retry_jitter=True,
        max_retries=_MAX_ATTEMPTS - 1,
    )(_apply_mapping)
    __all__ += ["apply_mapping", "import_upload"]
