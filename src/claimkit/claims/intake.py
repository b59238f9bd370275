"""From a file to kept claims.

The story: :func:`import_claims` shows the head of the file to every reader and takes the surest
(:func:`~claimkit.claims.readers.choose_reader`). The reader streams batches; rows that cannot be
taken come along as values. Normalizers clean each batch in their order. Then, in one transaction
per batch, the store adds it (:meth:`ClaimStore.add <claimkit.claims.store.ClaimStore.add>`) and
``ClaimsChanged`` is staged for those who count. After the last batch ``ClaimsImported`` tells that
the file is in. A crash leaves whole batches, and the same file again completes the rest.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO, cast

from claimkit.batches import without_cycles
from claimkit.claims.hashing import HashingStream
from claimkit.claims.model import Added, ClaimKind, service_lines
from claimkit.claims.normalize import ColumnNormalizer, NormalizeContext
from claimkit.claims.quality import ProfileBuilder, QualityProfile
from claimkit.claims.readers import SNIFF_BYTES, ReadOptions, choose_reader, options_for
from claimkit.errors import FileRefused
from claimkit.events import ClaimsChanged, ClaimsImported
from claimkit.types import day_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from claimkit.claims.lone import LoneClaims
    from claimkit.claims.model import Claim, ClaimBatch, Notice, RowProblem
    from claimkit.events import Bus
    from claimkit.plugins import Plugins
    from claimkit.stores import Store
    from claimkit.types import Cents, Clock, Progress, TenantKey

__all__ = ["ImportReport", "KindTally", "import_claims", "preview_claims", "repair_csv"]

#: Rejected rows that a report carries; ``on_problem`` is told of all.
_KEPT_PROBLEMS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTally:
    """What a file holds of one transaction kind; money in cents."""

    claims: int = 0
    lines: int = 0
    charge: Cents = 0
    paid: Cents = 0
    #: Rows or claims that could not be taken.
    rejected: int = 0
    #: Notice code → how often.
    notices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of one file."""

    name: str
    upload: str
    #: Reader that took the file.
    reader: str
    #: Of the whole file, hexadecimal.
    sha256: str
    #: Bytes read.
    size: int
    #: One tally per transaction kind, in order of appearance.
    kinds: Mapping[ClaimKind, KindTally]
    #: Claims and statements by what adding them changed; all zero in a preview.
    added: Added = Added()
    #: The first 1,000 rejected rows, in file order.
    problems: tuple[RowProblem, ...] = ()
    #: Column names of the rejected rows, empty for X12.
    header: tuple[str, ...] = ()
    batches: int = 0
    #: Rows of a CSV: read is accepted, skipped (blank, repeated) and rejected together.
    rows_read: int = 0
    rows_accepted: int = 0
    rows_skipped: int = 0
    #: The first notice of each code, to show what its count in the tallies means.
    notices: tuple[Notice, ...] = ()
    #: What the file holds, to be compared with others; see :func:`claimkit.claims.quality.assess`.
    profile: QualityProfile = QualityProfile()
    #: Name of the template by which a CSV was read; empty if none.
    template: str = ""
    #: Why reading stopped before the file's end; empty when it did not. What is in stays in.
    stopped: str = ""

    @property
    def claims(self) -> int:
        """Claims read, of all kinds."""
        return sum(one.claims for one in self.kinds.values())

    @property
    def rejected(self) -> int:
        """Rows or claims that could not be taken, of all kinds."""
        return sum(one.rejected for one in self.kinds.values())


