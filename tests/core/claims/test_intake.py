from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit import hookimpl
from claimkit.claims.columns import FIELDS
from claimkit.claims.intake import import_claims, preview_claims, repair_csv
from claimkit.claims.ledger import claim_key
from claimkit.claims.model import ClaimBatch, ClaimKind, Notice, Outcome, RowProblem
from claimkit.claims.readers import Confidence, ReadOptions
from claimkit.errors import ConfigError, FileRefused, UnknownName
from claimkit.events import Bus
from claimkit.plugins import load_plugins
from claimkit.stores.memory import MemoryStore
from claimkit.stores.sqlite import SqliteStore
from claimkit.testing.factories import make_claim, make_line
from claimkit.types import TenantKey, day_of

NORTHSIDE = TenantKey("northside")
KEY = b"a key of the tenant, not of anyone else"
NOW = dt.datetime(2026, 4, 2, 3, 4, tzinfo=dt.UTC)
HEADER = "claim id,payer,cpt,dos,submitted,paid date,billed,allowed,paid,status,member id"
ROW = "A1,BLUE LAKE MUTUAL,99213,2026-01-02,2026-01-03,2026-01-20,100.00,80.00,60.00,PAID,M-7731"
BAD = ROW.replace("A1", "B7").replace("60.00", "sixty")


class Listener:
    """Keeps what it is told, or fails."""

    def __init__(self, phase, *topics, fails_at=0):
        self.name = f"listener-{phase}"
        self.phase = phase
        self.topics = frozenset(topics)
        self.told = []
        self._fails_at = fails_at

    def handle(self, event):
        self.told.append(event)
        if len(self.told) == self._fails_at:
            raise RuntimeError("spirou")


class ScriptedReader:
    """A plugin's reader: yields what the test says, and raises where it says so."""

    name = "scripted"
    kinds = (ClaimKind.REMITTANCE, ClaimKind.PROFESSIONAL)

    def __init__(self, *steps, reads=0):
        self._steps = steps
        self._reads = reads

    def sniff(self, head, filename):
        return Confidence.CERTAIN

    def read(self, stream, options):
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            stream.read(self._reads)
            yield step


class Adds:
    def __init__(self, reader=None, normalizer=None):
        self._reader = reader
        self._normalizer = normalizer

    @hookimpl
    def claimkit_register_readers(self):
        return [self._reader] if self._reader else []

    @hookimpl
    def claimkit_register_normalizers(self):
        return [self._normalizer] if self._normalizer else []


@pytest.fixture(scope="module")
def plugins():
    return load_plugins(entry_points=False)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "claims.db")
    yield store
    store.close()


def table(*rows, header=HEADER):
    return "\n".join([header, *rows, ""]).encode()


def claims(count, first=1):
    return [ROW.replace("A1", f"A{n}") for n in range(first, first + count)]


def take(store, content, plugins=None, *, listeners=(), **options):
    content = content if isinstance(content, bytes) else table(*content)
    return import_claims(
        io.BytesIO(content),
        name="billing.csv",
        tenant=NORTHSIDE,
        store=store,
        plugins=plugins or load_plugins(entry_points=False),
        bus=Bus(listeners),
        clock=SimpleNamespace(now=lambda: NOW),
        patient_key=KEY,
        **{"upload": "upl_zorglub", **options},
    )


def in_batches(size):
    return {"options": ReadOptions(batch_size=size)}


def scripted(*steps, **options):
    return load_plugins(
        entry_points=False, extra=[("scripted", Adds(ScriptedReader(*steps, **options)))]
    )


# -- a whole file -------------------------------------------------------------------------------


