"""Loads plugins, explicitly, into typed registries; importing claimkit loads nothing.

Hides pluggy: the rest of claimkit sees mappings from names to objects.
"""

from __future__ import annotations

import graphlib
import importlib
import importlib.metadata
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pluggy

from claimkit import hookspecs
from claimkit.errors import ConfigError, PluginBroken, PluginCollision, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from claimkit.alerts.channels import Channel
    from claimkit.automation.actions import RuleAction
    from claimkit.claims.normalize import Normalizer
    from claimkit.claims.payers import PayerDirectory
    from claimkit.claims.readers import ClaimReader
    from claimkit.drift.detectors import Detector
    from claimkit.events import Listener
    from claimkit.reports.renderers import ReportRenderer
    from claimkit.stores import Store
    from claimkit.tenants import TenantHint
    from claimkit.types import TenantKey
    from claimkit.webhooks.payloads import EventType

__all__ = ["ENTRY_POINT_GROUP", "PluginInfo", "Plugins", "load_plugins"]

ENTRY_POINT_GROUP = "claimkit"


_SINGULAR = {"payer_directories": "payer directory"}


class _Named(Protocol):
    name: str


_T = TypeVar("_T", bound=_Named)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One loaded plugin: what it is called, where it comes from, what it adds."""

    name: str
    #: Distribution and version, such as ``claimkit-x12 0.1.0``; ``claimkit`` for built-ins.
    distribution: str
    #: Kind of object (``readers``, ``detectors``, ...) → names.
    adds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Plugins:
    """What all loaded plugins registered, by kind and name.

    Attributes:
        readers, detectors, renderers, listeners, event_types, channels, actions,
            payer_directories: Name → object, in order of registration.
        normalizers: In the order in which they run.
        loaded: One :class:`PluginInfo` per plugin.
    """

    def __init__(self, manager: pluggy.PluginManager, distributions: Mapping[str, str]) -> None:
        self._manager = manager
        self._distributions = distributions
        self._adds: dict[str, dict[str, tuple[str, ...]]] = {}
        hook = manager.hook
        self.readers: Mapping[str, ClaimReader] = self._collect("readers", hook)
        self.payer_directories: Mapping[str, PayerDirectory] = self._collect(
            "payer_directories", hook
        )
        self.detectors: Mapping[str, Detector] = self._collect("detectors", hook)
        self.renderers: Mapping[str, ReportRenderer] = self._collect("renderers", hook)
        self.listeners: Mapping[str, Listener] = self._collect("listeners", hook)
        self.event_types: Mapping[str, EventType] = self._collect("event_types", hook)
        self.actions: Mapping[str, RuleAction] = self._collect("actions", hook)
        self.channels: Mapping[str, Channel] = self._collect("channels", hook)
        self.normalizers: tuple[Normalizer, ...] = _ordered(self._collect("normalizers", hook))
        self.loaded: tuple[PluginInfo, ...] = tuple(
            PluginInfo(
                name=name, distribution=self._distribution(name), adds=self._adds.get(name, {})
            )
            for name, plugin in manager.list_name_plugin()
            if plugin is not None
        )

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

    def _distribution(self, name: str) -> str:
        return self._distributions.get(name, "claimkit")

    def _collect(self, what: str, hook: Any) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        owner: dict[str, str] = {}
        caller = getattr(hook, f"claimkit_register_{what}")
        for impl in caller.get_hookimpls():
            plugin = impl.plugin_name
            for item in self._call(impl.function, plugin, what):
                name = item.name
                if name in found:
                    raise PluginCollision(
                        f"{self._distribution(owner[name])} and {self._distribution(plugin)} "
                        f"both register {_SINGULAR.get(what, what[:-1])} {name!r}"
                    )
                found[name], owner[name] = item, plugin
        for name, plugin in owner.items():
            kinds = self._adds.setdefault(plugin, {})
            kinds[what] = (*kinds.get(what, ()), name)
        return MappingProxyType(found)

    def _call(self, function: Callable[[], Iterable[_T]], plugin: str, what: str) -> tuple[_T, ...]:
        try:
            return tuple(function())
        except Exception as error:
            raise PluginBroken(
                f"plugin {plugin!r} of {self._distribution(plugin)} failed to register its {what}: "
                f"{type(error).__name__}"
            ) from error


def load_plugins(
    *,
    entry_points: bool = True,
    extra: Iterable[tuple[str, object]] = (),
    disabled: Iterable[str] = (),
) -> Plugins:
    """Load built-ins, installed distributions and ``extra`` plugins into registries.

    Args:
        entry_points: Whether to load distributions with an entry point in group ``claimkit``.
        extra: Name and plugin object or module, for tests and hosts.
        disabled: Names that must not load.

    Raises:
        PluginBroken: a plugin fails to import or to register.
        PluginCollision: two plugins claim one name.
        ConfigError: normalizers ask for each other in a circle.
    """
    manager = pluggy.PluginManager("claimkit")
    manager.add_hookspecs(hookspecs)
    distributions: dict[str, str] = {}
    blocked = set(disabled)
    for name in blocked:
        manager.set_blocked(name)
    # By name: built-ins sit above the rooms and register like anyone's plugin.
    manager.register(importlib.import_module("claimkit.builtins"), name="builtins")
    if entry_points:
        for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            if entry.name in blocked:
                continue
            label = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"
            if manager.has_plugin(entry.name):
                raise PluginCollision(
                    f"{distributions.get(entry.name, 'claimkit')} and {label} both are plugin {entry.name!r}"
                )
            try:
                plugin = entry.load()
                manager.register(plugin, name=entry.name)
            except Exception as error:
                raise PluginBroken(
                    f"plugin {entry.name!r} of {label} failed to load: {type(error).__name__}: {error}"
                ) from error
            distributions[entry.name] = label
    for name, plugin in extra:
        if name in blocked:
            continue
        if manager.has_plugin(name):
            raise PluginCollision(f"two plugins are called {name!r}")
        manager.register(plugin, name=name)
        distributions[name] = f"{name} (given)"
    manager.check_pending()
    return Plugins(manager, distributions)


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