def import_claims(
    stream: BinaryIO,
    *,
    name: str,
    tenant: TenantKey,
    store: Store,
    plugins: Plugins,
    bus: Bus,
    clock: Clock,
    patient_key: bytes,
    upload: str = "",
    known_on: dt.date | None = None,
    options: ReadOptions | None = None,
    reader: str = "",
    progress: Progress | None = None,
    on_problem: Callable[[RowProblem], object] | None = None,
    on_batch: Callable[[ClaimBatch, Added], object] | None = None,
) -> ImportReport:
    """Read a file into the store; safe to repeat.

    Args:
        stream: The file, from its start; read once, in constant memory.
        name: What people call the file; shown in progress and reports.
        tenant: Whose claims they are.
        store: Where they go.
        plugins: Readers and normalizers.
        bus: Told of each batch and of the whole file.
        clock: Where the time of the events comes from.
        patient_key: Secret of the tenant by which member ids are hashed.
        upload: Public id of this upload; made up if empty.
        known_on: Day on which the file became known; today if None.
        options: How to read.
        reader: Name of the reader to use instead of guessing.
        progress: Told of bytes read.
        on_problem: Told of every rejected row, in file order.
        on_batch: Told of each batch inside its transaction, after the store took it.

    Returns:
        What became of the file; ``stopped`` says why the reader gave up where batches are in.

    Raises:
        FileRefused: the file cannot be read as claims; nothing of it is in.
        UnknownName: no such reader.
    """
    context = NormalizeContext(patient_key=patient_key, source_name=name)
    keep = _Keeping(tenant, store, bus, clock, known_on, on_batch)
    pass_ = _Pass(stream, name=name, upload=upload, progress=progress, on_problem=on_problem)
    batches = pass_.batches(plugins, _columnar(options, store, plugins), reader, context)
    return keep.all(without_cycles(batches), pass_)


class _Keeping:
    """Puts batches into the store, each with all that hangs on it in one transaction."""

    def __init__(
        self,
        tenant: TenantKey,
        store: Store,
        bus: Bus,
        clock: Clock,
        known_on: dt.date | None,
        on_batch: Callable[[ClaimBatch, Added], object] | None,
    ) -> None:
        self._tenant = tenant
        self._store = store
        self._bus = bus
        self._clock = clock
        self._now = clock.now()
        self._known_on = known_on or self._now.date()
        self._on_batch = on_batch

    def all(self, batches: Iterator[ClaimBatch], pass_: _Pass) -> ImportReport:
        """Add all batches of a file, tell that it is in, and report."""
        for batch in batches:
            pass_.added += self._add(batch, pass_.upload)
        report = pass_.report()
        self._tell(report)
        return report

    def _add(self, batch: ClaimBatch, upload: str) -> Added:
        """Add a batch, stage what it changed, and say what it did."""
        with self._bus.transaction(self._store.atomic()):
            merged = self._store.claims.add(
                self._tenant, batch, upload=upload, known_on=self._known_on
            )
            if merged.changes:
                self._bus.stage(
                    ClaimsChanged(
                        tenant=self._tenant,
                        at=self._now,
                        changes=merged.changes,
                        known_day=day_of(self._known_on),
                    )
                )
            if self._on_batch is not None:
                self._on_batch(batch, merged.added)
        return merged.added

    def _tell(self, report: ImportReport) -> None:
        """Tell that the file is in."""
        with self._bus.transaction(self._store.atomic()):
            self._bus.stage(
                ClaimsImported(
                    tenant=self._tenant,
                    at=self._clock.now(),
                    upload=report.upload,
                    new=report.added.new,
                    changed=report.added.changed,
                    same=report.added.same,
                    rejected=report.rejected,
                )
            )


def _columnar(options: ReadOptions | None, store: Store, plugins: Plugins) -> ReadOptions:
    """Ask for columns where every normalizer and the store take them."""
    taken = getattr(store.claims, "takes_columns", False) and all(
        isinstance(one, ColumnNormalizer) for one in plugins.normalizers
    )
    return replace(options or ReadOptions(), columnar=taken)


def preview_claims(
    stream: BinaryIO,
    *,
    name: str,
    plugins: Plugins,
    options: ReadOptions | None = None,
    reader: str = "",
    progress: Progress | None = None,
    on_problem: Callable[[RowProblem], object] | None = None,
    on_batch: Callable[[ClaimBatch], object] | None = None,
) -> ImportReport:
    """Read a file, keep nothing, and say what is in it; ``on_batch`` is told of each normalized batch.

    Raises:
        FileRefused: the file cannot be read as claims.
        UnknownName: no such reader.
    """
    pass_ = _Pass(stream, name=name, upload="", progress=progress, on_problem=on_problem)
    # Tokens of a preview are thrown away with it, so any key will do.
    context = NormalizeContext(patient_key=secrets.token_bytes(32), source_name=name)
    for batch in pass_.batches(plugins, options or ReadOptions(), reader, context):
        if on_batch is not None:
            on_batch(batch)
    return pass_.report()


