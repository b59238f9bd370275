from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.config import DriftConfig
from claimkit.drift.contracts import (
    ANY_PROCEDURE,
    COLUMNS,
    ContractMeasure,
    ContractRate,
    FeeSchedule,
    contract_rows,
    read_contracts,
)
from claimkit.drift.cube import MEASURES, MONEY
from claimkit.drift.findings import Signal, Tier
from claimkit.drift.measured import MeasureDetector
from claimkit.errors import FileRefused
from claimkit.testing.conformance import DetectorConformance, MeasureConformance
from claimkit.testing.cubes import FIRST_DAY, GROUPS, PAYERS, make_cube, make_facts
from claimkit.types import day_of

DAYS = 420
LAST = FIRST_DAY + dt.timedelta(days=DAYS - 1)
ONSET = day_of(FIRST_DAY) + 390
HEADER = ",".join(COLUMNS)
#: What the claims of :func:`make_facts` are allowed, about.
CONTRACT = FeeSchedule(
    ContractRate(payer=payer, procedure_code=ANY_PROCEDURE, percent_of_charge=Decimal(60))
    for payer in PAYERS
)


@pytest.fixture(scope="module")
def facts():
    return make_facts(days=DAYS)


def paid_less(facts, *, part=0.95, since=ONSET, payer="BITTERN", group=""):
    return [
        one._replace(allowed=round(one.allowed * part))
        if one.payer == payer
        and one.allowed
        and one.decided_day >= since
        and group in ("", one.procedure_group)
        else one
        for one in facts
    ]


def detect(facts, schedule=CONTRACT):
    measure = ContractMeasure(schedule)
    return MeasureDetector(measure, signal=Signal.UNDERPAYMENT).detect(
        make_cube(facts, measures=[measure]), as_of=LAST, config=DriftConfig(scan_days=28)
    )


def test_a_payer_that_pays_below_contract_is_told_with_the_money_since(facts):
    less = paid_less(facts)
    (found,) = detect(less)
    missing = sum(
        round(one.charge * 0.6) - one.allowed
        for one in less
        if one.payer == "BITTERN" and one.allowed and one.decided_day >= day_of(found.onset)
    )

    assert (found.signal, found.detector, found.tier) == (
        Signal.UNDERPAYMENT,
        "contract",
        Tier.ALERT,
    )
    assert found.segment.payer == "BITTERN"
    assert abs(day_of(found.onset) - ONSET) <= 4
    assert found.baseline == 0.0
    assert found.interval[0] < -0.05 < found.interval[1]
    days = (found.as_of - found.onset).days + 1
    assert found.dollars_per_month == pytest.approx(missing / days * 30, rel=1e-6)
    assert "below contract for claims since" in found.summary
    assert "a month" in found.summary


def test_a_payer_that_always_paid_below_contract_is_told_since_the_first_day(facts):
    (found,) = detect(paid_less(facts, since=0, group="imaging"))

    assert found.segment.procedure_groups == ("imaging",)
    assert (found.onset - FIRST_DAY).days < 250


def test_what_is_paid_by_contract_is_not_told(facts):
    assert detect(facts) == []


def test_a_claim_with_a_rate_is_compared_with_it_and_not_with_the_past(facts):
    some = FeeSchedule(
        [ContractRate(payer="BITTERN", procedure_code="*", percent_of_charge=Decimal(60))]
    )
    facts = [one for one in facts if not one.allowed or one.allowed <= one.charge * 0.66]
    cube = make_cube(facts, measures=[ContractMeasure(some)])
    plain = make_cube(facts)

    assert list(cube[MEASURES.name].names["payer"]) == ["BITTERN"]
    assert "BITTERN" not in cube[MONEY.name].names["payer"]
    both = cube[MEASURES.name].measures["claims"].sum() + cube[MONEY.name].measures["claims"].sum()
    assert both == plain[MONEY.name].measures["claims"].sum()


def claim(facts, **changed):
    paid = facts[0]._replace(
        outcome="paid",
        payer="BITTERN",
        procedure_code="99213",
        decided_day=20_200,
        service_day=day_of(dt.date(2026, 3, 10)),
        charge=20_000,
        allowed=10_000,
    )
    return paid._replace(**changed)


RATES = FeeSchedule(
    [
        ContractRate(payer="BITTERN", procedure_code="99213", allowed=9_000,
                     effective_until=dt.date(2025, 12, 31)),
        ContractRate(payer="BITTERN", procedure_code="99213", allowed=10_500,
                     effective_from=dt.date(2026, 1, 1), effective_until=dt.date(2026, 6, 30)),
        ContractRate(payer="BITTERN", procedure_code="*", percent_of_charge=Decimal("52.5"),
                     effective_from=dt.date(2026, 1, 1)),
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 10_500),
        ({"procedure_code": "99213"}, 10_500),
        ({"service_day": day_of(dt.date(2025, 12, 31))}, 9_000),
        ({"service_day": day_of(dt.date(2026, 1, 1))}, 10_500),
        ({"service_day": day_of(dt.date(2026, 7, 1))}, 10_500),
        ({"service_day": day_of(dt.date(2026, 7, 1)), "charge": 10_000}, 5_250),
        ({"procedure_code": "70551", "charge": 8_000}, 4_200),
        ({"procedure_code": "70551", "service_day": day_of(dt.date(2025, 5, 1))}, None),
        ({"service_day": None}, None),
        ({"payer": "DIPPER"}, None),
    ],
)
def test_the_rate_that_holds_on_the_day_of_service_counts(facts, changed, expected):
    assert RATES.expected(claim(facts, **changed)) == expected


