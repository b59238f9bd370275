"""The watch as Celery tasks; the same runs start from ``manage.py claimkit_watch``."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, ClassVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction

from claimkit.errors import ClaimkitError
from claimkit.events import ClaimsImported
from claimkit.tenants import use_tenant
from claimkit.types import TenantKey
from claimkit_django.conf import config
from claimkit_django.drift.backtests import run_backtest
from claimkit_django.drift.risk import score_upload
from claimkit_django.drift.runs import run_rebuild, run_watch
from claimkit_django.runtime import open_store
from claimkit_django.tenants.models import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claimkit.events import Event, Phase
    from claimkit_django.drift.models import BacktestRun

try:
    from celery import shared_task
    from kombu.exceptions import OperationalError as BrokerError
except ImportError:  # Celery is an extra.
    shared_task = None

__all__ = ["ScoringListener", "queue_backtest", "queue_rebuild", "queue_watch"]

logger = logging.getLogger(__name__)


def queue_watch(tenant: TenantKey, *, as_of: dt.date | None = None) -> None:
    """Watch one tenant: by a worker where Celery is installed, else here and now."""
    if shared_task is None:
        run_watch(tenant, as_of=as_of)
    else:
        watch_tenant.delay(tenant, as_of.isoformat() if as_of else "")


def queue_rebuild(tenant: TenantKey, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Make a tenant's cube again once the transaction has committed: by a worker, or else at once."""
    transaction.on_commit(lambda: _start_rebuild(str(tenant), using), using=using)


def _start_rebuild(tenant: str, using: str) -> None:
    if shared_task is None:
        _rebuild(tenant, using)
        return
    try:
        rebuild.delay(tenant, using)
    except BrokerError:
        logger.warning("broker not reached; rebuild the cube", extra={"tenant": tenant})


def queue_backtest(run: BacktestRun) -> None:
    """Start a backtest once the transaction has committed: by a worker, or else here and now."""
    using = run._state.db or DEFAULT_DB_ALIAS
    key, uid = run.tenant.key, run.uid
    transaction.on_commit(lambda: _start_backtest(key, uid, using), using=using)


def _start_backtest(key: str, uid: str, using: str) -> None:
    if shared_task is None:
        _backtest(uid, key, using)
        return
    try:
        backtest.delay(uid, key, using)
    except BrokerError:
        logger.warning("broker not reached; the backtest stays queued", extra={"backtest": uid})


class ScoringListener:
    """Has the claims of an EHR scored as soon as they are in: by a worker, or else at once."""

    name = "drift_scoring"
    topics: ClassVar[frozenset[str]] = frozenset({ClaimsImported.topic})
    phase: Phase = "committed"

    def __init__(self, using: str) -> None:
        self._using = using

    def handle(self, event: Event) -> Iterable[Event] | None:
        """Queue the scoring of a file that an EHR sent, if it brought something; two queries."""
        sources = config().drift.score_sources
        if not isinstance(event, ClaimsImported) or not (event.new + event.changed and sources):
            return None
        store = open_store(self._using)
        with use_tenant(event.tenant):
            is_one = store.has("pending") and store.pending.of_upload(event.upload, sources=sources)
        if is_one:
            _start_scoring(event.upload, event.tenant, self._using)
        return None


def _start_scoring(upload: str, tenant: TenantKey, using: str) -> None:
    if shared_task is None:
        _score_upload(upload, tenant, using)
        return
    try:
        score_upload_task.delay(upload, tenant, using)
    except BrokerError:
        logger.warning("broker not reached; claims are not scored", extra={"upload": upload})


def _score_upload(uid: str, tenant: str, using: str = DEFAULT_DB_ALIAS) -> int:
    """Score the pending claims of one file for rules; return how many they were told of."""
    return score_upload(TenantKey(tenant), uid, using=using)


def _backtest(uid: str, tenant: str, using: str = DEFAULT_DB_ALIAS) -> int:
    """Run one queued backtest; return how many alerts there would have been.

    A backtest that cannot run is told by its row, so the task does not fail for it.
    """
    try:
        result = run_backtest(TenantKey(tenant), uid, using=using)
    except ClaimkitError:
        logger.warning("backtest failed", extra={"backtest": uid}, exc_info=True)
        return 0
    return 0 if result is None else len(result.alerts)


def _rebuild(tenant: str, using: str = DEFAULT_DB_ALIAS) -> int:
    """Make a tenant's cube again; return how many claims it was made from."""
    return run_rebuild(TenantKey(tenant), using=using)


def _watch_tenant(tenant: str, as_of: str = "", using: str = DEFAULT_DB_ALIAS) -> int:
    """Watch one tenant as of an ISO date, or of its last decision; return the open findings."""
    day = dt.date.fromisoformat(as_of) if as_of else None
    return len(run_watch(TenantKey(tenant), as_of=day, using=using, actor="task").findings)


def _watch_all() -> int:
    """Queue a watch of every active tenant; return how many. For the beat schedule."""
    keys = list(Tenant.objects.filter(active=True).values_list("key", flat=True))
    for key in keys:
        watch_tenant.delay(key)
    return len(keys)


if shared_task is not None:
    _retried = {
        "acks_late": True,
        "ignore_result": True,
        "autoretry_for": (DatabaseError,),
        "retry_backoff": True,
        "retry_jitter": True,
        "max_retries": 4,
    }
    watch_tenant = shared_task(name="claimkit.drift.watch_tenant", **_retried)(_watch_tenant)
    backtest = shared_task(name="claimkit.drift.backtest", acks_late=True, ignore_result=True)(
        _backtest
    )
    rebuild = shared_task(name="claimkit.drift.rebuild", acks_late=True, ignore_result=True)(
        _rebuild
    )
    score_upload_task = shared_task(name="claimkit.drift.score_upload", **_retried)(_score_upload)
    watch_all = shared_task(name="claimkit.drift.watch_all", ignore_result=True)(_watch_all)
    __all__ += ["backtest", "rebuild", "score_upload_task", "watch_all", "watch_tenant"]