def test_a_file_is_in_and_its_report_says_what_became_of_it(store, plugins):
    content = table(ROW, *claims(3), BAD, ",,,,,,,,,,")
    report = take(store, content, plugins)

    assert (report.name, report.upload, report.reader) == ("billing.csv", "upl_zorglub", "csv")
    assert (report.sha256, report.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (report.claims, report.rejected, report.batches) == (3, 1, 1)
    assert (report.rows_read, report.rows_accepted, report.rows_skipped) == (6, 3, 2)
    assert (report.added.new, report.added.changed, report.added.same) == (3, 0, 0)
    assert report.stopped == ""
    tally = report.kinds[ClaimKind.CSV]
    assert (tally.claims, tally.lines, tally.charge, tally.paid) == (3, 3, 300_00, 180_00)
    assert (tally.rejected, tally.notices) == (1, {"duplicate_row": 1})
    assert [one.code for one in report.notices] == ["duplicate_row"]
    assert [one.code for one in report.problems] == ["money_invalid"]
    assert report.header == tuple(HEADER.split(","))
    assert store.claims.totals(NORTHSIDE).paid == 180_00


def test_the_same_file_again_changes_nothing_and_says_so(store, plugins):
    take(store, claims(5), plugins)
    before = [one for page in store.claims.scan(NORTHSIDE) for one in page]
    listener = Listener("committed")

    again = take(store, claims(5), plugins, listeners=[listener], upload="upl_again")

    assert (again.added.new, again.added.changed, again.added.same) == (0, 0, 5)
    assert again.added.statements_same == 5
    assert [one for page in store.claims.scan(NORTHSIDE) for one in page] == before
    assert [event.topic for event in listener.told] == ["claims.imported"]


def test_a_corrected_and_overlapping_file_updates(store, plugins):
    take(store, claims(5), plugins)
    corrected = [*claims(3, first=4), ROW.replace("A1", "A5").replace("60.00", "61.00")]
    corrected.remove(ROW.replace("A1", "A5"))

    report = take(store, corrected, plugins, upload="upl_later")

    assert (report.added.new, report.added.changed, report.added.same) == (1, 1, 1)
    assert store.claims.find(NORTHSIDE, "A5").paid == 61_00
    assert store.claims.totals(NORTHSIDE).claims == 6


def test_a_file_belongs_to_its_tenant_alone(store, plugins):
    take(store, claims(2), plugins)

    assert store.claims.find(TenantKey("southside"), "A1") is None


def test_the_day_of_knowing_is_said_or_today(store, plugins):
    take(store, [ROW], plugins)
    take(store, claims(1, first=2), plugins, known_on=dt.date(2026, 3, 9))

    known = [store.claims.history(NORTHSIDE, claim_key(one))[0].known_on for one in ("A1", "A2")]
    assert known == [NOW.date(), dt.date(2026, 3, 9)]


def test_an_upload_without_an_id_gets_one_of_its_own(store, plugins):
    ids = {take(store, [ROW], plugins, upload="").upload for _ in range(2)}

    assert len(ids) == 2
    assert all(one.startswith("upl_") and len(one) == 28 for one in ids)


def test_accepted_rejected_and_skipped_are_all_rows_read_whatever_the_batches(store, plugins):
    rows = [*claims(9), BAD, "", ROW, "TOTAL,,,,,,900.00,,,,", *claims(9, first=20)]
    reports = [preview(table(*rows), plugins, **in_batches(size)) for size in (1, 2, 7, 5_000)]

    sums = [
        (one.rows_read, one.rows_accepted, one.rows_skipped, one.rejected, one.claims)
        for one in reports
    ]
    assert sums == [(22, 19, 1, 2, 19)] * 4
    assert {one.sha256 for one in reports} == {hashlib.sha256(table(*rows)).hexdigest()}


def test_the_reader_may_be_named_and_an_unknown_one_is_refused(store, plugins):
    assert take(store, [ROW], plugins, reader="csv").claims == 1
    with pytest.raises(UnknownName, match="did you mean 'csv'"):
        take(store, [ROW], plugins, reader="cvs")


def test_a_file_that_nobody_reads_is_refused_and_nothing_is_told(store, plugins):
    listener = Listener("transaction")

    with pytest.raises(FileRefused, match="Excel workbook"):
        take(store, b"PK\x03\x04" + bytes(60), plugins, listeners=[listener])

    assert listener.told == []
    assert store.claims.totals(NORTHSIDE).claims == 0


def test_member_ids_need_a_key_long_enough(store, plugins):
    with pytest.raises(ConfigError, match="16 bytes"):
        import_claims(
            io.BytesIO(table(ROW)),
            name="billing.csv",
            tenant=NORTHSIDE,
            store=store,
            plugins=plugins,
            bus=Bus([]),
            clock=SimpleNamespace(now=lambda: NOW),
            patient_key=b"short",
        )

    assert store.claims.totals(NORTHSIDE).claims == 0


# -- events and transactions --------------------------------------------------------------------


def test_each_batch_tells_its_changes_and_the_end_tells_the_file(store, plugins):
    listener = Listener("committed")
    take(store, [*claims(5), BAD], plugins, listeners=[listener], **in_batches(2))

    topics = [event.topic for event in listener.told]
    changes = [event for event in listener.told if event.topic == "claims.changed"]
    done = listener.told[-1]
    assert topics == ["claims.changed"] * 3 + ["claims.imported"]
    assert [len(event.changes) for event in changes] == [2, 2, 1]
    assert {event.known_day for event in changes} == {day_of(NOW.date())}
    assert {event.tenant for event in listener.told} == {NORTHSIDE}
    assert (done.upload, done.new, done.changed, done.same, done.rejected) == (
        "upl_zorglub",
        5,
        0,
        0,
        1,
    )
    assert done.at == NOW
    first = changes[0].changes[0]
    assert first.before is None
    assert (first.after.payer, first.after.paid) == ("BLUE LAKE MUTUAL", 60_00)


def test_a_listener_inside_the_transaction_can_stop_its_batch_and_only_that(store, plugins):
    listener = Listener("transaction", "claims.changed", fails_at=3)

    with pytest.raises(RuntimeError, match="spirou"):
        take(store, claims(6), plugins, listeners=[listener], **in_batches(2))

    kept = {one.patient_control_number for page in store.claims.scan(NORTHSIDE) for one in page}
    assert kept == {"A1", "A2", "A3", "A4"}
    completed = take(store, claims(6), plugins)
    assert (completed.added.new, completed.added.same) == (2, 4)


def test_a_listener_after_the_commit_cannot_hurt(store, plugins, caplog):
    listener = Listener("committed", "claims.changed", fails_at=1)
    report = take(store, claims(4), plugins, listeners=[listener], **in_batches(2))

    assert (report.added.new, len(listener.told)) == (4, 2)
    assert caplog.messages == ["listener failed"]


def test_what_on_batch_raises_takes_its_batch_back(store, plugins):
    seen = []

    def on_batch(batch, added):
        seen.append((len(batch.claims), added.new))
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(store, claims(6), plugins, on_batch=on_batch, **in_batches(2))

    assert seen == [(2, 2), (2, 2)]
    assert store.claims.totals(NORTHSIDE).claims == 2


# -- readers that stop --------------------------------------------------------------------------


def batch(*numbers, **values):
    return ClaimBatch(
        claims=[make_claim(patient_control_number=one, payer_name="SPIP") for one in numbers],
        kinds=(ClaimKind.REMITTANCE,),
        **values,
    )


def test_a_reader_that_gives_up_midway_leaves_what_is_in_and_says_why(store):
    refused = FileRefused("the rest is damaged", remedy="Ask for a new file")
    listener = Listener("committed", "claims.imported")
    report = take(
        store, b"x" * 90, scripted(batch("S1"), batch("S2"), refused), listeners=[listener]
    )

    assert (report.claims, report.added.new, report.batches) == (2, 2, 2)
    assert report.stopped == "the rest is damaged. Ask for a new file"
    assert store.claims.totals(NORTHSIDE).claims == 2
    assert [event.new for event in listener.told] == [2]


def test_a_reader_that_refuses_at_once_refuses_the_file(store):
    refused = FileRefused("nothing here can be read", remedy="Ask for a new file")

    with pytest.raises(FileRefused, match="nothing here"):
        take(store, b"x", scripted(refused, batch("S1")))

    assert store.claims.totals(NORTHSIDE).claims == 0


def test_a_reader_that_breaks_leaves_whole_batches(store):
    with pytest.raises(OSError, match="gone"):
        take(store, b"x", scripted(batch("S1"), OSError("the disk is gone"), batch("S2")))

    assert store.claims.find(NORTHSIDE, "S1") is not None
    assert store.claims.totals(NORTHSIDE).claims == 1


def test_a_reader_without_batches_is_a_file_without_claims(store):
    report = take(store, b"hello", scripted())

    assert (report.claims, report.batches, dict(report.kinds)) == (0, 0, {})
    assert report.sha256 == hashlib.sha256(b"hello").hexdigest()


@pytest.mark.parametrize("reads", [0, 7, -1, 10**6])
def test_the_hash_is_of_the_whole_file_however_much_the_reader_reads(store, reads):
    content = bytes(range(256)) * 900
    report = take(store, content, scripted(batch("S1"), batch("S2"), reads=reads))

    assert (report.sha256, report.size) == (hashlib.sha256(content).hexdigest(), 230_400)


class IntoReader(ScriptedReader):
    """Reads as ``io.BufferedReader`` does, by ``readinto``."""

    def read(self, stream, options):
        with io.BufferedReader(stream, 1_000) as buffered:
            text = buffered.read()
        yield batch(hashlib.sha256(text).hexdigest()[:30])


def test_a_reader_may_wrap_the_stream(store):
    content = bytes(range(256)) * 900
    plugins = load_plugins(entry_points=False, extra=[("into", Adds(IntoReader()))])
    report = take(store, content, plugins)

    assert report.sha256 == hashlib.sha256(content).hexdigest()
    assert store.claims.find(NORTHSIDE, hashlib.sha256(content).hexdigest()[:30]) is not None


def test_kinds_come_in_order_of_appearance_also_without_claims(store):
    mixed = ClaimBatch(
        claims=[
            make_claim(kind=ClaimKind.PROFESSIONAL, lines=[make_line(), make_line(number="2")]),
            make_claim(patient_control_number="S2", flags=["claim_unbalanced"], paid=1_00),
        ],
        kinds=(ClaimKind.DENTAL, ClaimKind.REMITTANCE),
        notices=[
            Notice(code="isa_width", message="odd"),
            Notice(code="truncated", message="cut", kind=ClaimKind.REMITTANCE),
        ],
        problems=[problem(kind=ClaimKind.INSTITUTIONAL)],
    )
    report = take(store, b"x", scripted(mixed))

    assert list(report.kinds) == [
        ClaimKind.DENTAL,
        ClaimKind.REMITTANCE,
        ClaimKind.PROFESSIONAL,
        ClaimKind.INSTITUTIONAL,
    ]
    assert report.kinds[ClaimKind.PROFESSIONAL].lines == 2
    assert report.kinds[ClaimKind.DENTAL].notices == {"isa_width": 1}
    assert report.kinds[ClaimKind.REMITTANCE].notices == {"truncated": 1, "claim_unbalanced": 1}
    assert report.kinds[ClaimKind.INSTITUTIONAL].rejected == 1
    assert report.rejected == 1


def test_a_notice_of_a_file_without_kinds_is_kept(store):
    report = take(store, b"x", scripted(ClaimBatch(notices=[Notice(code="odd", message="odd")])))

    assert report.kinds[ClaimKind.CSV].notices == {"odd": 1}


class Refuser:
    """A normalizer that moves hopeless claims to the problems."""

    name = "refuser"
    after = ("payers",)

    def normalize(self, batch, context):
        hopeless = [one for one in batch.claims if one.payer == "ZORGLUB"]
        for one in hopeless:
            batch.claims.remove(one)
            batch.problems.append(problem(position=one.position, code="payer_banned"))


def test_a_normalizer_of_a_plugin_runs_in_its_place_and_may_reject(store):
    plugins = load_plugins(entry_points=False, extra=[("r", Adds(normalizer=Refuser()))])
    rows = [*claims(2), ROW.replace("A1", "A9").replace("BLUE LAKE MUTUAL", "Zorglub Inc.")]
    report = take(store, rows, plugins)

    assert (report.added.new, [one.code for one in report.problems]) == (2, ["payer_banned"])


# -- progress and problems ----------------------------------------------------------------------


def test_progress_rises_to_the_size_of_the_file(plugins):
    content = table(*claims(50))
    seen = []
    preview(content, plugins, progress=lambda *one: seen.append(one), **in_batches(10))

    steps, done, totals = zip(*seen, strict=True)
    assert set(steps) == {"reading billing.csv"}
    assert list(done) == sorted(done)
    assert seen[-1] == ("reading billing.csv", len(content), len(content))
    assert set(totals) == {len(content)}


class Pipe(io.RawIOBase):
    """A stream that nobody can seek, such as standard input."""

    def __init__(self, content):
        self._left = io.BytesIO(content)

    def read(self, size=-1):
        # A pipe gives less than was asked for.
        return self._left.read(min(size, 11) if size >= 0 else -1)

    def tell(self):
        raise OSError("not seekable")


def test_a_pipe_is_read_as_well_and_its_size_is_told_at_the_end(plugins):
    content = table(*claims(50))
    seen = []
    report = preview_claims(
        Pipe(content),
        name="-",
        plugins=plugins,
        progress=lambda *one: seen.append(one),
        **in_batches(10),
    )

    assert (report.claims, report.sha256) == (50, hashlib.sha256(content).hexdigest())
    assert seen[0][2] is None
    assert seen[-1] == ("reading -", len(content), len(content))


def preview(content, plugins, **options):
    return preview_claims(io.BytesIO(content), name="billing.csv", plugins=plugins, **options)


def test_a_preview_says_the_same_and_keeps_nothing(store, plugins):
    content = table(*claims(3), BAD)
    previewed, imported = preview(content, plugins), take(store, content, plugins)

    assert (previewed.kinds, previewed.problems) == (imported.kinds, imported.problems)
    assert (previewed.added.new, imported.added.new) == (0, 3)


def test_a_report_keeps_a_thousand_problems_and_tells_of_all(plugins):
    told = []
    bad = [BAD.replace("B7", f"B{n}") for n in range(1_200)]
    report = preview(
        table(*claims(20), *bad),
        plugins,
        on_problem=told.append,
        options=ReadOptions(max_problems=5_000, max_problem_share=1, batch_size=100),
    )

    assert (len(report.problems), report.rejected, len(told)) == (1_000, 1_200, 1_200)
    assert [one.position for one in told] == list(range(22, 1_222))


# -- repair files -------------------------------------------------------------------------------


def problem(**values):
    return RowProblem(
        **{
            "code": "money_invalid",
            "message": "this is not an amount",
            "remedy": "Write amounts as 1234.50",
            "position": 7,
            "kind": ClaimKind.CSV,
            "field_name": "paid",
            **values,
        }
    )


def repaired(problems, **options):
    out = io.BytesIO()
    repair_csv(problems, out, **options)
    assert not out.closed
    return out.getvalue()


def rows_of(content):
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def test_c3_a_repaired_file_can_be_imported_as_it_is(store, plugins):
    """Trap: one bad amount failed the whole file, and the bad row was gone."""
    first = take(store, [*claims(2), BAD, BAD.replace("B7", "B8"), *claims(1, first=3)], plugins)
    content = repaired(first.problems, header=first.header)
    fixed = content.replace(b"sixty", b"60.00", 1)

    second = take(store, fixed, plugins, upload="upl_fixed")

    assert (first.added.new, [one.code for one in first.problems]) == (3, ["money_invalid"] * 2)
    assert (second.added.new, [one.position for one in second.problems]) == (1, [3])
    assert second.kinds[ClaimKind.CSV].notices == {}
    assert store.claims.find(NORTHSIDE, "B7").paid == 60_00


def test_a_row_comes_with_its_reasons_behind_it():
    content = repaired([problem(raw=("A1", "sixty"), header=("claim id", "paid"))])

    assert content.startswith(b"\xef\xbb\xbf")
    assert rows_of(content) == [
        ["claim id", "paid", "claimkit line", "claimkit code", "claimkit column",
         "claimkit problem", "claimkit remedy"],
        ["A1", "sixty", "7", "money_invalid", "paid", "this is not an amount",
         "Write amounts as 1234.50"],
    ]  # fmt: skip


def test_rows_of_several_files_share_one_header():
    content = repaired(
        [
            problem(raw=("A1", "x"), header=("claim id", "paid")),
            problem(raw=("y", "B2"), header=("amount", "claim id")),
            problem(raw=("C3",)),
        ],
        header=("claim id",),
    )

    assert [row[:3] for row in rows_of(content)] == [
        ["claim id", "paid", "amount"],
        ["A1", "x", ""],
        ["B2", "", "y"],
        ["C3", "", ""],
    ]


def test_columns_of_one_name_and_spare_cells_stay_apart():
    content = repaired(
        [
            problem(raw=("1", "2", "3", "4"), header=("mod", "mod")),
            problem(raw=("5",), header=("mod", "mod")),
        ]
    )

    assert [row[:4] for row in rows_of(content)] == [
        ["mod", "mod", "(more)", "(more)"],
        ["1", "2", "3", "4"],
        ["5", "", "", ""],
    ]


def test_no_problems_make_a_file_of_a_header():
    assert rows_of(repaired([])) == [
        ["claimkit line", "claimkit code", "claimkit column", "claimkit problem", "claimkit remedy"]
    ]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|x", "'+cmd|x"), ("\tx", "'\tx"),
        ("-2+3", "'-2+3"), ("  =1", "'  =1"), ("＝1", "'＝1"), ("a\n=1", "a\n'=1"),
        ("\ufeff=1", "'\ufeff=1"), ("|x", "'|x"),
        # Amounts stay amounts.
        ("-12.50", "-12.50"), ("+7", "+7"), ("-$1,234.50", "-$1,234.50"), ("(5)", "(5)"),
        ("plain", "plain"), ("", ""),
    ],
)  # fmt: skip
def test_a_repair_file_starts_no_formula(cell, written):
    content = repaired(
        [problem(raw=(cell,), header=(cell or "a",), field_name=cell, message=cell, remedy=cell)]
    )

    header, row = rows_of(content)
    assert row[0] == written
    assert header[0] == (written or "a")
    assert row[3:] == [written] * 3


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), max_size=5))
def test_every_cell_comes_back_from_a_repair_file(raws):
    problems = [problem(raw=tuple(raw), header=("a", "b")) for raw in raws]
    clean = [
        [cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row[:-5]]
        for row in rows_of(repaired(problems))[1:]
    ]

    for row, raw in zip(clean, raws, strict=True):
        for at, cell in enumerate(raw):
            expected = cell.replace("\r\n", "\n").replace("\r", "\n")
            assert row[at].replace("'", "") == expected.replace("'", "")


