"""Loads plugins, explicitly, into typed registries; importing claimkit loads nothing.

Hides pluggy: the rest of claimkit sees mappings from names to objects.
"""

from __future__ import annotations

import functools
import graphlib
import importlib
import importlib.metadata
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pluggy

from claimkit import __version__, hookspecs
from claimkit.compatibility import allows, requirement_of
from claimkit.errors import (
    ConfigError,
    PluginBroken,
    PluginCollision,
    PluginError,
    PluginIncompatible,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from claimkit.alerts.channels import Channel
    from claimkit.automation.actions import RuleAction
    from claimkit.claims.normalize import Normalizer
    from claimkit.claims.payers import PayerDirectory
    from claimkit.claims.readers import ClaimReader
    from claimkit.claims.remarks import RemarkCodes
    from claimkit.drift.detectors import Detector
    from claimkit.drift.measures import Measure
    from claimkit.events import Listener
    from claimkit.reports.renderers import ReportRenderer
    from claimkit.stores import Store
    from claimkit.tenants import TenantHint
    from claimkit.types import TenantKey
    from claimkit.webhooks.payloads import EventType

__all__ = ["ENTRY_POINT_GROUP", "PluginFailure", "PluginInfo", "Plugins", "load_plugins"]

ENTRY_POINT_GROUP = "claimkit"
_BUILTINS = "builtins"
_KINDS = (
    *("readers", "payer_directories", "detectors", "renderers", "listeners", "event_types"),
    *("actions", "channels", "normalizers", "measures", "remark_codes"),
)
#: Kinds that share their names: the detector of a measure has the measure's.
_SHARED = {"measures": "detectors", "detectors": "measures"}
_SINGULAR = {"payer_directories": "payer directory", "remark_codes": "list of remark codes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One loaded plugin: what it is called, where it comes from, what it adds."""

    name: str
    #: Distribution, such as ``claimkit-x12``; ``claimkit`` for built-ins, ``""`` for a plugin that was given.
    distribution: str
    version: str
    #: Kind of object (``readers``, ``detectors``, ...) → names.
    adds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Every hook that it implements, sorted.
    hooks: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Distribution and version, for people."""
        return f"{self.distribution} {self.version}".strip() or f"{self.name} (given)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFailure:
    """One plugin that was left out, and why."""

    name: str
    distribution: str
    version: str
    error: PluginError


@dataclass(slots=True)
class _Candidate:
    """A plugin on its way in."""

    name: str
    distribution: str = ""
    version: str = ""
    requires: str = ""
    added: dict[str, dict[str, Any]] = field(default_factory=dict)

    def info(self, hooks: Iterable[str] = ()) -> PluginInfo:
        return PluginInfo(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            adds={kind: tuple(items) for kind, items in self.added.items() if items},
            hooks=tuple(sorted(hooks)),
        )

    @property
    def label(self) -> str:
        return self.info().label


class Plugins:
    """What all loaded plugins registered, by kind and name.

    Attributes:
        readers, detectors, measures, renderers, listeners, event_types, channels, actions,
            payer_directories, remark_codes: Name → object, in order of registration.
        normalizers: In the order in which they run.
        loaded: One :class:`PluginInfo` per plugin.
        failed: One :class:`PluginFailure` per plugin that was left out.
    """

    def __init__(
        self,
        manager: pluggy.PluginManager,
        candidates: Iterable[_Candidate],
        failed: Iterable[PluginFailure] = (),
    ) -> None:
        self._manager = manager
        loaded = tuple(candidates)
        self.readers: Mapping[str, ClaimReader] = _together("readers", loaded)
        self.payer_directories: Mapping[str, PayerDirectory] = _together(
            "payer_directories", loaded
        )
        self.remark_codes: Mapping[str, RemarkCodes] = _together("remark_codes", loaded)
        self.measures: Mapping[str, Measure] = _together("measures", loaded)
        self.detectors: Mapping[str, Detector] = _watching(
            _together("detectors", loaded), self.measures
        )
        self.renderers: Mapping[str, ReportRenderer] = _together("renderers", loaded)
        self.listeners: Mapping[str, Listener] = _together("listeners", loaded)
        self.event_types: Mapping[str, EventType] = _together("event_types", loaded)
        self.actions: Mapping[str, RuleAction] = _together("actions", loaded)
        self.channels: Mapping[str, Channel] = _together("channels", loaded)
        self.normalizers: tuple[Normalizer, ...] = _ordered(_together("normalizers", loaded))
        self.loaded: tuple[PluginInfo, ...] = tuple(
            one.info(_hooks_of(manager, one.name)) for one in loaded
        )
        self.failed: tuple[PluginFailure, ...] = tuple(failed)

    def open_store(self, url: str) -> Store:
        """Open the store that ``url`` names.

        Raises:
            StoreError: no plugin opens such a URL.
        """
        store: Store | None = self._manager.hook.claimkit_open_store(url=url)
        if store is None:
            scheme = url.partition(":")[0]
            raise StoreError(
                f"no plugin opens a store of kind {scheme!r}",
                remedy="Use 'sqlite:///PATH' or 'memory:', or install the plugin that opens it",
            )
        return store

    def resolve_tenant(self, hint: TenantHint) -> TenantKey | None:
        """Return the tenant that the first plugin with an opinion chooses, if it is permitted."""
        chosen: TenantKey | None = self._manager.hook.claimkit_resolve_tenant(hint=hint)
        return chosen if chosen in hint.permitted else None


def load_plugins(
    *,
    entry_points: bool = True,
    extra: Iterable[tuple[str, object]] = (),
    disabled: Iterable[str] = (),
    required: Iterable[str] = (),
    strict: bool = True,
) -> Plugins:
    """Load built-ins, installed distributions and ``extra`` plugins into registries.

    Args:
        entry_points: Whether to load distributions with an entry point in group ``claimkit``.
        extra: Name and plugin object or module, for tests and hosts.
        disabled: Names that must not load.
        required: Names that must load, whatever ``strict`` says.
        strict: Whether a plugin that cannot be loaded is an error. Otherwise it is left out as a
            whole, and told in :attr:`Plugins.failed`; the caller says so to somebody.

    Raises:
        PluginBroken: a plugin fails to import or to register, or one that is required is not there.
        PluginCollision: two plugins claim one name.
        PluginIncompatible: a plugin was made for another version of claimkit.
        ConfigError: normalizers ask for each other in a circle.
    """
    loading = _Loading(strict=strict, disabled=disabled, required=required)
    # By name: built-ins sit above the rooms and register like anyone's plugin.
    builtins = importlib.import_module("claimkit.builtins")
    loading.add(_Candidate(_BUILTINS, "claimkit", __version__), lambda: builtins)
    if entry_points:
        for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            loading.add(_installed(entry), entry.load)
    for name, plugin in extra:
        loading.add(_Candidate(name), functools.partial(_itself, plugin))
    return loading.plugins()


def _itself(plugin: object) -> object:
    return plugin


def _installed(entry: importlib.metadata.EntryPoint) -> _Candidate:
    if entry.dist is None:
        return _Candidate(entry.name, "unknown")
    requires = requirement_of(list(entry.dist.requires or ()), "claimkit")
    return _Candidate(entry.name, entry.dist.name, entry.dist.version, requires)


class _Loading:
    """Takes plugins one by one; what is wrong with one of them is that one's failure."""

    def __init__(self, *, strict: bool, disabled: Iterable[str], required: Iterable[str]) -> None:
        self._strict = strict
        self._disabled = frozenset(disabled)
        self._required = tuple(required)
        self._failed: list[PluginFailure] = []
        self._taken: dict[str, _Candidate] = {}
        self._manager = pluggy.PluginManager("claimkit")
        self._manager.add_hookspecs(hookspecs)

    def add(self, candidate: _Candidate, load: Callable[[], object]) -> None:
        if candidate.name in self._disabled:
            return
        try:
            self._check(candidate)
            self._register(candidate, load)
        except PluginError as error:
            self._leave_out(candidate, error)
        else:
            self._taken[candidate.name] = candidate

    def plugins(self) -> Plugins:
        """Return what was taken, without what waits for itself."""
        try:
            plugins = Plugins(self._manager, self._taken.values(), self._failed)
        except ConfigError as error:
            if self._strict:
                raise
            for candidate in [*self._taken.values()]:
                if candidate.name != _BUILTINS and candidate.added.get("normalizers"):
                    self._drop(candidate)
                    self._leave_out(candidate, PluginBroken(error.message))
            plugins = Plugins(self._manager, self._taken.values(), self._failed)
        for name in self._required:
            if name not in self._taken:
                raise self._missing(name)
        return plugins

    def _check(self, candidate: _Candidate) -> None:
        other = self._taken.get(candidate.name)
        if other is not None:
            raise PluginCollision(
                f"{other.label} and {candidate.label} both are plugin {candidate.name!r}"
            )
        if not allows(candidate.requires, __version__):
            raise PluginIncompatible(
                f"plugin {candidate.name!r} of {candidate.label} works with claimkit "
                f"{candidate.requires}, and this is claimkit {__version__}"
            )

    def _register(self, candidate: _Candidate, load: Callable[[], object]) -> None:
        try:
            self._manager.register(load(), name=candidate.name)
            # One by one, so that a hook that there is not is told of the plugin that has it.
            self._manager.check_pending()
            for kind in _KINDS:
                self._collect(candidate, kind)
        except PluginError:
            self._drop(candidate)
            raise
        except Exception as error:
            self._drop(candidate)
            raise PluginBroken(
                f"plugin {candidate.name!r} of {candidate.label} failed to load: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _collect(self, candidate: _Candidate, kind: str) -> None:
        items = candidate.added[kind] = {}
        caller = getattr(self._manager.hook, f"claimkit_register_{kind}")
        for impl in caller.get_hookimpls():
            if impl.plugin_name != candidate.name:
                continue
            try:
                found = [(one.name, one) for one in impl.function()]
            except Exception as error:
                # Only the class: what an object says of itself may hold a secret.
                raise PluginBroken(
                    f"plugin {candidate.name!r} of {candidate.label} failed to register its "
                    f"{kind}: {type(error).__name__}"
                ) from error
            for name, item in found:
                named = (kind, _SHARED.get(kind, kind))
                owner = next(
                    (
                        one
                        for one in (*self._taken.values(), candidate)
                        if any(name in one.added.get(each, ()) for each in named)
                    ),
                    None,
                )
                if owner is not None:
                    raise PluginCollision(
                        f"{owner.label} and {candidate.label} both register "
                        f"{_SINGULAR.get(kind, kind[:-1])} {name!r}"
                    )
                items[name] = item

    def _drop(self, candidate: _Candidate) -> None:
        self._taken.pop(candidate.name, None)
        if self._manager.has_plugin(candidate.name):
            self._manager.unregister(name=candidate.name)

    def _leave_out(self, candidate: _Candidate, error: PluginError) -> None:
        if self._strict:
            raise error
        self._failed.append(
            PluginFailure(
                name=candidate.name,
                distribution=candidate.distribution,
                version=candidate.version,
                error=error,
            )
        )

    def _missing(self, name: str) -> PluginError:
        for one in self._failed:
            if one.name == name:
                return one.error
        why = "disabled" if name in self._disabled else "not installed"
        return PluginBroken(
            f"plugin {name!r} is required and {why}",
            remedy="Install it, or take it from the required ones",
        )


def _hooks_of(manager: pluggy.PluginManager, name: str) -> list[str]:
    callers = manager.get_hookcallers(manager.get_plugin(name)) or ()
    return [one.name for one in callers]


def _together(kind: str, candidates: Iterable[_Candidate]) -> Mapping[str, Any]:
    return MappingProxyType(
        {name: item for one in candidates for name, item in one.added[kind].items()}
    )


def _watching(
    detectors: Mapping[str, Detector], measures: Mapping[str, Measure]
) -> Mapping[str, Detector]:
    """Return the detectors, and one for each measure under the measure's name."""
    # By name, like the built-ins themselves: they sit above the rooms.
    made = importlib.import_module("claimkit.builtins").detectors_of(measures.values())
    return MappingProxyType({**detectors, **{one.name: one for one in made}})


def _ordered(normalizers: Mapping[str, Normalizer]) -> tuple[Normalizer, ...]:
    graph = {
        name: [before for before in one.after if before in normalizers]
        for name, one in normalizers.items()
    }
    try:
        order = tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise ConfigError(
            f"normalizers wait for each other in a circle: {' -> '.join(error.args[1])}"
        ) from None
    return tuple(normalizers[name] for name in order)
