"""What every normalizer must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import copy
import datetime as dt
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimkit.claims.model import ClaimBatch, Outcome
from claimkit.claims.normalize import NormalizeContext
from claimkit.testing.conformance.suite import plugin_property
from claimkit.testing.factories import make_batch, make_claim, make_line
from claimkit.testing.strategies import claims

if TYPE_CHECKING:
    from claimkit.claims.model import Claim
    from claimkit.claims.normalize import Normalizer

__all__ = ["NormalizerConformance"]

#: Claims take long to draw.
_property = settings(plugin_property, max_examples=8)
_CONTEXT = NormalizeContext(patient_key=b"zorglub" * 5, source_name="era_0412.835")
#: What an attentive reader of a log would recognize.
_MEMBER, _NUMBER, _PATIENT = "W417093355", "PCN-SPIROU-0417", "Seccotine Bobbyson"
_FILLED = ("payer", "base_payer", "base_group", "procedure_group", "reason", "category", "remark",
           "patient_token")  # fmt: skip
_DATES = ("service_from", "service_to", "submitted_on", "received_on", "decided_on", "paid_on")


def _as_read(claim: Claim) -> Claim:
    """Return the claim as a reader gives it, before anything was filled in."""
    empty: dict[str, str] = dict.fromkeys(_FILLED, "")
    return replace(claim, outcome=Outcome.PENDING, **empty)  # type: ignore[arg-type]


@st.composite
def _read_batches(draw: st.DrawFn) -> ClaimBatch:
    drawn = draw(st.lists(claims(), max_size=3))
    texts = st.text(max_size=12) | st.sampled_from(["", "\x00", "  ", "=1+1", "Ünïted\n"])
    read = []
    for one in drawn:
        odd: dict[str, str] = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "payer_name": texts,
                    "payer_id": texts,
                    "facility": texts,
                    "status": texts,
                    "drg": texts,
                    "procedure_code": texts,
                    "authorization_number": texts,
                },
            )
        )
        read.append(replace(_as_read(one), **odd))  # type: ignore[arg-type]
    return ClaimBatch(claims=read)


class NormalizerConformance:
    """Subclass it and give it the fixture ``normalizer``."""

    #: False where it cleans each claim by what else is in its batch.
    judges_each_claim_alone: ClassVar[bool] = True

    @pytest.fixture
    def normalizer(self) -> Normalizer:
        """Override: the normalizer under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'normalizer'")

    def test_its_name_is_a_word_and_it_waits_for_others(self, normalizer: Normalizer) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", normalizer.name)
        assert isinstance(normalizer.after, tuple)
        assert all(isinstance(name, str) and name for name in normalizer.after)
        assert normalizer.name not in normalizer.after

    def test_a_batch_without_claims_stays_one(self, normalizer: Normalizer) -> None:
        batch = ClaimBatch()

        normalizer.normalize(batch, _CONTEXT)

        assert batch == ClaimBatch()

    @_property
    @given(batch=_read_batches())
    def test_no_claim_is_lost_or_doubled(self, normalizer: Normalizer, batch: ClaimBatch) -> None:
        before = list(batch.claims)

        normalizer.normalize(batch, _CONTEXT)

        kept = [id(one) for one in batch.claims]
        assert [id(one) for one in before if id(one) in set(kept)] == kept
        assert len(batch.claims) + len(batch.problems) == len(before)

    @_property
    @given(batch=_read_batches())
    def test_what_it_cannot_repair_it_explains(
        self, normalizer: Normalizer, batch: ClaimBatch
    ) -> None:
        kinds = {one.kind for one in batch.claims}

        normalizer.normalize(batch, _CONTEXT)

        for problem in batch.problems:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", problem.code)
            assert problem.message
            assert problem.remedy
            assert problem.position > 0
            assert problem.kind in kinds

    @_property
    @given(batch=_read_batches())
    def test_values_keep_their_types(self, normalizer: Normalizer, batch: ClaimBatch) -> None:
        normalizer.normalize(batch, _CONTEXT)

        for claim in batch.claims:
            # Money is whole cents: neither a float nor a Decimal may slip in.
            assert {type(claim.charge), type(claim.paid), type(claim.patient_responsibility)} == {
                int
            }
            assert claim.allowed is None or type(claim.allowed) is int
            assert isinstance(claim.outcome, Outcome)
            for name in _DATES:
                assert getattr(claim, name) is None or type(getattr(claim, name)) is dt.date, name
            for one in fields(claim):
                if one.type == "str":
                    assert isinstance(getattr(claim, one.name), str), one.name

    @_property
    @given(batch=_read_batches())
    def test_the_same_batch_becomes_the_same(
        self, normalizer: Normalizer, batch: ClaimBatch
    ) -> None:
        again = copy.deepcopy(batch)

        normalizer.normalize(batch, _CONTEXT)
        normalizer.normalize(again, _CONTEXT)

        assert again == batch

    @_property
    @given(batch=_read_batches())
    def test_it_does_not_matter_how_a_file_is_cut_into_batches(
        self, normalizer: Normalizer, batch: ClaimBatch
    ) -> None:
        if not self.judges_each_claim_alone:
            pytest.skip("the normalizer says that it looks at a whole batch")
        single = [ClaimBatch(claims=[copy.deepcopy(one)]) for one in reversed(batch.claims)]

        normalizer.normalize(batch, _CONTEXT)
        for one in single:
            normalizer.normalize(one, _CONTEXT)

        assert [claim for one in reversed(single) for claim in one.claims] == batch.claims

    def test_several_threads_normalize_at_the_same_time(self, normalizer: Normalizer) -> None:
        batches = [make_batch([_planted(), _as_read(make_claim())]) for _ in range(8)]

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one: normalizer.normalize(one, _CONTEXT), batches))

        assert batches == [batches[0]] * len(batches)

    def test_nothing_of_a_patient_is_logged_printed_or_explained(
        self,
        normalizer: Normalizer,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        batch = make_batch([_planted()])

        with caplog.at_level(logging.DEBUG):
            normalizer.normalize(batch, _CONTEXT)

        printed = capsys.readouterr()
        told = [printed.out, printed.err, *(f"{one.message} {one.value}" for one in batch.problems)]
        told += [str(vars(record)) for record in caplog.records]
        for secret in (_MEMBER, _NUMBER, _PATIENT, _CONTEXT.patient_key.decode()):
            assert not any(secret in one for one in told)


def _planted() -> Claim:
    """Return a claim as read, with what may be seen nowhere."""
    return _as_read(
        make_claim(
            patient_control_number=_NUMBER,
            member_id=_MEMBER,
            authorization_number=f"patient: {_PATIENT}",
            service_from=None,
            lines=[make_line(procedure_code=_PATIENT)],
        )
    )
