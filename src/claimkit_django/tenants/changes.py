"""Which state of a tenant's data is committed: a number that moves with every change.

Each change adds a row in its own transaction and locks nothing, so writers never wait for each
other here, in whatever order they write. The state is the *sum* of the rows. A latest time or a
highest id would not do: of two transactions, the one that commits last may carry the smaller one,
and whoever asked in between would never learn of it.

From time to time a writer folds the rows of its room into one; the sum stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.db import connections, transaction
from django.db.models import OuterRef, Subquery, Sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import Model

__all__ = ["data_version", "note_change", "rooms_shown", "state_columns", "states_of"]

#: Once in so many changes the rows of a room are folded.
_FOLD = 64
_COLUMN = "state_of_"


def note_change(tenants: Iterable[int], room: str, using: str) -> None:
    """Note, in the caller's transaction, that what ``room`` shows of these tenants changes.

    Args:
        tenants: Database ids.
        room: Name of the room that shows it, such as ``claims``.
        using: Alias of the database.
    """
    rows = _model()._default_manager.using(using)
    made = rows.bulk_create([_model()(tenant_id=one, room=room) for one in sorted(set(tenants))])
    for row in made:
        if row.pk is not None and row.pk % _FOLD == 0:
            _fold(row, using)


def data_version(tenant_id: int, rooms: Sequence[str], using: str) -> str:
    """Return the committed state of what the rooms show of a tenant; one query.

    Two equal answers mean that nothing has changed; read it *before* what it stands for.
    """
    rows = _model()._default_manager.using(using).filter(tenant_id=tenant_id, room__in=rooms)
    return _told(dict(rows.order_by().values_list("room").annotate(Sum("changes"))), rooms)


def state_columns(tenant: str, rooms: Iterable[str]) -> dict[str, Subquery]:
    """Return annotations that read the states of rooms along with another query.

    Args:
        tenant: Path of the tenant's id in that query, such as ``tenant_id``.
        rooms: Their names.
    """
    rows = _model()._default_manager.filter(tenant_id=OuterRef(tenant)).order_by()
    return {
        f"{_COLUMN}{room}": Subquery(
            rows.filter(room=room).values("room").annotate(state=Sum("changes")).values("state")
        )
        for room in rooms
    }


def states_of(row: object, rooms: Sequence[str]) -> str:
    """Return what :func:`data_version` would, from a row that has :func:`state_columns`."""
    return _told({room: getattr(row, f"{_COLUMN}{room}", None) for room in rooms}, rooms)


def _told(sums: dict[str, int | None], rooms: Sequence[str]) -> str:
    return ",".join(f"{room}:{sums.get(room) or 0}" for room in sorted(rooms))


def rooms_shown() -> tuple[str, ...]:
    """Return the rooms that show rows of tenants, by what their models say."""
    return tuple(sorted({getattr(model, "shown_in", "") for model in apps.get_models()} - {""}))


def _fold(newest: Model, using: str) -> None:
    connection = connections[using]
    with transaction.atomic(using=using):
        rows = _model()._default_manager.using(using)
        mine = rows.filter(tenant_id=newest.tenant_id, room=newest.room)  # type: ignore[attr-defined]
        if connection.features.has_select_for_update_skip_locked:
            # Somebody else is folding the rest.
            mine = mine.select_for_update(skip_locked=True)
        found = dict(mine.values_list("pk", "changes"))
        rows.filter(pk__in=list(found)).delete()
        newest.pk = None
        newest.changes = sum(found.values())  # type: ignore[attr-defined]
        rows.bulk_create([newest])


def _model() -> type[Model]:
    return apps.get_model("claimkit_tenants", "DataChange")
