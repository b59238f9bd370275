from __future__ import annotations

import io
import json
import tracemalloc
from contextlib import closing
from importlib.metadata import entry_points

import pytest

from claimkit.claims.intake import import_claims
from claimkit.claims.model import ClaimKind, Outcome
from claimkit.claims.readers import Confidence, ReadOptions, choose_reader
from claimkit.errors import FileRefused
from claimkit.events import Bus
from claimkit.plugins import load_plugins
from claimkit.stores.memory import MemoryStore
from claimkit.types import SystemClock, TenantKey
from claimkit_fhir import documents, references

KEY = b"0123456789abcdef0123456789abcdef"


def numbers(found):
    return [one.patient_control_number for one in found.claims]


def problems(found):
    return [(one.code, one.position, one.field_name) for one in found.problems]


# -- how it is found -----------------------------------------------------------------------


def test_the_plugin_is_found_by_its_entry_point():
    (point,) = entry_points(group="claimkit", name="fhir")
    (plugin,) = [one for one in load_plugins().loaded if one.name == "fhir"]

    assert point.value == "claimkit_fhir.plugin"
    assert plugin.distribution.startswith("claimkit-fhir")
    assert plugin.adds == {"readers": ("fhir",)}


@pytest.mark.parametrize(
    ("head", "confidence"),
    [
        (b"", Confidence.NO),
        (b"claim id,payer,billed\n1,2,3\n", Confidence.NO),
        (b"ISA*00*  ~", Confidence.NO),
        (b'claim id,"{""resourceType"": ""Claim""}"\n', Confidence.NO),
        (b'{"resourceType": "Claim"}', Confidence.CERTAIN),
        (b'\xef\xbb\xbf\n {\n "id": "1",\n "resourceType" : "Bundle"', Confidence.CERTAIN),
        (b'{"resourceType": "Patient"}\n', Confidence.LIKELY),
        (b'{"claims": []}', Confidence.POSSIBLE),
        (b"[1]", Confidence.POSSIBLE),
    ],
)
def test_a_head_is_judged_by_what_it_says_of_itself(fhir, head, confidence):
    assert fhir.sniff(head, "claims.json") is confidence


def test_the_reader_is_chosen_by_content_not_by_name(claim, ndjson):
    readers = load_plugins().readers

    assert choose_reader(ndjson(claim()).encode(), "claims.csv", readers).name == "fhir"
    assert choose_reader(b'{"a": 1}', "claims.json", readers).name == "fhir"
    assert choose_reader(b"claim id,payer,billed\n1,2,3\n", "a.ndjson", readers).name == "csv"


# -- a resource, a Bundle, NDJSON ----------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\n \n"])
def test_a_resource_and_a_bundle_may_be_written_in_any_way(
    read, claim, eob, response, bundle, indent, mark
):
    alone = read(mark + json.dumps(claim(), indent=indent))
    together = read(mark + json.dumps(bundle(claim(), response(), eob()), indent=indent))

    assert numbers(alone) == ["PCN-000417"]
    assert numbers(together) == ["PCN-000417"] * 3
    assert [one.position for one in together.claims] == [1, 2, 3]
    assert {one.kind for one in together.claims} == {ClaimKind.FHIR}
    assert together.batches[-1].kinds == (ClaimKind.FHIR,)
    assert together.problems == together.notices == []


def test_a_byte_order_mark_may_come_in_pieces(fhir, read, claim):
    content = b"\xef\xbb\xbf" + json.dumps(claim()).encode()
    pieces = iter([content[:1], content[1:2], content[2:]])
    stream = io.BytesIO()
    stream.read = lambda size: next(pieces, b"")
    found = read(stream)

    assert numbers(found) == ["PCN-000417"]
    assert found.batches[-1].bytes_read == len(content)


def test_a_mark_alone_is_an_empty_file(read):
    for content in (b"\xef", b"\xef\xbb\xbf"):
        with pytest.raises(FileRefused):
            read(content)


def test_entries_that_are_no_list_cost_their_bundle(read, claim, bundle, ndjson):
    found = read(ndjson(claim(), bundle(entry={"resource": claim()})))

    assert len(found.claims) == 1
    assert problems(found) == [("resource_invalid", 2, "Bundle.entry")]


def test_only_so_many_claims_are_remembered(read, claim, response, told, ndjson, monkeypatch):
    monkeypatch.setattr(references, "_REMEMBERED", 2)
    sent = [claim(id=f"c{at}") for at in range(3)]
    answers = [
        response(request={"reference": f"Claim/c{at}"}, total=[told("benefit", 1)])
        for at in range(3)
    ]
    found = read(ndjson(*sent, *answers))

    assert [one.position for one in found.claims] == [1, 2, 3, 5, 6]
    assert problems(found) == [("charge_missing", 4, "ClaimResponse.total")]


