"""The whole error tree; every class has a stable code, a public message and a remedy.

::

    ClaimkitError
    ├── ConfigError            (ValueError)   configuration that cannot be used
    ├── UnknownName            (LookupError)  a name that nobody registered
    ├── PluginError            (RuntimeError)
    │   ├── PluginBroken                      a plugin that failed to load
    │   ├── PluginCollision                   two plugins that claim one name
    │   └── PluginIncompatible                a plugin made for another version of claimkit
    ├── TenantRequired         (RuntimeError) tenant data touched outside a tenant scope
    ├── TenantUnknown          (LookupError)  a tenant that does not exist or is not active
    ├── TenantForbidden        (PermissionError) one tenant reaching for another tenant's data
    ├── InvalidWindow          (ValueError)   a window of days that is empty or reversed
    ├── InvalidMoney           (ValueError)   text that is not an exact amount
    ├── FileRefused            (ValueError)   a file that cannot be read as claims at all
    ├── FindingUnknown         (LookupError)  a finding that does not exist or is not open
    ├── AlertConflict          (ValueError)   an alert that is not in the state that an act needs
    ├── AuthorizationInvalid   (ValueError)   an authorization that no payer can have given
    ├── ApprovalConflict       (ValueError)   something that waited for a person and waits no more
    ├── RuleInvalid            (ValueError)   a rule of automation that cannot be used
    ├── VerificationError      (ValueError)   a received webhook that must not be trusted
    ├── InvalidSigningKey      (ValueError)   text or bytes that are no key for webhooks
    ├── InvalidTarget          (ValueError)   an address that webhooks may not be sent to
    ├── InvalidPayload         (ValueError)   a webhook that cannot be made of an event
    ├── MappingRefused         (ValueError)   rules for names that contradict each other
    └── StoreError             (RuntimeError) a store that cannot do what was asked

Bad *rows* are values (:class:`claimkit.claims.model.RowProblem`), bad *use* is one of these
exceptions. Messages are public: they never carry patient data, secrets or file contents.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AlertConflict",
    "ApprovalConflict",
    "AuthorizationInvalid",
    "ClaimkitError",
    "ConfigError",
    "FileRefused",
    "FindingUnknown",
    "InvalidMoney",
    "InvalidPayload",
    "InvalidSigningKey",
    "InvalidTarget",
    "InvalidWindow",
    "MappingRefused",
    "PluginBroken",
    "PluginCollision",
    "PluginError",
    "PluginIncompatible",
    "RuleInvalid",
    "StoreError",
    "TenantForbidden",
    "TenantRequired",
    "TenantUnknown",
    "UnknownName",
    "VerificationError",
    "did_you_mean",
]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or an empty string.

    >>> did_you_mean("denail_rate", ["denial_rate", "volume"])
    "; did you mean 'denial_rate'?"
    >>> did_you_mean("zzz", ["denial_rate"])
    ''
    """
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


class ClaimkitError(Exception):
    """Root of every error that claimkit raises on purpose.

    Args:
        message: What happened and what was expected; public, without identifiers.
        remedy: What the reader can do about it; falls back to the class's own remedy.
        code: Stable machine name for the case; falls back to the class's own code.
    """

    #: Stable, documented, snake_case.
    code: str = "claimkit_error"
    #: What to do when the raiser knows nothing better.
    remedy: str = ""

    def __init__(self, message: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        if remedy:
            self.remedy = remedy
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


class ConfigError(ClaimkitError, ValueError):
    """Configuration that cannot be used: an unknown key, a wrong type, a value out of range."""

    code = "config_invalid"


class UnknownName(ClaimkitError, LookupError):
    """A name that nothing registered.

    >>> str(UnknownName.of("reader", "x21", ["x12", "csv"]))
    "unknown reader 'x21'; did you mean 'x12'?"
    """

    code = "unknown_name"

    @classmethod
    def of(cls, what: str, name: str, known: Iterable[str]) -> UnknownName:
        """Build the error for ``name``, naming the nearest of the ``known`` names."""
        return cls(f"unknown {what} {name!r}{did_you_mean(name, known)}")


class PluginError(ClaimkitError, RuntimeError):
    """Something is wrong with a plugin."""

    code = "plugin_error"


class PluginBroken(PluginError):
    """A plugin failed to import or to register; the message names its distribution."""

    code = "plugin_broken"
    remedy = "Upgrade or uninstall it, or block it by name with disabled=[...]"


class PluginCollision(PluginError):
    """Two plugins registered the same name; the message names both distributions."""

    code = "plugin_collision"
    remedy = "Block one of the two by name with disabled=[...]"


class PluginIncompatible(PluginError):
    """A plugin says that it works with other versions of claimkit than this one."""

    code = "plugin_incompatible"
    remedy = "Upgrade the plugin, or install a claimkit that it works with"


class TenantRequired(ClaimkitError, RuntimeError):
    """Tenant data was touched while no tenant was in scope; claimkit never guesses one."""

    code = "tenant_required"
    remedy = "Enter use_tenant(key) first"


class TenantUnknown(ClaimkitError, LookupError):
    """A tenant that does not exist, or is not active."""

    code = "tenant_unknown"


class TenantForbidden(ClaimkitError, PermissionError):
    """Work in one tenant's scope reached for another tenant's data."""

    code = "tenant_forbidden"


class InvalidWindow(ClaimkitError, ValueError):
    """A window of days that is empty, reversed, or longer than the caller allows."""

    code = "window_invalid"


class InvalidMoney(ClaimkitError, ValueError):
    """Text that is not an exact, finite amount with at most two decimals."""

    code = "money_invalid"


class FileRefused(ClaimkitError, ValueError):
    """A file that cannot be read as claims at all; nothing of it was imported."""

    code = "file_refused"


class FindingUnknown(ClaimkitError, LookupError):
    """A finding that does not exist, or is not open any more."""

    code = "finding_unknown"
    remedy = "Take the fingerprint of an open finding"


class AlertConflict(ClaimkitError, ValueError):
    """An alert that is not in the state that an act needs."""

    code = "alert_conflict"
    remedy = "Look at the alert again; somebody was faster"


class AuthorizationInvalid(ClaimkitError, ValueError):
    """An authorization that no payer can have given: a reversed period, negative or absurd units."""

    code = "authorization_invalid"


class ApprovalConflict(ClaimkitError, ValueError):
    """Something that waited for a person and waits no more."""

    code = "approval_conflict"
    remedy = "Look at it again; somebody was faster"


class RuleInvalid(ClaimkitError, ValueError):
    """A rule of automation that cannot be used: it never holds, compares what cannot be compared, or triggers itself."""

    code = "rule_invalid"


class MappingRefused(ClaimkitError, ValueError):
    """Rules for payers or procedure groups that cannot be used: two disagree, or go in a circle."""

    code = "mapping_invalid"


class StoreError(ClaimkitError, RuntimeError):
    """A store that cannot be opened or cannot do what was asked."""

    code = "store_error"


class VerificationError(ClaimkitError, ValueError):
    """A received webhook that must not be trusted; answer 401 and do nothing else."""

    code = "webhook_unverified"


class InvalidSigningKey(ClaimkitError, ValueError):
    """Text or bytes that are no signing key, or a key too weak to sign with."""

    code = "signing_key_invalid"


class InvalidTarget(ClaimkitError, ValueError):
    """An address or header that webhooks may not be sent to or with."""

    code = "target_invalid"


class InvalidPayload(ClaimkitError, ValueError):
    """An event that no webhook can be made of: no such type, or too large."""

    code = "payload_invalid"
