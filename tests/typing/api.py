"""The public API as authors of plugins and hosts write against it: type-checked, never run."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, BinaryIO

from claimkit import hookimpl
from claimkit.alerts.channels import Channel, Notification, SendResult, check_names
from claimkit.claims.intake import ImportReport, import_claims, preview_claims, repair_csv
from claimkit.claims.model import Adjustment, Claim, ClaimBatch, ClaimKind, Notice, RowProblem
from claimkit.claims.normalize import NormalizeContext, Normalizer
from claimkit.claims.payers import DirectoryEntry, KnownPayers, PayerDirectory
from claimkit.claims.readers import ClaimReader, Confidence, ReadOptions, choose_reader
from claimkit.claims.remarks import RemarkCodes, RemarkTable, share_remarks
from claimkit.claims.store import ClaimStore, ClaimTotals
from claimkit.config import Config, DriftConfig, WebhooksConfig
from claimkit.drift.cube import DECISIONS, Cells, CubeStore
from claimkit.drift.detectors import Detector
from claimkit.drift.findings import Finding, FindingLog, FindingState, Signal
from claimkit.drift.watch import CubeUpkeep, WatchReport, watch
from claimkit.errors import ClaimkitError, FileRefused, InvalidTarget, VerificationError
from claimkit.events import Bus, ClaimsImported, DriftDetected, Event, Listener, Phase
from claimkit.outbox import MemoryOutbox, Outbox
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
from claimkit.webhooks import Verified, generate_key, parse_key, sign, verify
from claimkit.webhooks.deliver import (
    Courier,
    DeliveryBook,
    Endpoint,
    Tally,
    Verdict,
    deliver,
    judge,
)
from claimkit.webhooks.health import Health, parse_retry_after
from claimkit.webhooks.memory import MemoryBook
from claimkit.webhooks.payloads import (
    Detail,
    EventType,
    body_schema,
    builtin_event_types,
    check_subscriptions,
    example_body,
    make_body,
)
from claimkit.webhooks.posts import Posted, post_json
from claimkit.webhooks.signing import (
    HeaderPairs,
    PublicKey,
    SecretKey,
    SigningPair,
    TimedKey,
    sign_legacy,
)
from claimkit.webhooks.targets import (
    Resolver,
    SystemResolver,
    Target,
    TargetPolicy,
    check_address,
    check_headers,
    parse_target,
    resolve,
)
from claimkit.webhooks.transport import HttpTransport, Limits, Reason, Reply, SendFailed, Transport
from claimkit.webhooks.trust import Certificates

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


class Neighbors:
    """A payer directory."""

    name = "neighbors"

    def entries(self) -> Iterable[DirectoryEntry]:
        return [DirectoryEntry(name="Blue Lake Mutual", ids=("PI:417",), aliases=("BLM",))]


class Remarks:
    """A list of remark codes."""

    name = "remarks"

    def categories(self) -> Mapping[str, str]:
        return {"M127": "missing_records"}


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
    def claimkit_register_payer_directories(self) -> Iterable[PayerDirectory]:
        return [Neighbors()]

    @hookimpl
    def claimkit_register_remark_codes(self) -> Iterable[RemarkCodes]:
        return [Remarks()]

    @hookimpl
    def claimkit_register_detectors(self) -> Iterable[Detector]:
        return [Never()]

    @hookimpl
    def claimkit_register_renderers(self) -> Iterable[ReportRenderer]:
        return [Telegram()]

    @hookimpl
    def claimkit_register_listeners(self) -> Iterable[Listener]:
        return [Counter()]

    @hookimpl
    def claimkit_register_event_types(self) -> Iterable[EventType]:
        return [counted_type()]

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
    known = KnownPayers(
        entry for one in plugins.payer_directories.values() for entry in one.entries()
    )
    suggested: list[str] = known.suggest("blm", limit=1)
    print(suggested, known.are_apart("BLM", "Medicare"))
    remarks = RemarkTable(plugins.remark_codes.values())
    print(remarks.category("M127"), share_remarks([("M127", 3, 60_000)], remarks)[0].share)
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


def counted_type() -> EventType:
    """An event type of a plugin's own."""
    thin: Mapping[str, Json] = {"claims": 412}
    return EventType(
        name="counter.counted",
        version=2,
        description="Somebody counted.",
        thin=lambda event: {"claims": event.new},
        more=lambda event: {"upload": event.upload},
        properties={"claims": {"type": "integer"}},
        more_properties={"upload": {"type": "string"}},
        example=thin,
        more_example={"upload": "upl_1"},
    )


