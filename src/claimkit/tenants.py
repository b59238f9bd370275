"""Whose data is in hand: the tenant, its roles, and the scope that work runs in.

Hides how the current tenant travels: a context variable, so that threads, coroutines and tasks
never see each other's tenant. Nothing falls back to "all tenants".
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from claimkit.errors import ConfigError, TenantRequired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.types import TenantKey

__all__ = [
    "Role",
    "Tenant",
    "TenantDirectory",
    "TenantHint",
    "current_tenant",
    "in_tenant",
    "use_tenant",
]

_current: ContextVar[TenantKey | None] = ContextVar("claimkit_tenant", default=None)


class Role(StrEnum):
    """What a member may do, from least to most.

    Viewers read; analysts also upload and edit mappings; admins also manage people, rules,
    channels, endpoints and schedules; owners also manage owners, and let endpoints of webhooks
    hear payer and money.
    """

    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"
    OWNER = "owner"

    def includes(self, other: Role) -> bool:
        """Whether this role may do all that ``other`` may do.

        >>> Role.ADMIN.includes(Role.ANALYST), Role.VIEWER.includes(Role.ANALYST)
        (True, False)
        """
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An organization whose claims are kept apart from everyone else's.

    Raises:
        ConfigError: the key is empty or the time zone is unknown.
    """

    key: TenantKey
    name: str
    #: IANA name, such as ``America/New_York``; quiet hours and schedules follow it.
    timezone: str = "UTC"
    active: bool = True

    def __post_init__(self) -> None:
        if not self.key:
            raise ConfigError("a tenant needs a key")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ConfigError(
                f"unknown time zone {self.timezone!r}",
                remedy="Use an IANA name such as 'America/New_York'",
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantHint:
    """What is known about a caller before a tenant is chosen; never a request object."""

    #: Stable key of the authenticated person or token, empty when anonymous.
    actor: str = ""
    #: Tenant keys that the actor may enter.
    permitted: tuple[TenantKey, ...] = ()
    #: What the caller asked for (a header, a sub-domain, a command's ``--tenant``).
    wanted: str = ""


class TenantDirectory(Protocol):
    """Where tenants are kept."""

    def find(self, key: TenantKey) -> Tenant | None:
        """Return the tenant called ``key``, or None."""
        ...


def current_tenant() -> TenantKey:
    """Return the tenant in scope.

    Raises:
        TenantRequired: no tenant is in scope.
    """
    key = _current.get()
    if key is None:
        raise TenantRequired("no tenant is in scope")
    return key


def in_tenant() -> bool:
    """Whether any tenant is in scope."""
    return _current.get() is not None


@contextmanager
def use_tenant(key: TenantKey) -> Iterator[TenantKey]:
    """Run the block in the scope of tenant ``key``; scopes nest, the innermost wins.

    Raises:
        TenantRequired: ``key`` is empty.
    """
    if not key:
        raise TenantRequired("an empty tenant key is no scope")
    token = _current.set(key)
    try:
        yield key
    finally:
        _current.reset(token)
