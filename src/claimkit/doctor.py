"""Checks that an installation works, by doing what it is for on a small scale."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from claimkit.errors import ClaimkitError
from claimkit.plugins import Plugins, load_plugins
from claimkit.types import TenantKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Diagnosis", "examine"]

#: A tenant that no one has; the store is only asked for it.
_NOBODY = TenantKey("claimkit-doctor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The outcome of one check."""

    name: str
    ok: bool
    detail: str


def examine(*, store_url: str = "memory:", disabled: Iterable[str] = ()) -> list[Diagnosis]:
    """Check Python, numpy, plugins, the default detectors and a store; never raises.

    Args:
        store_url: Store to try.
        disabled: Names of plugins that are left out.
    """
    blocked = set(disabled)
    results = [
        _try("python", platform.python_version),
        _try("numpy", lambda: np.__version__),
        _try("plugins", lambda: _plugins(blocked)),
    ]
    if all(one.ok for one in results):
        plugins = load_plugins(disabled=blocked)
        results.append(_try("readers", lambda: ", ".join(plugins.readers)))
        results.append(_try("detectors", lambda: _detectors(plugins)))
        results.append(_try("store", lambda: _store(plugins, store_url)))
    return results


def _try(name: str, check: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(name=name, ok=True, detail=check())
    except (ClaimkitError, OSError) as error:
        return Diagnosis(name=name, ok=False, detail=str(error))


def _plugins(disabled: set[str]) -> str:
    loaded = load_plugins(disabled=disabled).loaded
    return ", ".join(f"{one.name} ({one.label})" for one in loaded)


def _detectors(plugins: Plugins) -> str:
    if not plugins.detectors:
        raise ClaimkitError("no detector is registered", remedy="Is 'builtins' disabled?")
    return ", ".join(plugins.detectors)


def _store(plugins: Plugins, url: str) -> str:
    store = plugins.open_store(url)
    try:
        with store.atomic():
            store.claims.totals(_NOBODY)
    finally:
        store.close()
    return f"{url.partition(':')[0]} opens and answers"
