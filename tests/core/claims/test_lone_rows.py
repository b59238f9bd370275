"""Rows as columns are the same claims, problems and notices as rows one by one."""

from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims import csv
from claimkit.claims.csv import CsvReader
from claimkit.claims.ledger import facts_of, fold, statements_in
from claimkit.claims.lone_statements import lone_claim_keys, lone_news
from claimkit.claims.mapping import ClaimMapping, MappingRule, Match, Subject
from claimkit.claims.model import ClaimEvent, ClaimPosition
from claimkit.claims.newcomers import claim_keys
from claimkit.claims.normalize import NormalizeContext, builtin_normalizers
from claimkit.claims.quality import ProfileBuilder
from claimkit.claims.readers import MOST_RECORDS, ReadOptions, options_for
from claimkit.errors import FileRefused
from claimkit.events import FactsChange

KNOWN_ON = dt.date(2026, 4, 1)
CONTEXT = NormalizeContext(patient_key=b"k" * 32)
#: Header → cells, the usual one first.
CELLS = {
    "Claim ID": ("", "A1", " A2 ", "a-2", "1.5E+12", "TOTAL", "9" * 70, "A\u00a07", "N/A"),
    "Payer": ("Blue Lake", "", "MERIDIAN, OH", "  blue  lake", "\u00c9toile Health", "n/a"),
    "Payer ID": ("60054", "", "071012"),
    "CPT": ("99213", "99213-25", "99213.0", "J1885", "no", "", "hc:99214:25:59"),
    "Mod": ("", "25", "59 LT", "?!"),
    "Rev Code": ("", "0450"),
    "Units": ("1", "", "2.5", "0", "many"),
    "DOS": ("01/05/2026", "2026-01-05", "13/01/2026", "", "soon", "02/30/2026"),
    "To Date": ("", "01/07/2026", "x"),
    "Bill Date": ("01/06/2026", "", "2026-01-07"),
    "Received Date": ("", "2026-01-08"),
    "Decision Date": ("2026-01-20", "", "1/21/2026"),
    "Check Date": ("", "2026-01-22"),
    "Charge": ("120.00", "$1,250.00", "-5.00", "(5.00)", "", "much", "0", "1e300"),
    "Allowed": ("100.00", "", "0.00"),
    "Ins Paid": ("80.00", "", "0", "-1.00", "nan"),
    "Pt Resp": ("20.00", "", "x"),
    "Copay": ("", "5.00", "0"),
    "Contractual": ("", "20.00"),
    "Status": ("Paid", "Denied", "", "Pending", "Reversed", "who knows", "partial", "rejected"),
    "Denial Code": ("", "CO-197", "CO45", "16"),
    "RARC": ("", "N130"),
    "Member ID": ("M1", "", "m-1", "M2"),
    "ICN": ("", "60054000000011"),
    "Frequency": ("", "1", "7", "8"),
    "Facility": ("Main", "", "call 555-123-4567"),
    "Auth": ("", "AUTH-1", "jane@example.org"),
    "Line": ("", "1", "2"),
}  # fmt: skip
MUST = ("Claim ID", "Payer", "DOS", "Charge", "Ins Paid", "Status")
WHOLE_LINES = (
    "", ",,,,", "a,b", '"never closed', 'x,"two\nlines",y', "nul\0byte", "TOTAL,,,9", "\ufeff", '"q" r,s',
)  # fmt: skip


@st.composite
def exports(draw):
    """Return the text of an export: mostly good rows, odd cells, and lines that are no rows."""
    optional = sorted(CELLS.keys() - set(MUST))
    header = [*MUST, *draw(st.lists(st.sampled_from(optional), unique=True))]
    header = draw(st.permutations(header))
    lines = [",".join(header)]
    for number in range(draw(st.integers(min_value=0, max_value=40))):
        if draw(st.integers(0, 19)) == 0:
            lines.append(draw(st.sampled_from([*WHOLE_LINES, lines[0], lines[-1]])))
            continue
        odd = draw(
            st.sets(st.sampled_from(header), max_size=draw(st.sampled_from([0, 0, 1, 2, 9])))
        )
        row = []
        for name in header:
            cell = f"PCN{number}" if name == "Claim ID" else CELLS[name][0]
            if name in odd:
                cell = draw(st.sampled_from(CELLS[name]))
            row.append(f'"{cell}"' if "," in cell or draw(st.integers(0, 9)) == 0 else cell)
        lines.append(",".join(row))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n"]))


