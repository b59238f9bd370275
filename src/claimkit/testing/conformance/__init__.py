# ruff: noqa: E402 - see register_assert_rewrite
"""What everything that a plugin can add must do: test classes for whoever writes one.

Subclass the suite in your own tests and give it your store::

    from claimkit.testing.conformance import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self, tmp_path):
            store = MyStore(tmp_path / "claims.db")
            yield store
            store.close()

:class:`StoreConformance` is all of it. :class:`ClaimStoreConformance`, :class:`CubeStoreConformance` and
:class:`FindingLogConformance` are its parts, for stores that are not finished. Three fixtures may be
overridden beside ``store``:

``make_tenant``
    Returns the key of a tenant that no test has used; override it where tenants must exist.
``connect``
    Opens the same store once more, as another thread or process would; without it the tests of
    concurrent writers are skipped.
``cube_tables``
    The cube tables to try; the built-in ones if not overridden.

:class:`OutboxConformance` is for outboxes, which are no part of a store; it says what it needs.
:class:`HttpChannelConformance` is for channels of alerts that tell by HTTP, :class:`ChannelConformance`
for all others; both take one fixture, ``use``, which returns a :class:`ChannelUse`.
:class:`ReaderConformance` is for readers of files; it takes the reader and a few files of its own.
:class:`NormalizerConformance`, :class:`RendererConformance`, :class:`ActionConformance`,
:class:`PayerDirectoryConformance`, :class:`RemarkCodesConformance`, :class:`ListenerConformance`,
:class:`EventTypeConformance` and :class:`TenantChoiceConformance` are for what the other hooks register; each says which fixtures it takes.
:class:`MeasureConformance` is for measures, :class:`DetectorConformance` for detectors of drift, which
takes the claims of :mod:`claimkit.testing.cubes`, changed so that there is something to find.

The oracle is :class:`claimkit.stores.memory.MemoryStore`: the same claims must give the same
positions, history, lines, totals, facts and cells. The suite needs pytest and Hypothesis.
"""

from __future__ import annotations

import pytest

# Before the suites are imported, so that their bare assertions explain themselves.
pytest.register_assert_rewrite(
    "claimkit.testing.conformance.actions",
    "claimkit.testing.conformance.channels",
    "claimkit.testing.conformance.choices",
    "claimkit.testing.conformance.claims",
    "claimkit.testing.conformance.cube",
    "claimkit.testing.conformance.detectors",
    "claimkit.testing.conformance.directories",
    "claimkit.testing.conformance.events",
    "claimkit.testing.conformance.findings",
    "claimkit.testing.conformance.measures",
    "claimkit.testing.conformance.normalizers",
    "claimkit.testing.conformance.outbox",
    "claimkit.testing.conformance.readers",
    "claimkit.testing.conformance.remarks",
    "claimkit.testing.conformance.renderers",
    "claimkit.testing.conformance.store",
)

from claimkit.testing.conformance.actions import ActionConformance
from claimkit.testing.conformance.channels import (
    ChannelConformance,
    ChannelUse,
    HttpChannelConformance,
)
from claimkit.testing.conformance.choices import TenantChoiceConformance
from claimkit.testing.conformance.claims import ClaimStoreConformance
from claimkit.testing.conformance.cube import CubeStoreConformance
from claimkit.testing.conformance.detectors import DetectorConformance
from claimkit.testing.conformance.directories import PayerDirectoryConformance
from claimkit.testing.conformance.events import EventTypeConformance, ListenerConformance
from claimkit.testing.conformance.findings import FindingLogConformance
from claimkit.testing.conformance.measures import MeasureConformance
from claimkit.testing.conformance.normalizers import NormalizerConformance
from claimkit.testing.conformance.outbox import OutboxConformance
from claimkit.testing.conformance.readers import ReaderConformance
from claimkit.testing.conformance.remarks import RemarkCodesConformance
from claimkit.testing.conformance.renderers import RendererConformance
from claimkit.testing.conformance.store import StoreConformance

__all__ = [
    "ActionConformance",
    "ChannelConformance",
    "ChannelUse",
    "ClaimStoreConformance",
    "CubeStoreConformance",
    "DetectorConformance",
    "EventTypeConformance",
    "FindingLogConformance",
    "HttpChannelConformance",
    "ListenerConformance",
    "MeasureConformance",
    "NormalizerConformance",
    "OutboxConformance",
    "PayerDirectoryConformance",
    "ReaderConformance",
    "RemarkCodesConformance",
    "RendererConformance",
    "StoreConformance",
    "TenantChoiceConformance",
]