# -- personal details (C7) ----------------------------------------------------------------------

_DETAILS = (
    "jane.doe@mail.example.org",
    "123-45-6789",
    "SSN 237654321",
    "(415) 555-0123",
    "MRN 0077123",
    "Patient: Jane Zorglubine",
)


@pytest.mark.parametrize("name", [one for one in FIELDS if one not in ("member_id", "patient_id")])
def test_c7_a_personal_detail_in_any_column_is_neither_kept_nor_told(
    name, plugins, tmp_path, caplog
):
    """Trap: details typed into free fields were stored, logged and echoed in errors."""
    usual = {
        "claim_id": "A1", "payer_name": "BLUE LAKE", "service_date": "2026-01-02",
        "billed": "100.00", "paid": "60.00", "status": "paid",
    }  # fmt: skip
    rows = [usual | {"claim_id": f"A{n}", name: one} for n, one in enumerate(_DETAILS)]
    out = io.StringIO()
    csv.writer(out).writerows([rows[0], *(row.values() for row in rows)])
    store = SqliteStore(tmp_path / "claims.db")
    listener = Listener("committed")
    try:
        report = take(
            store,
            out.getvalue().encode(),
            plugins,
            listeners=[listener],
            options=ReadOptions(max_problem_share=1),
        )
        kept = b"".join(path.read_bytes() for path in tmp_path.glob("claims.db*"))
        found = store.claims.totals(NORTHSIDE).claims
    except FileRefused as refused:
        report, found, kept = refused, 0, b""
    finally:
        store.close()

    told = f"{report!r}{report}{listener.told!r}{caplog.text}"
    for part in (*_DETAILS, "Zorglubine", "0077123", "237654321", "555-0123"):
        assert part.encode() not in kept
        assert part not in told
    if found:
        assert found + report.rejected == report.rows_read == 6