def options():
    return st.builds(
        ReadOptions,
        batch_size=st.sampled_from([1, 3, 10, 5_000]),
        max_problems=st.sampled_from([2, 1_000]),
        nulls=st.sampled_from([frozenset(), frozenset({"n/a"})]),
        date_order=st.sampled_from(["", "dmy"]),
    )


def read(text, how, *, columnar):
    """Return the batches of a file, or the code with which it is refused."""
    try:
        stream = io.BytesIO(text.encode())
        return list(CsvReader().read(stream, replace(how, columnar=columnar))), ""
    except FileRefused as refused:
        return [], f"{refused.code} {refused.remedy}"


def normalized(batches):
    for batch in batches:
        for one in builtin_normalizers():
            one.normalize(batch, CONTEXT)
            if batch.lone is not None:
                one.normalize_lone(batch.lone, CONTEXT)
    return batches


def all_of(batches):
    """Return what a file gave in all, in order."""
    found = {
        name: [one for batch in batches for one in getattr(batch, name)]
        for name in ("claims", "problems", "notices")
    }
    counts = Counter()
    for batch in batches:
        counts.update(
            read=batch.rows_read, accepted=batch.rows_accepted, skipped=batch.rows_skipped
        )
    return found, counts, [batch.stopped for batch in batches if batch.stopped]


@given(exports(), options())
def test_columns_unfold_to_the_claims_of_rows_one_by_one(text, how):
    by_row, refused = read(text, how, columnar=False)
    by_column, also_refused = read(text, how, columnar=True)

    assert all(batch.lone is None for batch in by_row)

    for batch in by_column:
        batch.unfold()

    assert also_refused == refused
    assert all_of(by_column) == all_of(by_row)


@given(exports(), options())
def test_normalizers_do_the_same_to_columns(text, how):
    by_row, by_column = (
        normalized(read(text, how, columnar=columnar)[0]) for columnar in (False, True)
    )
    profiles = [ProfileBuilder(), ProfileBuilder()]
    for profile, batches in zip(profiles, (by_row, by_column), strict=True):
        for batch in batches:
            profile.take(batch)
            batch.unfold()

    assert all_of(by_column) == all_of(by_row)
    assert profiles[0].profile() == profiles[1].profile()


RULES = ClaimMapping(
    [
        MappingRule(subject=Subject.PAYER, match=Match.PREFIX, value="Blue", target="Lakes"),
        MappingRule(subject=Subject.PAYER, match=Match.EXACT, value="PI:071012", target="Seven"),
        MappingRule(
            subject=Subject.PROCEDURE_GROUP, match=Match.PREFIX, value="9921", target="visits"
        ),
    ]
)


@given(exports())
def test_rules_name_columns_as_they_name_records(text):
    """Twice, as a store may, which changes nothing more."""
    by_row, by_column = (
        normalized(read(text, ReadOptions(), columnar=columnar)[0]) for columnar in (False, True)
    )
    for batch in (*by_row, *by_column) * 2:
        RULES.apply(batch.claims)
        if batch.lone is not None:
            RULES.apply_lone(batch.lone)
    for batch in by_column:
        batch.unfold()

    assert all_of(by_column) == all_of(by_row)


