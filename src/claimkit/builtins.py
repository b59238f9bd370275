"""What claimkit itself registers, through the same hooks as any plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.alerts.channels import LogChannel
from claimkit.automation.actions import builtin_actions
from claimkit.claims.csv import CsvReader
from claimkit.claims.normalize import builtin_normalizers
from claimkit.claims.payers import FederalPrograms
from claimkit.drift.contracts import ContractMeasure
from claimkit.drift.findings import Signal
from claimkit.drift.lattice import LatticeDetector
from claimkit.drift.measured import MeasureDetector
from claimkit.drift.measures import PartialPayments
from claimkit.drift.payments import PaymentDetector
from claimkit.drift.threshold import ThresholdDetector
from claimkit.drift.volume import VolumeDetector
from claimkit.hookspecs import hookimpl
from claimkit.reports.pdf import PdfRenderer
from claimkit.reports.renderers import (
    CsvRenderer,
    HtmlRenderer,
    JsonRenderer,
    MarkdownRenderer,
)
from claimkit.reports.xlsx import XlsxRenderer
from claimkit.stores.memory import MemoryStore
from claimkit.stores.sqlite import SqliteStore
from claimkit.webhooks.payloads import builtin_event_types

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claimkit.alerts.channels import Channel
    from claimkit.automation.actions import RuleAction
    from claimkit.claims.normalize import Normalizer
    from claimkit.claims.payers import PayerDirectory
    from claimkit.claims.readers import ClaimReader
    from claimkit.drift.detectors import Detector
    from claimkit.drift.measures import Measure
    from claimkit.reports.renderers import ReportRenderer
    from claimkit.stores import Store
    from claimkit.tenants import TenantHint
    from claimkit.types import TenantKey
    from claimkit.webhooks.payloads import EventType


@hookimpl
def claimkit_register_readers() -> Iterable[ClaimReader]:
    """Return the CSV reader."""
    return (CsvReader(),)


@hookimpl
def claimkit_register_normalizers() -> Iterable[Normalizer]:
    """Return the normalizers that every claim passes."""
    return builtin_normalizers()


@hookimpl
def claimkit_register_payer_directories() -> Iterable[PayerDirectory]:
    """Return the federal programs."""
    return (FederalPrograms(),)


@hookimpl
def claimkit_register_detectors() -> Iterable[Detector]:
    """Return the detectors of denials and money, volume, payments and contracts, and the threshold rule."""
    return (
        LatticeDetector(),
        VolumeDetector(),
        PaymentDetector(),
        # Only the rates are a tenant's own: they count where claims become cells.
        MeasureDetector(ContractMeasure(), signal=Signal.UNDERPAYMENT),
        ThresholdDetector(),
    )


@hookimpl
def claimkit_register_measures() -> Iterable[Measure]:
    """Return how often payers pay a claim only in part."""
    return (PartialPayments(),)


def detectors_of(measures: Iterable[Measure]) -> Iterable[Detector]:
    """Return the detector of each measure, by which all plugins' measures are watched."""
    return [MeasureDetector(one) for one in measures]


@hookimpl
def claimkit_register_renderers() -> Iterable[ReportRenderer]:
    """Return the formats of claimkit itself."""
    return (
        HtmlRenderer(),
        JsonRenderer(),
        MarkdownRenderer(),
        PdfRenderer(),
        XlsxRenderer(),
        CsvRenderer(),
    )


@hookimpl
def claimkit_register_channels() -> Iterable[Channel]:
    """Return the log."""
    return (LogChannel(),)


@hookimpl
def claimkit_register_actions() -> Iterable[RuleAction]:
    """Return the actions that leave work for people or tell others."""
    return builtin_actions()


@hookimpl
def claimkit_register_event_types() -> Iterable[EventType]:
    """Return the event types of claims, drift and webhooks."""
    return builtin_event_types()


@hookimpl(trylast=True)
def claimkit_open_store(url: str) -> Store | None:
    """Open ``memory:`` and ``sqlite:///path``."""
    if url == "memory:":
        return MemoryStore()
    if url.startswith("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    return None


@hookimpl(trylast=True)
def claimkit_resolve_tenant(hint: TenantHint) -> TenantKey | None:
    """Choose what was asked for, or the only tenant there is; never guess among several."""
    if hint.wanted:
        return next((key for key in hint.permitted if key == hint.wanted), None)
    return hint.permitted[0] if len(hint.permitted) == 1 else None
