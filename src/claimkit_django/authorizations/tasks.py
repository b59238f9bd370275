"""Checking authorizations as a Celery task; the same is ``manage.py claimkit_authorizations check``."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, DatabaseError
from django.utils import timezone

from claimkit.errors import TenantUnknown
from claimkit.types import TenantKey
from claimkit_django.authorizations.watch import Checked, check_authorizations
from claimkit_django.tenants.models import Tenant

try:
    from celery import shared_task
except ImportError:  # Celery is an extra.
    shared_task = None

__all__ = ["check_all"]


def check_all(using: str = DEFAULT_DB_ALIAS) -> int:
    """Check the authorizations of every active tenant; return how many warnings were told."""
    warned = 0
    for key in Tenant.objects.using(using).filter(active=True).values_list("key", flat=True):
        try:
            done = check_authorizations(TenantKey(key), now=timezone.now(), using=using)
        except TenantUnknown:
            # Deactivated meanwhile: nothing that the others should wait for.
            done = Checked()
        warned += done.warned
    return warned


if shared_task is not None:
    #: For the beat schedule, once a day or more often.
    check = shared_task(
        name="claimkit.authorizations.check",
        ignore_result=True,
        autoretry_for=(DatabaseError,),
        retry_backoff=True,
        retry_jitter=True,
        max_retries=4,
    )(check_all)
    __all__ += ["check"]