def receiver(headers: HeaderPairs, body: bytes, secret: str) -> str:
    """A receiver of webhooks: verify, then act once per message."""
    key: SecretKey | SigningPair | PublicKey = parse_key(secret)
    now = SystemClock().now()
    timed = TimedKey(key=key, expires_at=now + dt.timedelta(days=1))
    try:
        verified: Verified = verify(
            headers, body, [key, timed], now=now, tolerance=dt.timedelta(minutes=1)
        )
    except VerificationError as refused:
        return refused.code
    sent_at: dt.datetime = verified.sent_at
    return f"{verified.message_id} {sent_at} {verified.key} {key.version} {key.fingerprint}"


class Scripted:
    """A transport."""

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        certificates: Certificates | None = None,
    ) -> Reply:
        if not body or certificates is not None:
            raise SendFailed(Reason.DEADLINE)
        return Reply(status=204, retry_after="120", body=url.encode() + str(len(headers)).encode())

    def close(self) -> None:
        return None


def sender(event: ClaimsImported) -> Tally:
    """A sender of webhooks without Django."""
    known: dict[str, EventType] = {
        one.name: one for one in (*builtin_event_types(), counted_type())
    }
    names: tuple[str, ...] = check_subscriptions(["*"], known)
    event_type = known[event.topic]
    body: bytes = make_body(event_type, event, Detail.THIN)
    schema: dict[str, Json] = body_schema(event_type, Detail.FULL)
    print(names, schema, example_body(event_type)["data"])

    key: SecretKey | SigningPair = generate_key("v1a")
    signed: dict[str, str] = sign("msg_1", event.at, body, [key])
    print(signed, sign_legacy(body, "marsupilami"), key.text, key.is_strong)

    config = WebhooksConfig(retry_waits=("5s",))
    outbox = MemoryOutbox()
    port: Outbox = outbox
    book = MemoryBook(outbox, config)
    kept: DeliveryBook = book
    book.add(Endpoint(lane="a", url="https://hooks.example.org/", keys=(TimedKey(key=key),)))
    book.send("d", "a", body, message_id="msg_1", tenant=event.tenant, at=event.at)
    courier = Courier(
        outbox=port,
        book=kept,
        make_transport=Scripted,
        clock=SystemClock(),
        random=Random(1),
        config=config,
        site="marsupilami",
    )
    health: Health = book.find("a").health
    verdict: Verdict = judge(health, book.attempts, config)
    wait: dt.timedelta | None = parse_retry_after("120", event.at)
    print(verdict.disable, verdict.health.failing_since, wait)
    return deliver(courier, threads=2, is_stopping=lambda: False) + Tally(done=1)


def where(url: str) -> str:
    """Where webhooks may go."""
    policy: TargetPolicy = TargetPolicy.of(WebhooksConfig(), refused_hosts=["claims.example.org"])
    resolver: Resolver = SystemResolver()
    try:
        target: Target = parse_target(url, policy)
        check_headers({"Authorization": "Bearer marsupilami"})
        address: str = resolve(target, policy, resolver, timeout_seconds=1.0)
        check_address(address, policy)
    except InvalidTarget as refused:
        return refused.code
    return f"{target.scheme} {target.host} {target.port} {target.path} {target.authority}"


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
