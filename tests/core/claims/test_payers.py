from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.normalize import NormalizeContext, PayerNormalizer
from claimkit.claims.payers import (
    UNKNOWN_PAYER,
    DirectoryEntry,
    KnownPayers,
    PayerNames,
    fold_payer,
    payer_of,
    suggest_payers,
)
from claimkit.testing.factories import make_batch, make_claim


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Blue Lake Mutual Ins. Co.", "BLUE LAKE MUTUAL"),
        ("  blue   lake mutual insurance company ", "BLUE LAKE MUTUAL"),
        ("The Marsupilami Group, Inc.", "MARSUPILAMI"),
        ("BC BS of NC", "BLUE CROSS BLUE SHIELD NC"),
        ("BCBSNC", "BLUE CROSS BLUE SHIELD NC"),
        ("BCBS of North Carolina", "BLUE CROSS BLUE SHIELD NC"),
        ("Blue Cross & Blue Shield of West Virginia", "BLUE CROSS BLUE SHIELD WV"),
        ("BlueCross BlueShield Virginia", "BLUE CROSS BLUE SHIELD VA"),
        ("BCBS of Colorado", "BLUE CROSS BLUE SHIELD CO"),
        ("Anthem BC", "ANTHEM BLUE CROSS"),
        ("Anthem BC BS", "ANTHEM BLUE CROSS BLUE SHIELD"),
        ("UHC", "UNITEDHEALTHCARE"),
        ("United Health Care", "UNITEDHEALTHCARE"),
        ("MCR Part B", "MEDICARE PART B"),
        ("MCD", "MEDICAID"),
        ("ＢＬＵＥ ＬＡＫＥ", "BLUE LAKE"),
        ("Meridian Health Plan of Ohio", "MERIDIAN OHIO"),
        # Nothing but noise is still somebody's name.
        ("The Insurance Company", "THE INSURANCE COMPANY"),
        ("", ""),
    ],
)
def test_spellings_of_one_payer_fold_into_one(name, folded):
    assert fold_payer(name) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("BCBS of North Carolina", "BCBS of Tennessee"),
        ("BCBS of Virginia", "BCBS of West Virginia"),
        ("Aetna", "Aetna Better Health"),
        ("Meridian", "Meridian Medicaid"),
        ("Humana Military", "Humana Advantage"),
        # A state's name elsewhere is part of a payer's own.
        ("Texas Mutual", "TX Mutual"),
    ],
)
def test_plans_of_two_states_and_two_products_stay_apart(one, other):
    assert fold_payer(one) != fold_payer(other)


@given(
    st.lists(
        st.sampled_from(
            ["BC", "BS", "of", "the", "Blue", "Cross", "BlueCross", "and", "&", "Shield", "CO",
             "Colorado", "BCBSTX", "UHC", "Health Plans", "United", "Care", "Inc.", "/", "Æ", "ﬁ"]
        ),
        max_size=8,
    ).map(" ".join)
    | st.text(max_size=40)
)  # fmt: skip
def test_folding_rests_and_loses_no_payer(name):
    folded = fold_payer(name)

    assert fold_payer(folded) == folded
    assert fold_payer(f"  {name.lower()} ") == fold_payer(name.lower())
    assert folded or not any(mark.isalnum() for mark in name)


def test_a_tenants_mapping_wins_over_id_and_name():
    names = PayerNames({"Blue Lake Mutual": "Lakeside", "PI:60054": "Aetna"})

    assert names.of("BLUE LAKE MUTUAL INS CO", "PI:60054") == "Lakeside"
    assert names.of("anything", "PI:60054") == "Aetna"
    assert names.of("Aetna Inc.", "XV:60054") == "AETNA"


def test_an_id_alone_never_merges_two_names():
    assert payer_of("Aetna", "PI:60054") != payer_of("Aetna Better Health", "PI:60054")


@pytest.mark.parametrize(
    ("name", "payer_id", "payer"),
    [
        ("Aetna, Inc.", "PI:60054", "AETNA"),
        ("", "PI:60054", "PI:60054"),
        (" .,- ", "PI:60054", "PI:60054"),
        ("", "", UNKNOWN_PAYER),
    ],
)
def test_without_a_mapping_the_name_counts_then_the_id(name, payer_id, payer):
    assert payer_of(name, payer_id) == payer


def test_near_names_are_suggested_nearest_first_and_never_merged():
    known = ["BLUE LAKE MUTUAL", "BLUE LAKES MUTUAL", "RED HILL"]

    assert suggest_payers("Blue Lake Mutal Ins", known) == ["BLUE LAKE MUTUAL", "BLUE LAKES MUTUAL"]
    assert suggest_payers("Blue Lake Mutal Ins", known, limit=1) == ["BLUE LAKE MUTUAL"]
    assert suggest_payers("Zorglub", known) == []
    assert payer_of("Blue Lake Mutal") == "BLUE LAKE MUTAL"


