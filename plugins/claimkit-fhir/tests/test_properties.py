"""What holds of any file: written is read, broken is refused or told, never a crash."""

from __future__ import annotations

import datetime as dt
import io
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from claimkit.claims.readers import Confidence
from claimkit.errors import FileRefused

NAMES = ("resourceType", "id", "identifier", "status", "use", "outcome", "type", "patient",
         "created", "insurer", "provider", "insurance", "item", "addItem", "total", "adjudication",
         "payment", "claim", "request", "related", "supportingInfo", "diagnosis", "careTeam",
         "contained", "entry", "resource", "fullUrl", "coding", "code", "system", "value",
         "currency", "amount", "category", "reason", "reference", "display", "sequence", "focal",
         "coverage", "preAuthRef", "quantity", "net", "unitPrice", "servicedDate",
         "servicedPeriod", "start", "end", "date", "billablePeriod", "modifier")  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["Claim", "ClaimResponse", "ExplanationOfBenefit", "Bundle", "active",
                       "cancelled", "complete", "queued", "benefit", "submitted", "noncovered",
                       "CO", "197", "2026-01", "2026-01-05", "USD", "#x", "Claim/c1", "urn:uuid:1",
                       "prior", "professional", "typeofbill"])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(["Claim", "ClaimResponse", "ExplanationOfBenefit"])
NUMBERS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", min_size=1, max_size=38)
CENTS = st.integers(min_value=0, max_value=10**9)
DAYS = st.dates(dt.date(1971, 1, 1), dt.date(2098, 12, 31))


class Trickle(io.RawIOBase):
    def __init__(self, content, by):
        super().__init__()
        self._stream, self._by = io.BytesIO(content), by

    def read(self, size=-1):
        return self._stream.read(min(size, self._by))


def read_or_refuse(read, content):
    try:
        found, reason = read(content), ""
    except FileRefused as refused:
        found, reason = None, str(refused)
    assert "\n" not in reason
    if found is None:
        return None
    assert found.batches
    for one in found.problems:
        assert one.position > 0
        assert one.code
        assert one.message
        assert one.remedy
    positions = [one.position for one in found.claims]
    assert positions == sorted(positions)
    for one in found.claims:
        assert one.patient_control_number
        assert isinstance(one.charge, int)
        assert isinstance(one.paid, int)
        str(one).encode("utf-8")
    return found


@given(VALUES)
def test_any_json_is_read_or_refused(read, value):
    read_or_refuse(read, json.dumps(value).encode())


@given(KINDS, st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
def test_any_resource_is_read_or_told(read, claim, kind, other):
    content = {**claim(), **other, "resourceType": kind}

    read_or_refuse(read, json.dumps(content).encode())


@settings(max_examples=40)
@given(st.lists(VALUES, max_size=4), st.integers(0, 9))
def test_any_entries_and_any_lines_cost_no_other(read, claim, values, at):
    values.insert(at % (len(values) + 1), claim())
    bundle = {"resourceType": "Bundle", "entry": [{"resource": one} for one in values]}
    lines = "\n".join(json.dumps(one) for one in [claim(), *values])

    for content, least in ((json.dumps(bundle), 1), (lines, 2)):
        found = read_or_refuse(read, content.encode())
        assert len(found.claims) >= least


@given(st.binary(max_size=300), st.sampled_from([b"", b"{", b'{"resourceType": "Claim"}\n']))
def test_any_bytes_are_judged_and_read_or_refused(read, fhir, tail, head):
    assert fhir.sniff(head + tail, "") in Confidence

    read_or_refuse(read, head + tail)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(NUMBERS, CENTS, DAYS), min_size=1, max_size=6),
    st.sampled_from([1, 7, 64, 1 << 20]),
)
def test_claims_are_read_as_they_were_written(read, claim, said, by):
    lines = "\n".join(
        json.dumps(claim(identifier=[{"value": number}], created=str(day), item=None)).replace(
            '"value": 320.0', f'"value": {cents // 100}.{cents % 100:02d}'
        )
        for number, cents, day in said
    )
    found = read(Trickle(lines.encode(), by))

    assert [
        (one.patient_control_number, one.charge, one.submitted_on) for one in found.claims
    ] == said
    assert found.problems == found.notices == []
    assert found.batches[-1].bytes_read == len(lines)


@given(st.floats(0, 1))
def test_a_file_cut_anywhere_loses_only_what_is_behind_the_cut(read, claim, ndjson, share):
    content = ndjson(claim(), claim(), claim())
    length = len(content) // 3
    cut = content[: max(1, int(len(content) * share))]
    found = read_or_refuse(read, cut.encode())

    if len(cut) >= length:
        assert len(found.claims) >= len(cut) // length
