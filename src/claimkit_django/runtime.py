"""This process's plugins, store and bus; made when first asked for, never at import.

Rooms stay independent: each says in its ``AppConfig.store_parts`` what it adds to the store, so
nothing here imports a room, and a site without one simply has no such part.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils.module_loading import import_string

from claimkit.claims.store import ClaimStore
from claimkit.errors import StoreError
from claimkit.events import Bus
from claimkit.plugins import load_plugins
from claimkit_django.conf import config
from claimkit_django.signals import SignalSender

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator, Sequence

    from claimkit.claims.mapping import ClaimMapping
    from claimkit.drift.cube import CubeStore
    from claimkit.drift.findings import FindingLog
    from claimkit.events import DataHold, Event, Listener
    from claimkit.facts import ClaimFacts
    from claimkit.plugins import Plugins
    from claimkit.types import Cents, TenantKey

__all__ = [
    "BehindSource",
    "ClaimBehind",
    "ClaimsBehind",
    "DenialSource",
    "DeniedClaim",
    "Mappings",
    "OrmStore",
    "PendingClaim",
    "PendingSource",
    "QualityLog",
    "StoredClaims",
    "VisitSource",
    "make_bus",
    "open_store",
    "past_events",
    "patient_key",
    "plugins",
]

logger = logging.getLogger(__name__)


class QualityLog(Protocol):
    """Doubts about data of all tenants."""

    def holds(self, tenant: TenantKey) -> Sequence[DataHold]:
        """Return the doubts that alerts of a tenant wait for; one query."""
        ...


class StoredClaims(ClaimStore, Protocol):
    """Claims of all tenants, which can also be read in the order of their days."""

    def facts_by_day(
        self, tenant: TenantKey, *, batch_size: int = 5_000
    ) -> Iterator[list[ClaimFacts]]:
        """Yield the facts of all claims of a tenant, the oldest first; see the claims room."""
        ...


class VisitSource(Protocol):
    """What was done for whom."""

    def sql(self, *, patients: str) -> str:
        """Return a SELECT with one placeholder, the id of the tenant; see the claims room."""
        ...


class DeniedClaim(NamedTuple):
    """A claim as a letter to its payer names it."""

    number: str
    payer_number: str
    service_on: dt.date | None
    decided_on: dt.date | None
    #: Group and CARC.
    reason: str
    charge: Cents


class DenialSource(Protocol):
    """Which claims payers denied."""

    def rows(
        self, *, payer: str, groups: Sequence[str], since: dt.date, limit: int
    ) -> Sequence[DeniedClaim]:
        """Return claims of the tenant in scope that stand denied; see the claims room."""
        ...


class ClaimBehind(NamedTuple):
    """A claim that a number counts, and the row of a file that told its first decision."""

    #: Public identifier.
    uid: str
    payer: str
    procedure_group: str
    #: First day of the decision, and its label in the cube.
    decided_on: dt.date
    outcome: str
    charge: Cents
    #: Identifier of the upload, empty where the claim came another way; and the row, from 1.
    upload: str
    row: int


class ClaimsBehind(NamedTuple):
    """The claims that a number counts."""

    #: How many, and what they add up to.
    total: int
    charge: Cents
    allowed: Cents
    paid: Cents
    #: Upload of the latest statement about each → how many; most first.
    uploads: Sequence[tuple[str, int]]
    #: Some of them, by day and identifier.
    claims: Sequence[ClaimBehind]


class BehindSource(Protocol):
    """Which claims are behind a sum over the cube's first decisions."""

    def rows(
        self,
        *,
        first: dt.date,
        last: dt.date,
        payers: Sequence[str],
        groups: Sequence[str],
        outcome: str,
        limit: int,
    ) -> ClaimsBehind:
        """Return the claims of the tenant in scope; see the claims room."""
        ...


class PendingClaim(NamedTuple):
    """A claim that its payer has not decided, as far as its risk depends on it."""

    #: Public identifier.
    uid: str
    payer: str
    procedure_group: str
    authorized: bool
    charge: Cents


class PendingSource(Protocol):
    """Which claims wait for their payers."""

    def of_upload(
        self, upload: str, *, sources: Collection[str]
    ) -> tuple[dt.datetime, Iterator[Sequence[PendingClaim]]] | None:
        """Return when a file of the tenant in scope came in and its pending claims; see the claims room."""
        ...


class Mappings(Protocol):
    """The names that tenants give to payers and procedure groups."""

    def load(self, tenant_id: int) -> ClaimMapping:
        """Return a tenant's rules that are in force; one query."""
        ...


