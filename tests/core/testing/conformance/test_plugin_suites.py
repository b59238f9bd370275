"""What is built in passes the suites that plugin authors run."""

from __future__ import annotations

import datetime as dt

import pytest

from claimkit import builtins
from claimkit.automation.actions import builtin_actions
from claimkit.claims.normalize import builtin_normalizers
from claimkit.claims.payers import FederalPrograms
from claimkit.drift.watch import CubeUpkeep
from claimkit.events import ClaimsChanged, ClaimsImported, DriftDetected, EndpointDisabled
from claimkit.stores.memory import MemoryStore
from claimkit.testing.conformance import (
    ActionConformance,
    EventTypeConformance,
    ListenerConformance,
    NormalizerConformance,
    PayerDirectoryConformance,
    RendererConformance,
    TenantChoiceConformance,
)
from claimkit.types import TenantKey
from claimkit.webhooks.payloads import builtin_event_types

TOLD = {"tenant": TenantKey("northside"), "at": dt.datetime(2026, 3, 20, 6, 30, tzinfo=dt.UTC)}
SETTINGS = {
    "open_alert": {"severity": "high"},
    "create_task": {"text": "Call Meridian", "due_days": 3},
    "tag_finding": {"text": "meridian"},
    "hold_for_review": {"text": "Look at it first", "due_days": 1},
    "call_webhook": {"label": "fantasio"},
    "request_reauthorization": {"due_days": 3},
    "appeal_packet": {"due_days": 14},
}
EVENTS = {
    "claims.imported": ClaimsImported(
        **TOLD, upload="upl_gaston", new=412, changed=7, same=0, rejected=3
    ),
    "drift.detected": DriftDetected(
        **TOLD,
        finding="fnd_marsupilami",
        signal="denial_rate",
        severity="high",
        payer="MERIDIAN OF OHIO",
        summary="MERIDIAN OF OHIO denies 17 % of claims",
        onset=dt.date(2026, 3, 2),
        dollars_per_month=1_825_000,
    ),
    "webhooks.endpoint_disabled": EndpointDisabled(**TOLD, endpoint="whe_spip", reason="gone"),
}


@pytest.mark.parametrize("normalizer", builtin_normalizers(), ids=lambda one: one.name)
class TestNormalizers(NormalizerConformance):
    pass


@pytest.mark.parametrize(
    "renderer",
    [one for one in builtins.claimkit_register_renderers() if one.name not in {"pdf", "xlsx"}],
    ids=lambda one: one.name,
)
class TestRenderers(RendererConformance):
    pass


class TestXlsx(RendererConformance):
    @pytest.fixture
    def renderer(self):
        pytest.importorskip("xlsxwriter")
        return next(one for one in builtins.claimkit_register_renderers() if one.name == "xlsx")


@pytest.mark.slow
class TestPdf(RendererConformance):
    is_reproducible = False

    @pytest.fixture
    def renderer(self):
        pytest.importorskip("weasyprint")
        return next(one for one in builtins.claimkit_register_renderers() if one.name == "pdf")


@pytest.mark.parametrize("action", builtin_actions(), ids=lambda one: one.name)
class TestActions(ActionConformance):
    @pytest.fixture
    def settings(self, action):
        return SETTINGS[action.name]


class TestFederalPrograms(PayerDirectoryConformance):
    @pytest.fixture
    def directory(self):
        return FederalPrograms()


class TestCubeUpkeep(ListenerConformance):
    @pytest.fixture
    def listener(self):
        return CubeUpkeep(MemoryStore().cube)

    @pytest.fixture
    def events(self):
        return [ClaimsChanged(**TOLD, changes=(), known_day=20_500)]


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda one: one.topic)
class TestEventTypes(EventTypeConformance):
    @pytest.fixture
    def event_type(self, event):
        return next(one for one in builtin_event_types() if one.name == event.topic)


class TestBuiltInChoice(TenantChoiceConformance):
    @pytest.fixture
    def resolve(self):
        return builtins.claimkit_resolve_tenant
