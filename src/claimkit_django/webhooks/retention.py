"""What is kept of webhooks, and for how long: old deliveries go, with their attempts and bodies.

Only what has ended goes; whatever is still due stays however old it is. Rows go in batches, each a
transaction of its own, so that nobody waits and an interrupted run has done what it said.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from claimkit.errors import ConfigError
from claimkit_django.conf import config
from claimkit_django.tenants.holds import held_tenants
from claimkit_django.webhooks.models import Attempt, Delivery, Message, ReceivedMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    from claimkit.types import Progress

__all__ = ["Pruned", "prune"]

_BATCH = 2_000
#: The retries of a delivery end after 75 hours.
_FEWEST_DAYS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows of each kind went, or would go."""

    deliveries: int = 0
    attempts: int = 0
    messages: int = 0
    received: int = 0


def prune(
    *,
    using: str,
    keep_days: int | None = None,
    is_dry_run: bool = False,
    progress: Progress | None = None,
) -> Pruned:
    """Delete what has ended and is older than ``keep_days``, of all tenants.

    Args:
        using: Alias of the database.
        keep_days: At least 4, because a message is repeated for three days; the setting
            ``WEBHOOKS.KEEP_DAYS`` if not given.
        is_dry_run: Count only.
        progress: Told of every batch.

    Returns:
        The rows that went, or that would go.

    Raises:
        ConfigError: fewer days than a message may take to arrive.
    """
    days = config().webhooks.keep_days if keep_days is None else keep_days
    if days < _FEWEST_DAYS:
        raise ConfigError(
            f"webhooks must be kept for {_FEWEST_DAYS} days: so long they may be repeated",
            remedy=f"Set CLAIMKIT['WEBHOOKS']['KEEP_DAYS'] to {_FEWEST_DAYS} or more",
        )
    before = timezone.now() - dt.timedelta(days=days)
    # A legal hold keeps everything of its tenant.
    held = held_tenants(using)
    ended = Delivery.unscoped.using(using).filter(created_at__lt=before).exclude(Delivery.live())
    ended = ended.exclude(tenant_id__in=held)
    attempts = Attempt.unscoped.using(using)
    received = ReceivedMessage.objects.using(using).filter(received_at__lt=before)
    # A message goes with its last delivery; one that nobody wanted has none.
    silent = Message.unscoped.using(using).filter(created_at__lt=before)
    silent = silent.exclude(tenant_id__in=held)
    if is_dry_run:
        return _counted(ended, silent, received, using)
    of_batch = partial(_in_batches, progress=progress)
    counts = {"attempts": 0}

    def with_attempts(keys: list[int]) -> None:
        counts["attempts"] += _delete(attempts.filter(delivery_id__in=keys))

    return Pruned(
        deliveries=of_batch("deliveries", ended, before=with_attempts),
        messages=of_batch(
            "messages",
            silent.exclude(pk__in=Delivery.unscoped.using(using).values("message_id")),
        ),
        received=of_batch("received", received),
        **counts,
    )


def _counted(
    ended: QuerySet[Any], silent: QuerySet[Any], received: QuerySet[Any], using: str
) -> Pruned:
    kept = Delivery.unscoped.using(using).exclude(pk__in=ended.values("pk"))
    gone = Attempt.unscoped.using(using).filter(delivery_id__in=ended.values("pk"))
    return Pruned(
        deliveries=ended.count(),
        attempts=gone.count(),
        messages=silent.exclude(pk__in=kept.values("message_id")).count(),
        received=received.count(),
    )


def _in_batches(
    what: str,
    rows: QuerySet[Any],
    *,
    progress: Progress | None,
    before: Callable[[list[int]], None] = lambda _keys: None,
) -> int:
    total, count = rows.count() if progress else 0, 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:_BATCH]):
        with transaction.atomic(using=rows.db):
            before(keys)
            count += _delete(rows.filter(pk__in=keys))
        if progress:
            progress(what, min(count, total), total)
    return count


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows that nothing else refers to, without loading them; one statement."""
    return rows._raw_delete(rows.db)
