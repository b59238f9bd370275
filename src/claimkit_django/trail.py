"""The trail: who did what, told in the same transaction to whoever keeps it.

A model says in ``audited`` what of it belongs into the trail; saving, updating and deleting its
rows, one by one or in bulk, then tells :data:`deeds_done`. What is no change of a row, such as a
download, is told by :func:`record`. Nothing is looked up or told where nobody listens; the room
``claimkit_django.audit`` does. What a receiver raises fails the deed: what cannot be kept is not
done.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, router, transaction
from django.db.models.signals import post_delete
from django.dispatch import Signal
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

__all__ = [
    "SYSTEM",
    "Actor",
    "Audited",
    "AuditedQuerySet",
    "Deed",
    "Tracked",
    "acting",
    "current_actor",
    "deeds_done",
    "digest_of",
    "follow_deletions",
    "record",
    "tell",
    "tell_made",
    "updating",
]

_M = TypeVar("_M", bound=models.Model)
#: Where a row remembers what it was when it was read.
_READ_AS = "_claimkit_read_as"
#: Longest text that is told of one value.
_LONGEST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, and how they came."""

    #: ``user:7``, or ``system`` where nobody in particular does.
    key: str
    #: What they signed in with: ``session``, ``token tok_…``; empty for ``system``.
    via: str = ""
    #: Address that they came from; empty outside of a request.
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing that was done."""

    #: Database id of the tenant that it was done in.
    tenant_id: int
    #: What, such as ``api_token.changed``.
    action: str
    #: Public identifier of what it was done to.
    target: str = ""
    #: Field → what it was before and is now, of what JSON has. No secrets, no PHI.
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    #: Whether somebody only looked.
    is_read: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What of a model's rows belongs into the trail.

    Fields that are in neither list are not told, and changes of nothing else tell nothing.
    """

    #: First word of the actions, such as ``api_token`` in ``api_token.made``.
    kind: str
    #: Attributes whose values are told, dots lead to other rows. Nothing secret, no free text.
    shown: tuple[str, ...]
    #: Fields of which only a keyed digest is told: that they changed, and whether back.
    hidden: tuple[str, ...] = ()
    #: Property whose value is told → field that it is made from.
    computed: Mapping[str, str] = field(default_factory=dict)
    #: Attribute that holds the public identifier.
    target: str = "uid"
    #: Attribute that holds the tenant's database id.
    tenant: str = "tenant_id"
    #: Which of ``made``, ``changed`` and ``removed`` are told.
    on: frozenset[str] = frozenset({"made", "changed", "removed"})

    def sources(self, model: type[Any]) -> dict[str, str]:
        """Return attribute → stored field that it comes from, of everything that is told."""
        plain = {name: name.partition(".")[0] for name in (*self.shown, *self.hidden)}
        return {name: _stored(model, field) for name, field in {**plain, **self.computed}.items()}


SYSTEM: Final = Actor(key="system")
#: Sent with ``deeds`` (a list of :class:`Deed`) and ``using``, in the transaction of the deeds.
deeds_done = Signal()

_actor: ContextVar[Actor] = ContextVar("claimkit_actor", default=SYSTEM)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Run the block on behalf of somebody."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def current_actor() -> Actor:
    """Return who acts."""
    return _actor.get()


def record(
    action: str,
    *,
    tenant_id: int,
    target: str = "",
    changes: Mapping[str, tuple[Any, Any]] | None = None,
    is_read: bool = False,
    using: str,
) -> None:
    """Tell the trail of something that is no change of an audited row.

    Args:
        action: A noun, a dot and a verb in the past, such as ``repair_file.downloaded``.
        tenant_id: Database id of the tenant that it is about.
        target: Public identifier of what it was done to.
        changes: Field → before and after; no secrets, no PHI.
        is_read: Whether somebody only looked.
        using: Alias of the database of what was done.
    """
    deed = Deed(
        tenant_id=tenant_id,
        action=action,
        target=target,
        changes=changes or {},
        is_read=is_read,
    )
    tell([deed], using)


def tell(deeds: Sequence[Deed], using: str) -> None:
    """Tell the trail of several deeds at once, in the caller's transaction."""
    if deeds and deeds_done.has_listeners(Deed):
        deeds_done.send(sender=Deed, deeds=list(deeds), using=using)


def follow_deletions(chosen: Collection[type[models.Model]]) -> None:
    """Watch deletions of audited models on every route, by cascade too; called once, at start-up."""
    for model in chosen:
        audited: Audited | None = getattr(model, "audited", None)
        if audited is not None and "removed" in audited.on:
            post_delete.connect(_removed, sender=model, dispatch_uid="claimkit_trail")


def _removed(instance: Any, using: str, **_kwargs: Any) -> None:
    audited: Audited = instance.audited
    tell([_deed(instance, audited, "removed", _state(instance, audited), {})], using)


class Tracked:
    """Mixin of models: tells what happens to single rows; give it :attr:`audited`."""

    #: What of the rows belongs into the trail; None: nothing.
    audited: ClassVar[Audited | None] = None

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Any:
        """Remember what was read, so that a save can tell what it changes."""
        row = super().from_db(*args, **kwargs)  # type: ignore[misc]
        _remember(row)
        return row

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """Write the row, and tell what became different."""
        row = cast("Any", self)
        audited = self.audited
        if audited is None or not deeds_done.has_listeners(Deed):
            super().save_base(*args, **kwargs)  # type: ignore[misc]
            return
        using = kwargs.get("using") or router.db_for_write(type(row), instance=row)
        made = row._state.adding
        with transaction.atomic(using=using, savepoint=False):
            super().save_base(*args, **kwargs)  # type: ignore[misc]
            before = {} if made else row.__dict__.get(_READ_AS, {})
            after = _state(row, audited, only=kwargs.get("update_fields"))
            deeds = _differences(row, audited, before, after, made=made)
            tell(deeds, using)
        _remember(row)