#: Columns that explain; the CSV reader passes them over when the repaired file comes back.
_REASON_COLUMNS = (
    "claimkit line",
    "claimkit code",
    "claimkit column",
    "claimkit problem",
    "claimkit remedy",
)


def repair_csv(
    problems: Iterable[RowProblem], out: BinaryIO, *, header: Sequence[str] = ()
) -> None:
    """Write rejected rows with their reasons, to be repaired in a spreadsheet and imported again.

    The row comes as it was read, the reasons behind it in columns whose names begin with
    ``claimkit``; the CSV reader ignores these, so the repaired file can be imported as it is.
    Texts that a spreadsheet would run as a formula get a leading apostrophe (OWASP, CSV
    injection); amounts stay amounts. Rows of several files with other columns share one header.

    Args:
        problems: Rejected rows; read twice, so an iterator is kept in memory.
        out: Open for bytes; stays open.
        header: Column names of rows that do not carry their own.
    """
    kept = list(problems)
    places: dict[tuple[str, int], int] = {}
    for one in kept:
        for column in _columns_of(one, header):
            places.setdefault(column, len(places))
    text = io.TextIOWrapper(out, encoding="utf-8-sig", newline="", write_through=True)
    rows = csv.writer(text)
    rows.writerow([*(_inert(name) for name, _ in places), *_REASON_COLUMNS])
    for one in kept:
        cells = [""] * len(places)
        for column, cell in zip(_columns_of(one, header), one.raw, strict=False):
            cells[places[column]] = _inert(cell)
        reasons = (one.code, one.field_name, one.message, one.remedy)
        rows.writerow([*cells, str(one.position), *map(_inert, reasons)])
    text.flush()
    text.detach()


def _columns_of(problem: RowProblem, header: Sequence[str]) -> list[tuple[str, int]]:
    """Return the row's columns as name and how often the name came before; spares at the end."""
    names = list(problem.header or header)
    names += ["(more)"] * (len(problem.raw) - len(names))
    seen: Counter[str] = Counter()
    columns = []
    for name in names:
        columns.append((name, seen[name]))
        seen[name] += 1
    return columns


_AMOUNT = re.compile(r"[-+]?[$]?\d[\d,]*(?:\.\d+)?", re.ASCII)
#: What spreadsheets take for the start of a formula, also in full width, also after a line break.
_FORMULA = re.compile(r"(^|[\r\n])(?=[\s\u200b\ufeff]*[=+\-@\t|＝＋－＠])")


def _inert(cell: str) -> str:
    return cell if _AMOUNT.fullmatch(cell) else _FORMULA.sub(r"\1'", cell)


