"""The directory of payers: its names, what they suggest, and what they must never suggest."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimkit.claims.mapping import suggest_rules
from claimkit.claims.payers import FederalPrograms, KnownPayers, fold_payer, payer_of
from claimkit.plugins import load_plugins
from claimkit.testing.conformance import PayerDirectoryConformance
from claimkit_payers_us.plugin import UsPayers

ENTRIES = tuple(UsPayers().entries())
ALL = (*FederalPrograms().entries(), *ENTRIES)
PAYERS = frozenset(fold_payer(entry.name) for entry in ENTRIES)
NAMES = [name for entry in ENTRIES for name in (entry.name, *entry.aliases)]
KNOWN = KnownPayers(ALL)
IN_ORDER = KnownPayers(ENTRIES)
# fmt: off
STATES = frozenset({
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS",
    "KY", "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY",
    "NC", "ND", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV",
    "WI", "WY",
})
# fmt: on
#: Where no plan, or more than one, goes by the name of its state alone.
WITHOUT_A_BLUE = frozenset({"CA", "ID", "MO", "NY", "PA", "VA", "WA"})


def test_the_plugin_registers_the_directory():
    directory = load_plugins().payer_directories["payers-us"]

    assert isinstance(directory, UsPayers)
    assert directory.entries() == ENTRIES


def test_the_file_says_when_it_was_reviewed_and_which_lines_it_has():
    directory = UsPayers()

    assert type(directory.version) is dt.date
    assert list(directory.lines) == [
        "commercial",
        "blues",
        "medicare_advantage",
        "medicaid",
        "marketplace",
        "administrators",
        "government_contractors",
    ]
    assert all(len(payers) >= 8 for payers in directory.lines.values())
    assert tuple(one for payers in directory.lines.values() for one in payers) == ENTRIES


class TestUsPayers(PayerDirectoryConformance):
    @pytest.fixture
    def directory(self):
        return UsPayers()


# -- names ---------------------------------------------------------------------------------


def test_names_are_in_ascii():
    assert [one for one in NAMES if not one.isascii()] == []


def test_the_blues_of_a_state_are_one_plan_or_nobody_in_particular():
    plans = {}
    for state in STATES:
        name = f"BLUE CROSS BLUE SHIELD {state}"
        plans[state] = [name] if name in PAYERS else KNOWN.suggest(name)

    assert {state for state, found in plans.items() if not found} == WITHOUT_A_BLUE
    assert all(len(found) <= 1 for found in plans.values())
    # No plan stands for two states.
    assert len({found[0] for found in plans.values() if found}) == 50 - len(WITHOUT_A_BLUE)


@settings(max_examples=50)
@given(st.sampled_from(NAMES), st.sampled_from(["", " Inc.", ", INC", " Co", " Insurance Company"]))
def test_folding_a_folded_name_changes_nothing(name, ending):
    folded = fold_payer(name + ending)

    assert fold_payer(folded) == folded
    assert fold_payer(folded.lower()) == folded


@settings(max_examples=5, deadline=None)
@given(
    st.randoms(use_true_random=False), st.lists(st.sampled_from(NAMES), min_size=30, max_size=30)
)
def test_the_order_of_the_file_does_not_count(random, names):
    entries = list(ENTRIES)
    random.shuffle(entries)
    known = KnownPayers(entries)
    asked = [*names, *(f"{name[:3]}{name[2:]}" for name in names)]

    found = {name: sorted(known.suggest(name, limit=99)) for name in asked}
    assert found == {name: sorted(IN_ORDER.suggest(name, limit=99)) for name in asked}


@settings(max_examples=50)
@given(st.sampled_from(NAMES), st.sampled_from([str.upper, str.lower, str.title]))
def test_case_punctuation_and_inc_do_not_count(name, cased):
    payer = KNOWN.suggest(name) or [fold_payer(name)]
    written = cased(name).replace(" ", "  ") + ", Inc."

    assert (KNOWN.suggest(written) or [fold_payer(written)]) == payer


# -- what is suggested ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payer"),
    [
        ("AETNA LIFE INSURANCE COMPANY", "Aetna"),
        ("AENTA", "Aetna"),
        ("Connecticut General Life Ins. Co.", "Cigna"),
        ("UNITED HELTHCARE", "UnitedHealthcare"),
        ("UHC Commxnity Plan", "UnitedHealthcare Community Plan"),
        ("Golden Rule Insurnce Company", "Golden Rule"),
        ("HUMANNA", "Humana"),
        ("Humana Gold Plus", "Humana Medicare Advantage"),
        ("Secure Horizons", "UnitedHealthcare Medicare Advantage"),
        ("BLEU CROSS BLUE SHIELD OF TEXAS", "Blue Cross and Blue Shield of Texas"),
        ("BCBS of North Carolna", "Blue Cross and Blue Shield of North Carolina"),
        ("BCBS OF GEORGIA", "Anthem Blue Cross and Blue Shield of Georgia"),
        ("Empire BCBS", "Anthem Blue Cross and Blue Shield of New York"),
        ("Regence Blue Shield", "Regence BlueShield"),
        ("Moline Healthcare of Ohio", "Molina Healthcare of Ohio"),
        ("AMERIGRUOP TEXAS", "Amerigroup Texas"),
        ("Ambeter from Superior Healthplan", "Ambetter from Superior HealthPlan"),
        ("NOVITAS SOLUTION", "Novitas Solutions"),
        ("Beacon Health Options, Inc.", "Carelon Behavioral Health"),
        ("Government Employees Health Assn", ""),
        ("Blue Shield of Californa", "Blue Shield of California"),
        ("Deal", ""),
        ("Zorglub Mutual", ""),
        ("", ""),
    ],
)
def test_other_names_and_typing_errors_suggest_the_payer(name, payer):
    assert KNOWN.suggest(name) == ([fold_payer(payer)] if payer else [])


#: Names of payers that people or likeness would take for one another.
DANGEROUS = [
    ("BCBS of North Carolina", "BCBS of South Carolina"),
    ("BCBS of North Carolina", "BCBS of North Dakota"),
    ("BCBS of North Dakota", "BCBS of South Dakota"),
    ("BCBS of Kansas", "BCBS of Arkansas"),
    ("BCBS of Kansas", "BCBS of Kansas City"),
    ("BCBS of Illinois", "BCBS of Texas"),
    ("BCBS of Massachusetts", "BCBS of Mississippi"),
    ("BCBSMN", "BCBSM"),
    ("BCBS of Maine", "BCBS of Maryland"),
    ("Blue Cross of California", "Blue Shield of California"),
    ("Anthem Blue Cross", "Anthem Blue Cross and Blue Shield"),
    ("Anthem BCBS of Ohio", "Anthem BCBS of Indiana"),
    ("Blue Cross of Idaho", "Regence BlueShield of Idaho"),
    ("Premera Blue Cross", "Premera Blue Cross Blue Shield of Alaska"),
    ("Premera Blue Cross", "Regence BlueShield"),
    ("Highmark Blue Shield", "Highmark Blue Cross Blue Shield"),
    ("Capital Blue Cross", "Independence Blue Cross"),
    ("Capital Blue Cross", "Capital Health Plan"),
    ("Blue Care Network", "BlueCare Tennessee"),
    ("BCBS of Michigan", "Blue Cross Complete of Michigan"),
    ("BCBS of Tennessee", "BlueCare Tennessee"),
    ("Horizon BCBSNJ", "Horizon NJ Health"),
    ("BCBS FEP", "Federal Employees Health Benefits"),
    ("Aetna", "Aetna Medicare"),
    ("Aetna", "Aetna Better Health"),
    ("Aetna", "Meritain Health"),
    ("Aetna Better Health of Virginia", "Aetna Better Health of West Virginia"),
    ("Aetna Better Health of Ohio", "Aetna Better Health of Texas"),
    ("Cigna", "Cigna Behavioral Health"),
    ("Cigna", "HealthSpring"),
    ("Cigna", "Cigna Government Services"),
    ("Humana", "Humana Gold Plus"),
    ("Humana", "Humana Military"),
    ("Humana", "Humana Healthy Horizons"),
    ("UnitedHealthcare", "UHC Medicare Advantage"),
    ("UnitedHealthcare", "UHC Community Plan"),
    ("UnitedHealthcare", "UMR"),
    ("UnitedHealthcare", "Oxford Health Plans"),
    ("United of Omaha", "United American"),
    ("AARP Medicare Supplement", "AARP Medicare Advantage"),
    ("Kaiser Permanente Northern California", "Kaiser Permanente Southern California"),
    ("Molina Healthcare of Ohio", "Molina Healthcare of Iowa"),
    ("Molina Healthcare of Utah", "Molina Healthcare of Idaho"),
    ("Health Net", "Health Net Federal Services"),
    ("Healthfirst", "Health First"),
    ("Health First", "First Health"),
    ("HealthPartners", "Health Partners Plans"),
    ("Health Alliance Plan", "Health Alliance Medical Plans"),
    ("Select Health", "Select Health of South Carolina"),
    ("CareSource", "CareFirst"),
    ("CareSource", "CareOregon"),
    ("CareSource", "CoreSource"),
    ("CareFirst", "FirstCare"),
    ("Wellcare", "Wellpoint"),
    ("AmeriHealth New Jersey", "AmeriHealth Caritas"),
    ("Amerigroup", "AmeriHealth Caritas"),
    ("Medica", "Medicaid"),
    ("Medica", "Medicare"),
    ("Mutual of Omaha", "Medical Mutual of Ohio"),
    ("Tufts Health Plan", "Harvard Pilgrim Health Care"),
    ("Neighborhood Health Plan of Rhode Island", "Neighborhood Health Plan Massachusetts"),
    ("MHS Indiana", "MHS Health Wisconsin"),
    ("Noridian Healthcare Solutions", "Noridian Mutual Insurance Company"),
    ("Novitas Solutions", "Noridian Healthcare Solutions"),
    ("WPS Health Insurance", "WPS Government Health Administrators"),
    ("TRICARE", "TRICARE for Life"),
    ("Medicare", "Railroad Medicare"),
    ("Keystone First", "Keystone Health Plan East"),
    ("QualChoice", "QualCare"),
    ("Sunshine Health", "Sunflower Health Plan"),
    ("Ambetter from Superior HealthPlan", "Superior HealthPlan"),
]


@pytest.mark.parametrize(("one", "other"), DANGEROUS)
def test_near_names_of_two_payers_are_never_suggested_for_each_other(one, other):
    found = {name: KNOWN.suggest(name) or [fold_payer(name)] for name in (one, other)}

    assert KNOWN.are_apart(one, other)
    assert len(found[one]) == len(found[other]) == 1
    assert found[one] != found[other]
    # Nor by the likeness of names that a tenant has, whichever of them is better known.
    entries = [entry for entry in ALL if [fold_payer(entry.name)] in found.values()]
    for more, fewer in ((one, other), (other, one)):
        counts = {fold_payer(more): 9_000, fold_payer(fewer): 3}
        told = {rule.value: list(rule.targets) for rule in suggest_rules(counts, entries)}
        assert told == {
            fold_payer(name): KNOWN.suggest(name) for name in found if KNOWN.suggest(name)
        }


@pytest.mark.parametrize(
    "name", ["BCBS", "Blue Cross", "Blue Shield", "Health Plan", "BCBS of Guam", "United", "Health"]
)
def test_a_name_that_many_have_suggests_nobody(name):
    assert KNOWN.suggest(name) == []


def test_the_directory_renames_nothing_by_itself():
    load_plugins()

    assert payer_of("Connecticut General Life Insurance Company") == "CONNECTICUT GENERAL LIFE"
    assert payer_of("Humana Gold Plus") == "HUMANA GOLD PLUS"


def test_a_thousand_suggestions_take_less_than_a_second():
    # Every third name with a letter doubled, which is the longer way.
    asked = [
        name[:3] + name[2:] if at % 3 == 0 else f"{name} {at}" if at % 3 == 1 else name
        for at, name in enumerate(NAMES[:1000])
    ]
    began = time.perf_counter()
    known = KnownPayers(ENTRIES)
    found = sum(bool(known.suggest(name)) for name in asked)

    assert time.perf_counter() - began < 1
    assert len(asked) == 1000
    assert 400 < found < 700
