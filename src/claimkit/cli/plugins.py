"""``claimkit plugins``: what is loaded, from where, what it adds, and what could not be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.cli.terminal import error_row, one_line, print_json
from claimkit.plugins import load_plugins

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator

    from claimkit.config import PluginsConfig
    from claimkit.plugins import PluginFailure, PluginInfo

__all__ = ["show_plugins"]

_REGISTERS = "claimkit_register_"


def show_plugins(
    arguments: argparse.Namespace, config: PluginsConfig, disabled: Collection[str]
) -> int:
    """Print every plugin and return 1 if one of them failed."""
    plugins = load_plugins(disabled=disabled, required=config.required, strict=False)
    if arguments.format == "json":
        for one in plugins.loaded:
            print_json(_loaded_row(one))
        for failure in plugins.failed:
            print_json(_failed_row(failure))
    else:
        for one in plugins.loaded:
            print("\n".join(_loaded_text(one)))
        for failure in plugins.failed:
            label = f"{failure.distribution} {failure.version}".strip()
            print(f"{failure.name}  ({label})\n  FAILED  {one_line(failure.error)}")
        for name in sorted(disabled):
            print(f"{name}\n  disabled")
    return 1 if plugins.failed else 0


def _loaded_row(one: PluginInfo) -> dict[str, object]:
    return {
        "plugin": one.name,
        "distribution": one.distribution,
        "version": one.version,
        "status": "loaded",
        "adds": {kind: list(names) for kind, names in one.adds.items()},
        "hooks": list(one.hooks),
    }


def _failed_row(one: PluginFailure) -> dict[str, object]:
    return {
        "plugin": one.name,
        "distribution": one.distribution,
        "version": one.version,
        "status": "failed",
        "error": error_row(one.error),
    }


def _loaded_text(one: PluginInfo) -> Iterator[str]:
    yield f"{one.name}  ({one.label})"
    # What registers nothing by name is told as the hook that it is.
    told = {kind.replace("_", " "): ", ".join(names) for kind, names in one.adds.items()}
    others = [hook for hook in one.hooks if not hook.startswith(_REGISTERS)]
    if others:
        told["hooks"] = ", ".join(others)
    width = max(map(len, told), default=0)
    for kind, names in told.items():
        yield f"  {kind:<{width}}  {names}"