def updating(rows: models.QuerySet[Any], values: Mapping[str, Any], act: Callable[[], int]) -> int:
    """Run an UPDATE of a queryset and tell what it changes; two more queries if it is audited."""
    audited: Audited | None = getattr(rows.model, "audited", None)
    touched = {_stored(rows.model, name) for name in values}
    if (
        audited is None
        or "changed" not in audited.on
        or not touched & set(audited.sources(rows.model).values())
        or not deeds_done.has_listeners(Deed)
    ):
        return act()
    with transaction.atomic(using=rows.db, savepoint=False):
        locked = rows.order_by().select_for_update(of=("self",))
        before = {row.pk: _state(row, audited, only=touched) for row in locked}
        if not before:
            return act()
        changed = act()
        # Read again: the new values may be expressions.
        same = rows.model._base_manager.using(rows.db)
        if hasattr(rows.model, "unscoped"):
            same = rows.model.unscoped.using(rows.db)
        deeds: list[Deed] = []
        for row in same.filter(pk__in=list(before)).order_by("pk"):
            after = _state(row, audited, only=touched)
            deeds += _differences(row, audited, before[row.pk], after, made=False)
        tell(deeds, rows.db)
    return changed


def tell_made(rows: Sequence[Any], using: str) -> None:
    """Tell of rows that one statement inserted."""
    audited: Audited | None = getattr(rows[0], "audited", None) if rows else None
    if audited is None or not deeds_done.has_listeners(Deed):
        return
    deeds: list[Deed] = []
    for row in rows:
        deeds += _differences(row, audited, {}, _state(row, audited), made=True)
    tell(deeds, using)


class AuditedQuerySet(models.QuerySet[_M]):
    """Rows of a :class:`Tracked` model that belong to no scope."""

    def update(self, **kwargs: Any) -> int:
        """Update the rows, and tell what became different."""
        return updating(self, kwargs, functools.partial(super().update, **kwargs))

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[_M]:
        """Insert the rows, and tell of each."""
        with transaction.atomic(using=self.db, savepoint=False):
            made = super().bulk_create(objs, *args, **kwargs)
            tell_made(made, self.db)
        return made

    bulk_create.alters_data = True  # type: ignore[attr-defined]


def _remember(row: Any) -> None:
    audited: Audited | None = row.audited
    # What is told on a change only is compared only then; nothing is kept where nobody listens.
    if audited is None or "changed" not in audited.on or not deeds_done.has_listeners(Deed):
        return
    row.__dict__[_READ_AS] = _state(row, audited, is_at_hand=True)


def _state(
    row: Any,
    audited: Audited,
    *,
    only: Collection[str] | None = None,
    is_at_hand: bool = False,
) -> dict[str, Any]:
    """Return what is told of a row: of some fields, or of those that need no query."""
    state: dict[str, Any] = {}
    stored = {_stored(type(row), name) for name in only} if only is not None else None
    for name, source in audited.sources(type(row)).items():
        if stored is not None and source not in stored:
            continue
        if is_at_hand and (source not in row.__dict__ or "." in name):
            continue
        value = attrgetter(name)(row)
        state[name] = digest_of(name, value) if name in audited.hidden else _plain(value)
    return state


def _stored(model: type[Any], name: str) -> str:
    """Return the attribute in which a row keeps a field: ``user_id`` for ``user``."""
    for one in model._meta.concrete_fields:
        if name in (one.name, one.attname):
            return str(one.attname)
    return name


def _differences(
    row: Any, audited: Audited, before: Mapping[str, Any], after: Mapping[str, Any], *, made: bool
) -> list[Deed]:
    if made:
        return [_deed(row, audited, "made", {}, after)] if "made" in audited.on else []
    if "changed" not in audited.on:
        return []
    new = {name: one for name, one in after.items() if before.get(name) != one}
    if not new:
        return []
    return [_deed(row, audited, "changed", {name: before.get(name) for name in new}, new)]


def _deed(
    row: Any, audited: Audited, verb: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Deed:
    return Deed(
        tenant_id=attrgetter(audited.tenant)(row),
        action=f"{audited.kind}.{verb}",
        target=str(attrgetter(audited.target)(row)),
        changes={
            name: (before.get(name), after.get(name)) for name in dict.fromkeys((*before, *after))
        },
    )


def _plain(value: Any) -> Any:
    """Return what JSON has for a value, the same before and after the database kept it."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    text = json.dumps(value, cls=DjangoJSONEncoder, sort_keys=True)
    if len(text) > _LONGEST:
        return f"{text[:_LONGEST]}…"
    # Databases write floats in their own ways; a text stays as it is.
    return json.loads(text, parse_float=str)


def digest_of(name: str, value: Any) -> str:
    """Return what is told of something secret: the same for the same, and of no use to others."""
    if not value:
        return ""
    secret = bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode()
    made = salted_hmac(f"claimkit.trail:{name}", secret, algorithm="sha256").hexdigest()
    return f"digest:{made[:16]}"