def test_a_batch_holds_more_claims_as_columns_than_as_records(monkeypatch):
    monkeypatch.setattr(csv, "MOST_RECORDS", 10)
    header = "Claim ID,Payer,DOS,Charge,Ins Paid,Status\n"
    alone = "".join(f"P{n},Blue Lake,01/05/2026,9.00,8.00,paid\n" for n in range(100))
    # Neighbors of one claim are records.
    pairs = "".join(f"Q{n // 2},Blue Lake,01/0{n % 2 + 1}/2026,9.00,8,paid\n" for n in range(100))
    batches, _ = read(header + alone + pairs, ReadOptions(batch_size=40), columnar=True)

    held = [(len(one.lone or ()), len(one.claims)) for one in batches]

    assert max(alone for alone, _ in held) > 30
    assert all(alone + records <= 40 for alone, records in held)
    assert len([records for _, records in held if records >= 10]) > 1
    assert sum(alone for alone, _ in held) < 100


@pytest.mark.parametrize(
    ("asked", "columnar", "makes", "given"),
    [
        (20_000, True, True, 20_000),
        (20_000, True, False, MOST_RECORDS),
        (20_000, False, True, MOST_RECORDS),
        (17, False, False, 17),
    ],
)
def test_readers_of_records_are_asked_for_smaller_batches(asked, columnar, makes, given):
    reader = CsvReader()
    reader.makes_columns = makes

    options = options_for(reader, ReadOptions(batch_size=asked, columnar=columnar))

    assert options == ReadOptions(batch_size=given, columnar=columnar)


def rows_of(kind, columns):
    return [
        kind(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
    ]


@given(exports())
def test_what_columns_say_is_what_statements_and_fold_say(text):
    for batch in normalized(read(text, ReadOptions(), columnar=True)[0]):
        lone = batch.lone
        if lone is None:
            continue
        records = lone.records(range(len(lone)))
        keys = lone_claim_keys(lone)
        news = lone_news(lone, keys, Counter(keys), {}, upload="upl_1", known_on=KNOWN_ON)
        alone = [one for one in records if one not in news.others]
        said = statements_in(alone, upload="upl_1", known_on=KNOWN_ON)
        said.sort(key=lambda one: one.event.claim_key)
        positions = [fold([one.event]) for one in said]
        known = {
            (one.event.claim_key, one.event.event_key): (one.event.content, KNOWN_ON)
            for one in said
        }
        again = lone_news(lone, keys, Counter(keys), known, upload="upl_2", known_on=KNOWN_ON)

        assert keys == claim_keys(records)
        assert rows_of(ClaimEvent, news.fresh.events) == [one.event for one in said]
        assert rows_of(ClaimPosition, news.fresh.positions) == positions
        assert news.fresh.changes() == [FactsChange(None, facts_of(one)) for one in positions]
        assert again.same == len(said)
        assert (len(again.fresh), again.others) == (0, news.others)
        for name in ("number", "procedure_code", "units", "modifiers", "allowed", "service_to"):
            told = list(news.fresh.lone_lines(name)) if said else []
            assert told == [getattr(one.lines[0], name) for one in said]


@pytest.mark.parametrize("content", ["paid", "corrected"])
def test_a_known_claim_is_the_same_or_looked_at_closely(content):
    header = "Claim ID,Payer,DOS,Charge,Ins Paid,Status\n"
    text = header + "".join(f"P{n},Blue Lake,01/05/2026,9.00,8.00,paid\n" for n in range(12))
    (batch,) = normalized(read(text, ReadOptions(), columnar=True)[0])
    records = batch.lone.records(range(len(batch.lone)))
    said = statements_in(records, upload="upl_1", known_on=KNOWN_ON)
    off = content == "corrected"
    known = {
        (one.event.claim_key, one.event.event_key): (one.event.content ^ off, KNOWN_ON)
        for one in said
    }
    keys = lone_claim_keys(batch.lone)
    news = lone_news(batch.lone, keys, Counter(keys), known, upload="upl_2", known_on=KNOWN_ON)

    assert len(records) == 10
    assert (news.same, news.others) == ((0, records) if off else (10, []))
