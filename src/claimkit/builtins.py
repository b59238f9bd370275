"""What claimkit itself registers, through the same hooks as any plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from claimkit.tenants import TenantHint
    from claimkit.types import TenantKey


@hookimpl(trylast=True)
def claimkit_resolve_tenant(hint: TenantHint) -> TenantKey | None:
    """Choose what was asked for, or the only tenant there is; never guess among several."""
    if hint.wanted:
        return next((key for key in hint.permitted if key == hint.wanted), None)
    return hint.permitted[0] if len(hint.permitted) == 1 else None