@pytest.mark.parametrize(
    ("changed", "cents"),
    [
        ({}, 500),
        ({"allowed": 10_600}, -100),
        # More than a tenth above the rate, it holds more than one service.
        ({"allowed": 11_600}, None),
        ({"outcome": "partial"}, None),
        ({"outcome": "denied"}, None),
        ({"allowed": None}, None),
        ({"allowed": 0}, None),
        ({"first_pass": False}, None),
        ({"decided_day": None}, None),
    ],
)
def test_which_claims_are_compared(facts, changed, cents):
    (reading,) = ContractMeasure(RATES).read([claim(facts, **changed)])

    assert (None if reading is None else reading.cents) == cents


def test_a_file_is_read_with_amounts_parts_of_charges_and_days():
    found = read_contracts(
        f"{HEADER}\nMeridian,99213,$1,082.40".replace("$1,082.40", '"$1,082.40"')
        + ",,2026-01-01,2026-12-31\n"
        "\n"
        "Meridian,*,,65 %,,\n",
        payer_of={"Meridian": "MERIDIAN OF OHIO"}.__getitem__,
    )

    assert found.problems == ()
    assert found.rates == (
        ContractRate(
            payer="MERIDIAN OF OHIO",
            procedure_code="99213",
            allowed=108_240,
            effective_from=dt.date(2026, 1, 1),
            effective_until=dt.date(2026, 12, 31),
        ),
        ContractRate(payer="MERIDIAN OF OHIO", procedure_code="*", percent_of_charge=Decimal(65)),
    )


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (",99213,10,,,", "payer"),
        ("M,,10,,,", "procedure_code"),
        ("M,99213,ten,,,", "allowed"),
        ("M,99213,-3,,,", "allowed"),
        ("M,99213,NaN,,,", "allowed"),
        ("M,99213,,,,", "allowed"),
        ("M,99213,10,65,,", "allowed"),
        ("M,99213,,much,,", "percent_of_charge"),
        ("M,99213,,-1,,", "percent_of_charge"),
        ("M,99213,10,,01/02/2026,", "effective_from"),
        ("M,99213,10,,2026-02-02,2026-02-01", "effective_until"),
        ("M,70551,11,,,", "effective_from"),
    ],
)
def test_a_bad_row_is_told_with_line_field_and_remedy_and_keeps_none_else_out(row, field):
    found = read_contracts(f"{HEADER}\nM,70551,10,,,\n{row}\nM,70552,10,,,\n")

    (problem,) = found.problems
    assert (problem.line, problem.field) == (3, field)
    assert problem.message
    assert problem.remedy
    assert [one.procedure_code for one in found.rates] == ["70551", "70552"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column 'payer'"),
        ("payer,procedure_code\n", "neither"),
        ("payer,allowed\n", "no column 'procedure_code'"),
        ("payer,procedure_code,amount\n", "unknown column"),
        ('payer,procedure_code,allowed\nM,1,"2\n', "line"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_a_remedy(text, words):
    with pytest.raises(FileRefused, match=words) as refused:
        read_contracts(text)

    assert refused.value.remedy


@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        found = read_contracts(f"{HEADER}\n{text}")
    except FileRefused:
        return
    for one in found.problems:
        assert one.line >= 2


def test_rates_are_written_as_they_are_read():
    rates = (
        ContractRate(payer="M", procedure_code="1", allowed=108_240),
        ContractRate(
            payer="M",
            procedure_code="*",
            percent_of_charge=Decimal("62.5"),
            effective_from=dt.date(2026, 1, 1),
        ),
    )
    rows = list(contract_rows(rates))
    text = "\n".join([HEADER, *(",".join(row[name] for name in COLUMNS) for row in rows)])

    assert read_contracts(text).rates == rates


class TestContractMeasure(MeasureConformance):
    @pytest.fixture
    def measure(self):
        return ContractMeasure(CONTRACT)


class TestContractDetector(DetectorConformance):
    @pytest.fixture
    def detector(self):
        return MeasureDetector(ContractMeasure(CONTRACT), signal=Signal.UNDERPAYMENT)

    @pytest.fixture
    def drifting(self, quiet):
        return paid_less(quiet, group=GROUPS[1])

    def cube_of(self, facts):
        return make_cube(facts, measures=[ContractMeasure(CONTRACT)])
