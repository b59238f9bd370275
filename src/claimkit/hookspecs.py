"""The one page a plugin author reads: every hook, who calls it and when.

Hooks register objects, services call objects: each hook below is called once, by
:func:`claimkit.plugins.load_plugins`, and what it returns is what the rest of claimkit works with.
Arguments and results are plain values; a plugin behaves the same in Django, on the command line
and in tests. Implement a hook with ``@claimkit.hookimpl`` in a module that your distribution
names in the entry-point group ``claimkit``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

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

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("claimkit")
#: Marks a function as an implementation of a claimkit hook.
hookimpl = pluggy.HookimplMarker("claimkit")


@hookspec
def claimkit_register_readers() -> Iterable[ClaimReader]:
    """Return readers for file formats.

    Called once when plugins load. ``claims.intake`` shows each reader the head of a file and
    lets the surest one read it. Reader names must be unique.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_normalizers() -> Iterable[Normalizer]:
    """Return normalizers, which clean each batch between reader and store.

    Called once when plugins load; ordered by each normalizer's ``after``. Names must be unique.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_payer_directories() -> Iterable[PayerDirectory]:
    """Return directories of payers, from which names are suggested; names must be unique.

    Called once when plugins load. A directory never renames a claim by itself.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_remark_codes() -> Iterable[RemarkCodes]:
    """Return lists of remark codes (RARC) with the category of each; names must be unique.

    Called once when plugins load. Shown beside the denials of a finding; a remark decides nothing.
    Where two lists know a code, the list that was registered first names its category.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_detectors() -> Iterable[Detector]:
    """Return drift detectors. ``drift.watch`` runs those that the settings name.

    Called once when plugins load. Names must be unique.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_measures() -> Iterable[Measure]:
    """Return measures: one number for each claim, kept in the cube and watched like the built-in ones.

    Called once when plugins load. A measure's name is also that of the detector that watches it, which
    ``DRIFT.DETECTORS`` chooses; it must be unique among both. Rebuild the cube after adding one.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_renderers() -> Iterable[ReportRenderer]:
    """Return report renderers, one per output format. Names must be unique.

    Called once when plugins load; used by ``reports.compose`` callers and the command line.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_listeners() -> Iterable[Listener]:
    """Return listeners for events; each says its topics and its phase.

    Called once when plugins load. Names must be unique.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_event_types() -> Iterable[EventType]:
    """Return event types of webhooks: what receivers are told of events of yours.

    Called once when plugins load. The name is the event's topic and must be unique. Nothing about
    a patient may be in them, in either form.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_channels() -> Iterable[Channel]:
    """Return kinds of channels by which people are told of alerts. Names must be unique.

    Called once when plugins load. A worker gives each use of a channel its own settings and calls
    it from threads; it returns what happened and raises for nothing that a receiver does.

    .. versionadded:: 0.1
    """
    return ()


@hookspec
def claimkit_register_actions() -> Iterable[RuleAction]:
    """Return actions that rules of automation can take. Names must be unique.

    Called once when plugins load. An action is quick and pure: it returns events to be told and work for
    people, and says which topics follow from it, so that no rule triggers itself.

    .. versionadded:: 0.1
    """
    return ()


@hookspec(firstresult=True)
def claimkit_open_store(url: str) -> Store | None:
    """Open the store that ``url`` names, or return None to let another plugin try.

    Called by the command line for ``--store``. Built in: ``memory:`` and ``sqlite:///path``.

    Args:
        url: Scheme and location, such as ``sqlite:///claims.db``.

    .. versionadded:: 0.1
    """


@hookspec(firstresult=True)
def claimkit_resolve_tenant(hint: TenantHint) -> TenantKey | None:
    """Choose the tenant for a caller, or return None to let another plugin choose.

    Called by Django's tenant middleware and by API authentication, once per request, with what
    is known of the caller. The answer must be one of ``hint.permitted``; anything else is refused.

    .. versionadded:: 0.1
    """