def test_lines_are_resources(read, claim, eob, ndjson):
    content = ndjson(claim(), "", eob(), {"resourceType": "Patient"}, {"resourceType": "Patient"})
    found = read(content)

    assert [one.position for one in found.claims] == [1, 3]
    assert [(one.code, one.position, one.message) for one in found.notices] == [
        ("resource_ignored", 4, "Patient is no claim and no decision about one")
    ]
    assert found.batches[-1].bytes_read == len(content)


def test_the_last_line_needs_no_end_and_lines_may_end_as_windows_ends_them(read, claim, ndjson):
    content = ndjson(claim(), claim())

    assert len(read(content.rstrip("\n")).claims) == 2
    assert len(read(content.replace("\n", "\r\n")).claims) == 2


def test_a_line_may_be_a_bundle(read, claim, response, bundle, ndjson):
    found = read(ndjson(bundle(claim(), response()), bundle(claim())))

    assert [one.position for one in found.claims] == [1, 1, 2]


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(
    "line", ['{"resourceType": "Cla', "NaN", "\x00", "{}", "[1]", '{"a":NaN}', "}"]
)
def test_a_bad_line_costs_itself(read, claim, ndjson, at, line):
    lines = [claim(), claim()]
    lines.insert(at, line)
    found = read(ndjson(*lines))

    assert len(found.claims) == 2
    ((code, position, _),) = problems(found)
    assert (code in ("json_invalid", "resource_invalid"), position) == (True, at + 1)


def test_bytes_that_are_no_text_cost_their_line(read, claim, ndjson):
    content = ndjson(claim()).encode() + b'{"resourceType": "\xff"}\n' + ndjson(claim()).encode()

    assert problems(read(content)) == [("json_invalid", 2, "")]


def test_a_bad_entry_costs_itself(read, claim, bundle):
    content = bundle(claim(), claim(total={"value": "12"}), claim())
    content["entry"] += [{"response": {"status": "204"}}, {"resource": 5}, "entry"]
    found = read(content)

    assert [one.position for one in found.claims] == [1, 3]
    assert problems(found) == [
        ("money_invalid", 2, "Claim.total.value"),
        ("resource_invalid", 5, "Bundle.entry[4].resource"),
        ("resource_invalid", 6, "Bundle.entry[5].resource"),
    ]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e" + "9" * 30, "9" * 5_000])
def test_a_number_that_is_none_costs_its_entry(read, claim, bundle, number):
    content = json.dumps(bundle(claim(), claim(total={"value": 417417}), claim()))
    found = read(content.replace("417417", number))

    assert [one.position for one in found.claims] == [1, 3]
    assert [(one.position, one.field_name) for one in found.problems] == [(2, "Claim.total.value")]


def test_nothing_that_a_resource_says_is_in_a_problem_or_a_notice(read, claim, ndjson):
    secret = "Bobby Sample 1971-02-03"
    found = read(
        ndjson(
            claim(),
            claim(status=secret),
            claim(total={"value": secret}),
            claim(created=secret),
            claim(identifier=[{"value": secret * 9}]),
            claim(item=secret),
            f'{{"resourceType": "Claim", "{secret}',
        )
    )

    assert len(found.problems) == 5
    assert found.codes == ["date_invalid"]
    assert "Bobby" not in repr(found.problems + found.notices)


def test_a_bundle_without_entries_holds_no_claims(read, bundle):
    found = read(bundle())

    assert [(one.claims, one.kinds) for one in found.batches] == [([], (ClaimKind.FHIR,))]


# -- refused as a whole --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty. Ask the sender for it again"),
        ('{"claims": []}', "this is JSON and no FHIR: it has no resourceType"),
        ("[1, 2]", "this is JSON and no FHIR: it is not an object"),
        ("[\n{\n}\n]", "this is JSON and no FHIR: it is not an object"),
        ('{\n"resourceType": "Claim",\n', "this is not a JSON document, or it is cut off"),
        ("[" * 100_000, "this is not a JSON document, or it is cut off"),
        ('{"resourceType": "Patient"}', "this FHIR file holds no Claim, ClaimResponse or"),
        ('{"a": 1}\n{"b": 2}\n', "this FHIR file holds no Claim, ClaimResponse or"),
    ],
)
def test_a_file_without_claims_is_refused_with_one_clear_line(read, content, reason):
    with pytest.raises(FileRefused) as refused:
        read(content)

    assert str(refused.value).startswith(reason)