class _Pass:
    """One pass over one file: hashes, counts and reports what goes by."""

    def __init__(
        self,
        stream: BinaryIO,
        *,
        name: str,
        upload: str,
        progress: Progress | None,
        on_problem: Callable[[RowProblem], object] | None,
    ) -> None:
        self.name = name
        self.upload = upload or f"upl_{secrets.token_hex(12)}"
        self.added = Added()
        self._source = HashingStream(stream)
        self._progress = progress
        self._on_problem = on_problem
        self._tallies: dict[ClaimKind, _Tally] = {}
        self._problems: list[RowProblem] = []
        self._header: tuple[str, ...] = ()
        self._reader = ""
        self._batches = 0
        self._rows = [0, 0, 0]
        self._notices: dict[str, Notice] = {}
        self._template = ""
        self._profile = ProfileBuilder()
        self._stopped = ""

    def batches(
        self, plugins: Plugins, options: ReadOptions, wanted: str, context: NormalizeContext
    ) -> Iterator[ClaimBatch]:
        """Yield normalized batches."""
        head = self._source.peek(SNIFF_BYTES)
        reader = choose_reader(head, self.name, plugins.readers, wanted=wanted)
        self._reader = reader.name
        total = self._source.size()
        step = f"reading {self.name}"
        read = reader.read(cast("BinaryIO", self._source), options_for(reader, options))
        for batch in self._until_refused(read):
            for one in plugins.normalizers:
                one.normalize(batch, context)
                if batch.lone is not None and isinstance(one, ColumnNormalizer):
                    one.normalize_lone(batch.lone, context)
            self._count(batch)
            yield batch
            self._batches += 1
            if self._progress is not None:
                self._progress(step, batch.bytes_read, total)
        self._source.drain()
        if self._progress is not None:
            self._progress(step, self._source.bytes_read, self._source.bytes_read)

    def _until_refused(self, batches: Iterator[ClaimBatch]) -> Iterator[ClaimBatch]:
        """Yield batches; a refusal after the first one ends the file instead of losing it."""
        for number in itertools.count():
            try:
                batch = next(batches, None)
            except FileRefused as refused:
                if not number:
                    raise
                self._stopped = str(refused)
                return
            if batch is None:
                return
            yield batch

    def report(self) -> ImportReport:
        return ImportReport(
            name=self.name,
            upload=self.upload,
            reader=self._reader,
            sha256=self._source.sha256.hexdigest(),
            size=self._source.bytes_read,
            kinds={kind: tally.frozen() for kind, tally in self._tallies.items()},
            added=self.added,
            problems=tuple(self._problems),
            header=self._header,
            batches=self._batches,
            rows_read=self._rows[0],
            rows_accepted=self._rows[1],
            rows_skipped=self._rows[2],
            notices=tuple(self._notices.values()),
            profile=self._profile.profile(),
            template=self._template,
            stopped=self._stopped,
        )

    def _count(self, batch: ClaimBatch) -> None:
        for kind in batch.kinds:
            self._tallies.setdefault(kind, _Tally())
        by_kind: dict[ClaimKind, list[int]] = {}
        for at, claim in enumerate(batch.claims):
            by_kind.setdefault(claim.kind, []).append(at)
        for kind, places in by_kind.items():
            self._tally(kind).take([batch.claims[at] for at in places])
        if batch.lone is not None:
            self._tally(ClaimKind.CSV).take_lone(batch.lone)
        fallback = next(iter(self._tallies), ClaimKind.CSV)
        for notice in batch.notices:
            self._tally(notice.kind or fallback).notices[notice.code] += 1
            self._notices.setdefault(notice.code, notice)
        for problem in batch.problems:
            self._tally(problem.kind).rejected += 1
            if len(self._problems) < _KEPT_PROBLEMS:
                self._problems.append(problem)
            if self._on_problem is not None:
                self._on_problem(problem)
        self._header = batch.header or self._header
        self._profile.take(batch)
        self._template = batch.template or self._template
        self._stopped = batch.stopped or self._stopped
        counted = (batch.rows_read, batch.rows_accepted, batch.rows_skipped)
        self._rows = [sum(pair) for pair in zip(self._rows, counted, strict=True)]

    def _tally(self, kind: ClaimKind) -> _Tally:
        return self._tallies.setdefault(kind, _Tally())


class _Tally:
    """A :class:`KindTally` in the making."""

    def __init__(self) -> None:
        self.claims = self.lines = self.charge = self.paid = self.rejected = 0
        self.notices: Counter[str] = Counter()

    def take(self, claims: Sequence[Claim]) -> None:
        self.claims += len(claims)
        self.lines += service_lines(claims)
        self.charge += sum(one.charge for one in claims)
        self.paid += sum(one.paid for one in claims)
        for one in claims:
            self.notices.update(one.flags)

    def take_lone(self, lone: LoneClaims) -> None:
        self.claims += len(lone)
        self.lines += len(lone)
        self.charge += sum(lone.claim("charge"))
        self.paid += sum(lone.claim("paid"))
        self.notices.update(itertools.chain.from_iterable(filter(None, lone.claim("flags"))))

    def frozen(self) -> KindTally:
        return KindTally(
            claims=self.claims,
            lines=self.lines,
            charge=self.charge,
            paid=self.paid,
            rejected=self.rejected,
            notices=dict(self.notices),
        )