def test_c7_claims_whose_number_is_a_detail_stay_apart_and_meet_again(store, plugins):
    rows = [ROW.replace("A1", f"123-45-678{n}") for n in range(3)]
    first = take(store, rows, plugins)
    again = take(store, rows, plugins, upload="upl_again")

    assert (first.added.new, again.added.new, again.added.same) == (3, 0, 3)


def test_c7_a_member_is_kept_as_a_token_only(tmp_path, plugins):
    store = SqliteStore(tmp_path / "claims.db")
    take(store, claims(2), plugins)
    tokens = {store.claims.find(NORTHSIDE, one).patient_token for one in ("A1", "A2")}
    store.close()

    assert len(tokens) == 1
    assert len(tokens.pop()) == 32
    assert b"M-7731" not in b"".join(path.read_bytes() for path in tmp_path.glob("claims.db*"))


# -- crashes ------------------------------------------------------------------------------------

_IMPORTER = """
import datetime as dt, io, os, signal, sys
from types import SimpleNamespace
from claimkit.claims.intake import import_claims
from claimkit.claims.readers import ReadOptions
from claimkit.events import Bus
from claimkit.plugins import load_plugins
from claimkit.stores.sqlite import SqliteStore

batches = []
def on_batch(batch, added):
    batches.append(added)
    if len(batches) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

with open(sys.argv[2], "rb") as stream:
    import_claims(stream, name="billing.csv", tenant="northside", store=SqliteStore(sys.argv[1]),
        plugins=load_plugins(entry_points=False), bus=Bus([]), upload="upl_killed",
        clock=SimpleNamespace(now=lambda: dt.datetime(2026, 4, 2, tzinfo=dt.UTC)),
        patient_key=b"a key of the tenant, not of anyone else",
        options=ReadOptions(batch_size=10), on_batch=on_batch)
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed_in", [1, 4])
def test_c4_a_killed_import_leaves_whole_batches_and_the_same_file_completes_it(
    killed_in, tmp_path, plugins
):
    content = table(*claims(50))
    (tmp_path / "billing.csv").write_bytes(content)
    arguments = [tmp_path / "claims.db", tmp_path / "billing.csv", killed_in]
    killed = subprocess.run([sys.executable, "-c", _IMPORTER, *map(str, arguments)], check=False)
    store = SqliteStore(tmp_path / "claims.db")
    left = store.claims.totals(NORTHSIDE)
    completed = take(store, content, plugins)
    clean = MemoryStore()
    take(clean, content, plugins)
    both = [
        [one for page in each.claims.scan(NORTHSIDE) for one in page] for each in (store, clean)
    ]
    store.close()

    assert killed.returncode == -signal.SIGKILL
    assert left.claims == 10 * (killed_in - 1)
    assert (completed.added.new, completed.added.same) == (50 - left.claims, left.claims)
    for one, other in zip(*both, strict=True):
        one.upload = other.upload
        assert one == other


# -- the traps of C2 and C3 ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "paid"),
    [("-12.50", -12_50), ("$1,234.50", 1_234_50), ("(12.00)", -12_00)],
)
def test_c3_a_negative_or_formatted_amount_is_that_amount_never_null(store, plugins, cell, paid):
    """Traps: a negative amount failed the whole file, and ``$1,234.50`` became NULL."""
    report = take(store, [*claims(1, first=2), ROW.replace("60.00", f'"{cell}"')], plugins)

    assert (report.added.new, report.rejected) == (2, 0)
    assert store.claims.find(NORTHSIDE, "A1").paid == paid


def test_c3_nan_rejects_its_row_and_nothing_else(store, plugins):
    """Trap: "nan" aborted the import."""
    report = take(store, [*claims(3, first=2), ROW.replace("60.00", "nan")], plugins)

    assert (report.added.new, [one.code for one in report.problems]) == (3, ["money_invalid"])


def test_c3_a_byte_order_mark_is_no_part_of_the_header(store, plugins):
    """Trap: a BOM broke the header."""
    report = take(store, b"\xef\xbb\xbf" + table(ROW), plugins)

    assert (report.added.new, report.header[0]) == (1, "claim id")


def test_c2_an_export_as_billing_systems_write_them_is_read_whole(store, plugins):
    """Title lines, semicolons, cp1252, US dates, dollar signs, a footer: all in one file."""
    text = (
        "Claims Detail Report\nRun 04/02/2026\n\n"
        "Acct #;Primary Insurance;CPT/HCPCS;DOS;Bill Date;Check Date;Charge Amt;Ins Paid;Status\n"
        '00012;PEÑA MUTUAL;99213-25;01/02/2026;1/3/26;01/20/2026;"$1,234.50";(12.00);Paid\n'
        "00013;PEÑA MUTUAL;99213.0;01/05/2026;;;80;;Pending\n"
        "Total;;;;;;1314.50;-12.00;\n"
    )
    report = take(store, text.encode("cp1252"), plugins)
    paid, pending = (store.claims.find(NORTHSIDE, one) for one in ("00012", "00013"))

    assert (report.added.new, [one.code for one in report.problems]) == (2, ["totals_row"])
    assert (paid.payer, paid.charge, paid.paid) == ("PEÑA MUTUAL", 1_234_50, -12_00)
    assert (paid.service_from, paid.submitted_on) == (dt.date(2026, 1, 2), dt.date(2026, 1, 3))
    assert (pending.procedure_code, pending.outcome) == ("99213", Outcome.PENDING)
    assert report.rows_read == report.rows_accepted + report.rows_skipped + report.rejected == 3


def test_c1_what_a_payer_corrects_and_takes_back_updates_the_claim(store, plugins):
    take(store, [ROW], plugins)
    corrected = take(store, [ROW.replace("60.00", "75.00")], plugins, upload="upl_2")
    after = store.claims.find(NORTHSIDE, "A1").paid
    reversal = ROW.replace("2026-01-20", "2026-02-20").replace("60.00", "-75.00")
    take(store, [reversal.replace("PAID", "Reversed")], plugins, upload="upl_3")
    found = store.claims.find(NORTHSIDE, "A1")

    assert (corrected.added.changed, after) == (1, 75_00)
    assert (found.outcome, found.paid, found.reversals) == (Outcome.REVERSED, 0, 1)


def test_c1_pending_claims_are_stored(store, plugins):
    take(store, ["A1,BLUE LAKE,99213,2026-01-02,2026-01-03,,100.00,,,PENDING,M-1"], plugins)

    assert store.claims.find(NORTHSIDE, "A1").outcome is Outcome.PENDING
    assert store.claims.totals(NORTHSIDE).pending == 1