def test_a_document_that_is_too_large_is_refused(read, claim, bundle, monkeypatch):
    monkeypatch.setattr(documents, "MAX_DOCUMENT", 1 << 20)
    content = json.dumps(bundle(*[claim()] * 900), indent=8)
    assert len(content) > 1 << 20 > len(json.dumps(json.loads(content))) > 1 << 19

    with pytest.raises(FileRefused, match=r"larger than 1 MiB\. Ask the sender for NDJSON"):
        read(content)
    assert len(read(json.dumps(json.loads(content))).claims) == 900
    with pytest.raises(FileRefused, match="larger than 1 MiB"):
        read(json.dumps({**json.loads(content), "id": "x" * (1 << 20)}))


def test_a_line_that_is_too_long_costs_itself(read, claim, ndjson, monkeypatch):
    monkeypatch.setattr(documents, "MAX_DOCUMENT", 3 << 20)
    found = read(ndjson(claim(), "x" * (4 << 20), claim()))

    assert [one.position for one in found.claims] == [1, 3]
    assert problems(found) == [("resource_too_long", 2, "")]


# -- batches and limits --------------------------------------------------------------------


def test_batches_hold_as_many_claims_as_asked_for(read, claim, ndjson, bundle):
    for content in (ndjson(*[claim()] * 25), bundle(*[claim()] * 25)):
        found = read(content, batch_size=10)

        assert [len(one.claims) for one in found.batches] == [10, 10, 5]


def test_reading_stops_where_too_much_cannot_be_read(read, claim, ndjson):
    found = read(ndjson(claim(), *["x"] * 9), max_problems=3)

    assert len(found.claims) == 1
    assert found.batches[-1].stopped == "more than 3 resources cannot be taken"
    assert found.codes == ["file_stopped"]
    with pytest.raises(FileRefused, match="more than 3 resources"):
        read(ndjson(claim(total=None, item=None), *["x"] * 9), max_problems=3)


def test_reading_stops_where_too_large_a_share_cannot_be_read(read, claim, ndjson):
    found = read(ndjson(*[claim(), "x"] * 550))

    assert found.batches[-1].stopped == "more than 20% of the resources cannot be taken"
    assert len(found.claims) == len(found.problems) == 500


class Repeated(io.RawIOBase):
    """A stream of one piece over and over, without ever holding it all."""

    def __init__(self, piece, times):
        super().__init__()
        self._more = (piece for _ in range(times))

    def read(self, size=-1):
        return next(self._more, b"")


def peak(fhir, piece, times):
    tracemalloc.start()
    count = sum(
        len(one.claims) for one in fhir.read(Repeated(piece, times), ReadOptions(batch_size=50))
    )
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most, count


def test_memory_does_not_grow_with_the_file(fhir, claim, ndjson):
    piece = ndjson(*[claim()] * 25).encode()
    small, few = peak(fhir, piece, 6)
    large, many = peak(fhir, piece, 24)

    assert (few, many) == (150, 600)
    assert large < small * 1.2


# -- with the rest of claimkit -------------------------------------------------------------


def imported(store, content, name="claims.ndjson"):
    return import_claims(
        io.BytesIO(content.encode()),
        name=name,
        tenant=TenantKey("riverside"),
        store=store,
        plugins=load_plugins(),
        bus=Bus([]),
        clock=SystemClock(),
        patient_key=KEY,
    )


def test_a_claim_and_its_decision_become_one_position_without_a_member_id(claim, eob, ndjson):
    with closing(MemoryStore()) as store:
        report = imported(store, ndjson(claim(), eob()))
        again = imported(store, ndjson(claim(), eob()))
        (position,) = [one for page in store.claims.scan(TenantKey("riverside")) for one in page]

    assert (report.added.new, again.added.new, again.added.changed) == (1, 0, 0)
    assert (position.outcome, position.paid, position.charge) == (Outcome.PAID, 18_500, 32_000)
    assert (position.allowed, position.patient_responsibility) == (21_000, 2_500)
    assert position.lag_days == 36
    assert position.authorization_number == "AUTH-88"
    assert position.patient_token
    assert "p731" not in repr(position)


def test_a_decision_that_is_cancelled_is_taken_back(claim, eob, ndjson):
    with closing(MemoryStore()) as store:
        imported(store, ndjson(claim(), eob(), eob(status="cancelled")))
        (position,) = [one for page in store.claims.scan(TenantKey("riverside")) for one in page]

    assert (position.outcome, position.paid, position.reversals) == (Outcome.REVERSED, 0, 1)


def test_a_denial_keeps_its_reason(claim, eob, told, ndjson):
    item = {**claim()["item"][0], "adjudication": [told("submitted", 320), told("CO", 320, "197")]}
    with closing(MemoryStore()) as store:
        imported(
            store,
            ndjson(eob(item=[item], total=[told("benefit", 0)], payment=None)),
        )
        (position,) = [one for page in store.claims.scan(TenantKey("riverside")) for one in page]

    assert (position.outcome, position.reason) == (Outcome.DENIED, "CO-197")
    assert position.category == "authorization_referral"
