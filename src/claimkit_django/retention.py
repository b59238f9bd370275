"""What is kept and for how long: classes of data that rooms name in ``AppConfig.retention``.

Each name leads to a function without arguments that returns :class:`RetentionClass`. So rooms
stay independent; what is old enough is removed by ``claimkit_django.ops``, and by nobody where
that is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from django.db.models import Q

__all__ = ["RetentionClass", "retention_classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionClass:
    """Rows of one kind that go together once they are old enough."""

    #: Stable, snake_case; how ``OPS.RETENTION_DAYS`` names it.
    name: str
    #: What it holds, for people.
    holds: str
    #: Inherits from ``claimkit_django.tenants.models.TenantModel``.
    model: type[Any]
    #: Instant → condition of rows that ended before it and with which nothing is left to do.
    #: None: nothing of it is ever removed.
    expired: Callable[[dt.datetime], Q] | None
    #: Days where the site says nothing; None keeps it for ever.
    keep_days: int | None = None
    #: Fewer days are refused.
    least_days: int = 1
    #: Field by which rows of :attr:`children` refer to a row.
    key: str = "pk"
    #: Models with the field that refers to the row; they go first, in this order.
    children: Sequence[tuple[type[Any], str]] = ()
    #: The only thing that :attr:`expired` looks at, a date or time without NULL. Where the table is
    #: cut by month of it (``migrations_kit.PartitionByMonth``), whole months go at once, as long as
    #: no tenant with rows in them is held.
    by_month: str = ""
    #: Nothing goes but whole months, so nothing where the table is not cut.
    only_by_month: bool = False
    #: Name of a partition's table, instant and alias → what is done before it goes, in the same
    #: transaction; raises :class:`~claimkit.errors.StoreError` where it must stay.
    before_month_goes: Callable[[str, dt.datetime, str], None] | None = None
    #: File field that is emptied, where the row stays; empty: rows go, with all their files.
    empties: str = ""


def retention_classes() -> dict[str, RetentionClass]:
    """Return the classes of all installed apps by name, the host's included."""
    found: dict[str, RetentionClass] = {}
    for app in apps.get_app_configs():
        paths: tuple[str, ...] = getattr(app, "retention", ())
        for path in paths:
            found |= {one.name: one for one in import_string(path)()}
    return found