@pytest.fixture
def known():
    return KnownPayers(
        [
            DirectoryEntry(name="Blue Lake Mutual", aliases=("BLM", "Lakeside Ins. Co.")),
            DirectoryEntry(name="BCBS of Kansas", aliases=("Sunflower Blues",)),
            DirectoryEntry(name="BCBS of Arkansas"),
            DirectoryEntry(name="Healthfirst"),
            DirectoryEntry(name="Health First"),
            DirectoryEntry(name="Dean"),
        ]
    )


@pytest.mark.parametrize(
    ("name", "payers"),
    [
        ("Blue Lake Mutual, Inc.", []),
        ("blm", ["BLUE LAKE MUTUAL"]),
        ("LAKESIDE", ["BLUE LAKE MUTUAL"]),
        # Spaces only, where the names themselves are known and where they are not.
        ("BlueLake Mutual", ["BLUE LAKE MUTUAL"]),
        ("Healthfirst", []),
        ("Health First", []),
        ("Heal Thfirst", ["HEALTHFIRST", "HEALTH FIRST"]),
        # A letter missing, added, changed, moved; in two words, and in three.
        ("Blue Lake Mutal", ["BLUE LAKE MUTUAL"]),
        ("Blue Lakke Mutual", ["BLUE LAKE MUTUAL"]),
        ("Blue Lake Mutuel", ["BLUE LAKE MUTUAL"]),
        ("Bleu Lake Mutaul", ["BLUE LAKE MUTUAL"]),
        ("Bleu Lkae Mutaul", []),
        ("Blue Lake Mtl", []),
        # Right words fold further: a state, what tells nothing.
        ("BCBS of Kanses", ["BLUE CROSS BLUE SHIELD KS"]),
        ("BCBS of Kansas Insurxnce", ["BLUE CROSS BLUE SHIELD KS"]),
        ("Lakeside Insurxnce", ["BLUE LAKE MUTUAL"]),
        # Too short to be anybody; a word more may be another product.
        ("Deal", []),
        ("Blue Lake Mutual Medicaid", []),
        ("Blue Lake", []),
        ("", []),
        ("M" * 50_000, []),
    ],
)
def test_a_known_payer_is_suggested_for_other_names_and_slips(known, name, payers):
    assert known.suggest(name) == payers


def test_suggestions_are_limited(known):
    assert known.suggest("Heal Thfirst", limit=1) == ["HEALTHFIRST"]


def test_directories_that_disagree_are_both_heard():
    known = KnownPayers(
        [
            DirectoryEntry(name="Red Hill", aliases=("RH",)),
            DirectoryEntry(name="Rahan", aliases=("RH",)),
        ]
    )

    assert known.suggest("RH") == ["RED HILL", "RAHAN"]
    assert not known.are_apart("RH", "Rahan")


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("BCBS of Kansas", "BCBS of Arkansas", True),
        ("Sunflower Blues", "BCBSAR", True),
        ("Sunflower Blues", "BCBSKS", False),
        ("BCBS of Kansas", "BCBS of Kansas", False),
        ("BCBS of Kansas", "Zorglub", False),
    ],
)
def test_known_names_of_two_payers_are_apart(known, one, other, apart):
    assert known.are_apart(one, other) is apart
    assert known.are_apart(other, one) is apart


@given(st.text(max_size=30))
def test_any_name_is_looked_up(name):
    known = KnownPayers([DirectoryEntry(name="Blue Lake Mutual")])

    assert known.suggest(name) in ([], ["BLUE LAKE MUTUAL"])


def test_c5_mappings_of_two_tenants_never_mix_and_a_changed_one_counts_at_once():
    """Trap: caches of mappings went stale."""
    batch = make_batch([make_claim(payer_name="Blue Lake Mutual", payer_id="")])
    seen = []
    for mapping in ({}, {"Blue Lake Mutual": "Lakeside"}, {"Blue Lake Mutual": "Seaside"}, {}):
        PayerNormalizer(PayerNames(mapping)).normalize(
            batch, NormalizeContext(patient_key=b"k" * 32)
        )
        seen.append(batch.claims[0].payer)

    assert seen == ["BLUE LAKE MUTUAL", "Lakeside", "Seaside", "BLUE LAKE MUTUAL"]
    # The raw name is always kept.
    assert batch.claims[0].payer_name == "Blue Lake Mutual"
