"""The public API as authors of plugins and hosts write against it: type-checked, never run."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

from claimkit import hookimpl
from claimkit.alerts.channels import Channel, Notification, SendResult, check_names
from claimkit.claims.intake import ImportReport, import_claims, preview_claims, repair_csv
from claimkit.claims.model import Adjustment, Claim, ClaimBatch, ClaimKind, Notice, RowProblem
from claimkit.claims.normalize import NormalizeContext, Normalizer
from claimkit.claims.readers import ClaimReader, Confidence, ReadOptions, choose_reader
from claimkit.claims.store import ClaimStore, ClaimTotals
from claimkit.config import Config, DriftConfig
from claimkit.drift.cube import DECISIONS, Cells, CubeStore
from claimkit.drift.detectors import Detector
from claimkit.drift.findings import Finding, FindingLog, FindingState, Signal
from claimkit.drift.watch import CubeUpkeep, WatchReport, watch
from claimkit.errors import ClaimkitError, FileRefused
from claimkit.events import Bus, ClaimsImported, DriftDetected, Event, Listener, Phase
from claimkit.plugins import Plugins, load_plugins
from claimkit.reports.compose import Volume, compose
from claimkit.reports.renderers import ReportRenderer
from claimkit.stores.memory import MemoryStore
from claimkit.stores.sqlite import SqliteStore
from claimkit.tenants import Role, Tenant, TenantDirectory, TenantHint, current_tenant, use_tenant
from claimkit.types import (
    Cents,
    Clock,
    Json,
    Progress,
    Severity,
    SystemClock,
    TenantKey,
    from_cents,
    to_cents,
)
from claimkit.webhooks.posts import Posted, post_json
from claimkit.webhooks.targets import TargetPolicy
from claimkit.webhooks.transport import HttpTransport, Limits, Transport

if TYPE_CHECKING:
    from claimkit.reports.document import Report
    from claimkit.stores import Store


class FixedWidthReader:
    """A reader as a plugin brings it."""

    name = "fixed_width"
    kinds: tuple[ClaimKind, ...] = (ClaimKind.CSV,)

    def sniff(self, head: bytes, filename: str) -> Confidence:
        return Confidence.CERTAIN if filename.endswith(".dat") and head else Confidence.NO

    def read(self, stream: BinaryIO, options: ReadOptions) -> Iterator[ClaimBatch]:
        batch = ClaimBatch(kinds=self.kinds)
        for position, line in enumerate(stream, start=1):
            if len(line) < 40:
                batch.problems.append(
                    RowProblem(
                        code="row_too_short",
                        message="the row has fewer than 40 characters",
                        remedy="Export the file again",
                        position=position,
                        kind=ClaimKind.CSV,
                    )
                )
                continue
            batch.claims.append(
                Claim(
                    kind=ClaimKind.CSV,
                    position=position,
                    patient_control_number=line[:20].decode().strip(),
                    charge=to_cents(line[20:30].decode().strip()),
                    adjustments=[Adjustment(group="CO", reason="45", amount=1_250)],
                )
            )
            if len(batch.claims) >= options.batch_size:
                yield batch
                batch = ClaimBatch(kinds=self.kinds)
        batch.notices.append(Notice(code="fixed_width", message="read by position"))
        yield batch


class Uppercase:
    """A normalizer."""

    name = "uppercase"
    after: tuple[str, ...] = ("payers",)

    def normalize(self, batch: ClaimBatch, context: NormalizeContext) -> None:
        for claim in batch.claims:
            claim.payer = claim.payer.upper()


class Never:
    """A detector."""

    name = "never"

    def detect(
        self,
        cube: Mapping[str, Cells],
        *,
        as_of: dt.date,
        config: DriftConfig,
        open_findings: Sequence[Finding] = (),
        accepted_findings: Sequence[Finding] = (),
    ) -> Sequence[Finding]:
        decided = int(cube[DECISIONS.name].measures["claims"].sum())
        return (
            [] if decided and as_of and config.budget else list(accepted_findings or open_findings)
        )


class Telegram:
    """A renderer."""

    name: str = "telegram"
    media_type: str = "text/plain"
    extension: str = "txt"

    def render(self, report: Report, out: BinaryIO) -> None:
        out.write(report.headline.encode())


class Counter:
    """A listener."""

    name: str = "counter"
    topics: frozenset[str] = frozenset({ClaimsImported.topic, DriftDetected.topic})
    phase: Phase = "committed"

    def handle(self, event: Event) -> None:
        if isinstance(event, ClaimsImported):
            counted: int = event.new + event.changed
            print(counted, event.at.tzinfo, event.tenant)


class Pigeon:
    """A channel."""

    name: str = "pigeon"
    secrets: frozenset[str] = frozenset({"loft"})

    def check(self, settings: Mapping[str, Json]) -> Mapping[str, Json]:
        check_names(settings, needed=["loft"])
        return {"loft": str(settings["loft"])}

    def send(self, notification: Notification, settings: Mapping[str, Json]) -> SendResult:
        worst: Severity = notification.items[0].severity
        message = {
            "id": notification.id,
            "severity": worst.value,
            "why": notification.items[0].word,
        }
        transport: Transport = HttpTransport(TargetPolicy(), limits=Limits(total_seconds=9.0))
        posted: Posted = post_json(transport, str(settings["loft"]), message, clock=SystemClock())
        transport.close()
        return SendResult(
            is_sent=posted.is_taken,
            reason=posted.reason,
            is_permanent=posted.is_permanent,
            retry_after=posted.retry_after,
        )


class Plugin:
    """Every hook, with the types that the specification names."""

    @hookimpl
    def claimkit_register_readers(self) -> Iterable[ClaimReader]:
        return [FixedWidthReader()]

    @hookimpl
    def claimkit_register_channels(self) -> Iterable[Channel]:
        return [Pigeon()]

    @hookimpl
    def claimkit_register_normalizers(self) -> Iterable[Normalizer]:
        return [Uppercase()]

    @hookimpl
    def claimkit_register_detectors(self) -> Iterable[Detector]:
        return [Never()]

    @hookimpl
    def claimkit_register_renderers(self) -> Iterable[ReportRenderer]:
        return [Telegram()]

    @hookimpl
    def claimkit_register_listeners(self) -> Iterable[Listener]:
        return [Counter()]

    @hookimpl(tryfirst=True)
    def claimkit_open_store(self, url: str) -> Store | None:
        return MemoryStore() if url == "nowhere:" else None

    @hookimpl
    def claimkit_resolve_tenant(self, hint: TenantHint) -> TenantKey | None:
        return next(iter(hint.permitted), None)


class Directory:
    """Where a host without Django keeps its tenants."""

    def find(self, key: TenantKey) -> Tenant | None:
        return Tenant(key=key, name="Northside Hospital", timezone="America/New_York")


def show(step: str, done: int, total: int | None) -> None:
    print(step, done, total)


def host() -> None:
    """A host: import, watch, report."""
    directory: TenantDirectory = Directory()
    tenant = directory.find(TenantKey("northside"))
    assert tenant is not None
    plugins: Plugins = load_plugins(extra=[("mine", Plugin())], disabled=["x12"])
    config: Config = Config.from_mapping({"DRIFT": {"BUDGET": 0.2}})
    clock: Clock = SystemClock()
    progress: Progress = show
    stores: list[Store] = [MemoryStore(), SqliteStore("claims.db")]
    for store in stores:
        bus = Bus([CubeUpkeep(store.cube), *plugins.listeners.values()])
        with use_tenant(tenant.key), io.BytesIO() as stream:
            assert current_tenant() == tenant.key
            try:
                imported: ImportReport = import_claims(
                    stream,
                    name="export.csv",
                    tenant=tenant.key,
                    store=store,
                    plugins=plugins,
                    bus=bus,
                    clock=clock,
                    patient_key=b"k" * 32,
                    options=ReadOptions(columns={"Tot Chg": "billed"}),
                    progress=progress,
                )
            except FileRefused as refused:
                print(refused.code, refused.message, refused.remedy)
                continue
            repair_csv(imported.problems, stream, header=imported.header)
        watched: WatchReport = watch(
            tenant=tenant.key,
            store=store,
            detectors=plugins.detectors,
            config=config.drift,
            as_of=dt.date(2026, 3, 31),
            bus=bus,
            clock=clock,
        )
        report = compose(
            tenant_name=tenant.name,
            watched=watched,
            volume=Volume(claims=1, pending=0, charge=100, paid=0),
            files=[],
            generated_at=clock.now(),
            config=config.reports,
        )
        plugins.renderers["html"].render(report, io.BytesIO())
        _read(store.claims, store.cube, store.findings, tenant.key)
        store.close()


def _read(claims: ClaimStore, cube: CubeStore, findings: FindingLog, tenant: TenantKey) -> None:
    totals: ClaimTotals = claims.totals(tenant)
    cents: Cents = totals.paid
    print(from_cents(cents))
    for batch in claims.scan(tenant, batch_size=1_000):
        for position in batch:
            day: dt.date | None = position.first_decided_on
            print(position.payer, position.outcome.value, day)
    cells: Cells = cube.read(tenant, DECISIONS, since=20_000)
    print(len(cells))
    for finding, state in findings.all(tenant):
        if finding.signal is Signal.DENIAL_RATE and finding.severity is Severity.HIGH:
            low, high = finding.interval
            print(state is FindingState.OPEN, low, high, finding.segment.payer)


def errors() -> None:
    """Errors can be caught as ours and as the builtin that one expects."""
    try:
        choose_reader(b"", "x", {})
        preview_claims(io.BytesIO(), name="x", plugins=load_plugins())
    except ClaimkitError as error:
        code: str = error.code
        value_error: type[ValueError] = FileRefused
        print(code, value_error)
    assert Role.ADMIN.includes(Role.VIEWER)