class _Loaded:
    """The plugins of this process, loaded once, however many threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plugins: Plugins | None = None

    def plugins(self) -> Plugins:
        with self._lock:
            if self._plugins is None:
                wanted = config().plugins
                # One broken plugin must not take the site down; the system checks tell of it.
                self._plugins = load_plugins(
                    disabled=wanted.disabled, required=wanted.required, strict=False
                )
                for one in self._plugins.failed:
                    logger.error(
                        "plugin left out",
                        exc_info=one.error,
                        extra={"plugin": one.name, "reason": one.error.code},
                    )
            return self._plugins

    def forget(self, *, setting: str, **_kwargs: Any) -> None:
        if setting == "CLAIMKIT":
            with self._lock:
                self._plugins = None


_loaded = _Loaded()
setting_changed.connect(_loaded.forget, dispatch_uid="claimkit_plugins")


def plugins() -> Plugins:
    """Return the plugins of this process; loaded when first asked for.

    Raises:
        PluginError: a plugin that is required cannot be loaded; the message names it.
    """
    return _loaded.plugins()


class OrmStore:
    """:class:`claimkit.stores.Store` over the tables of the installed rooms.

    Args:
        using: Alias of the database; all parts share it, and thereby its transaction.
    """

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self.using = using
        self._parts: dict[str, Any] = {}

    @property
    def claims(self) -> StoredClaims:
        """Claims, where ``claimkit_django.claims`` is installed."""
        return cast("StoredClaims", self._part("claims"))

    @property
    def cube(self) -> CubeStore:
        """The cube, where ``claimkit_django.drift`` is installed."""
        return cast("CubeStore", self._part("cube"))

    @property
    def findings(self) -> FindingLog:
        """Findings, where ``claimkit_django.drift`` is installed."""
        return cast("FindingLog", self._part("findings"))

    @property
    def quality(self) -> QualityLog:
        """Doubts about data, where ``claimkit_django.claims`` is installed."""
        return cast("QualityLog", self._part("quality"))

    @property
    def behind(self) -> BehindSource:
        """Claims behind numbers, where ``claimkit_django.claims`` is installed."""
        return cast("BehindSource", self._part("behind"))

    @property
    def denials(self) -> DenialSource:
        """Denied claims, where ``claimkit_django.claims`` is installed."""
        return cast("DenialSource", self._part("denials"))

    @property
    def mappings(self) -> Mappings:
        """Tenants' own names, where ``claimkit_django.claims`` is installed."""
        return cast("Mappings", self._part("mappings"))

    @property
    def pending(self) -> PendingSource:
        """Claims that wait for their payers, where ``claimkit_django.claims`` is installed."""
        return cast("PendingSource", self._part("pending"))

    @property
    def visits(self) -> VisitSource:
        """Services by patient, where ``claimkit_django.claims`` is installed."""
        return cast("VisitSource", self._part("visits"))

    def has(self, part: str) -> bool:
        """Whether an installed room provides ``part``: behind, claims, cube, denials, findings, mappings, pending, quality or visits."""
        return _find_part(part) is not None

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Run the block in one transaction, or in a savepoint of the one that is open.

        Writers of one tenant take turns: every write of a part first locks the tenant's row.
        """
        with transaction.atomic(using=self.using):
            yield

    def close(self) -> None:
        """Forget the parts; the connection stays Django's."""
        self._parts.clear()

    def _part(self, name: str) -> Any:
        if name not in self._parts:
            path = _find_part(name)
            if path is None:
                raise StoreError(
                    f"no installed app keeps {name}", remedy="Add its room to INSTALLED_APPS"
                )
            self._parts[name] = import_string(path)(self.using)
        return self._parts[name]


def _find_part(name: str) -> str | None:
    for app in apps.get_app_configs():
        parts: dict[str, str] = getattr(app, "store_parts", {})
        if name in parts:
            return parts[name]
    return None


def open_store(using: str | None = None) -> OrmStore:
    """Return a store over the database ``using``, ``default`` if not named."""
    return OrmStore(using or DEFAULT_DB_ALIAS)


def make_bus(store: OrmStore) -> Bus:
    """Return a bus for one piece of work: rooms, the plugins' listeners, host signals.

    A room names its listeners in ``AppConfig.bus_listeners``; each is made with the database alias.
    """
    listeners: list[Listener] = []
    for app in apps.get_app_configs():
        paths: tuple[str, ...] = getattr(app, "bus_listeners", ())
        listeners.extend(import_string(path)(store.using) for path in paths)
    listeners.extend(plugins().listeners.values())
    listeners.append(SignalSender(store.using))
    return Bus(listeners)


def past_events(topic: str, *, days: int, using: str) -> Sequence[Event] | None:
    """Return the events of a topic that the last days brought the tenant in scope; None: nobody kept them.

    A room names its function and the topics that it knows of in ``AppConfig.past``.
    """
    for app in apps.get_app_configs():
        path, topics = getattr(app, "past", ("", ()))
        if topic in topics:
            found: Sequence[Event] = import_string(path)(topic, days, using)
            return found
    return None


def patient_key(tenant: TenantKey) -> bytes:
    """Return the tenant's key for patient tokens; the same as long as the secret is.

    Derived from ``CLAIMKIT["CLAIMS"]["PATIENT_KEY"]``, or from ``SECRET_KEY`` where that is
    empty, so that equal members of two tenants have different tokens.
    """
    secret = config().claims.patient_key or settings.SECRET_KEY
    return hmac.new(
        secret.encode(), b"claimkit.patient_token:" + tenant.encode(), hashlib.sha256
    ).digest()
