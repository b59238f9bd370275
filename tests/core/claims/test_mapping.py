from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.ledger import events_of, fold, renamed
from claimkit.claims.mapping import ClaimMapping, MappingRule, Match, Subject, suggest_rules
from claimkit.claims.payers import DirectoryEntry
from claimkit.claims.procedures import INPATIENT
from claimkit.errors import MappingRefused
from claimkit.testing.factories import make_claim


def payer(value, target, match=Match.EXACT):
    return MappingRule(subject=Subject.PAYER, match=match, value=value, target=target)


def group(value, target, match=Match.EXACT, last=""):
    return MappingRule(
        subject=Subject.PROCEDURE_GROUP, match=match, value=value, last=last, target=target
    )


@pytest.mark.parametrize(
    ("name", "payer_id", "expected"),
    [
        ("Blue Lake Mutual Ins. Co.", "", "Blue Lake"),
        ("BLUE LAKE MUTUAL", "PI:60054", "Blue Lake"),
        ("Some Name", "PI:60054", "Aetna"),
        ("Meridian Health Plan of Ohio", "", "Meridian"),
        ("Meridian Gold", "", "Meridian Gold"),
        ("Red Hill", "XV:9911", "Red Hill Group"),
        ("Red Hill", "XV:88", "RED HILL"),
    ],
)
def test_the_nearest_rule_names_a_payer(name, payer_id, expected):
    """Exact names, exact ids, the longest beginning of a name, the beginning of an id."""
    mapping = ClaimMapping(
        [
            payer("Blue Lake Mutual", "Blue Lake"),
            payer("PI:60054", "Aetna"),
            payer("Meridian", "Meridian", Match.PREFIX),
            payer("Meridian Gold", "Meridian Gold", Match.PREFIX),
            payer("XV:99", "Red Hill Group", Match.PREFIX),
        ]
    )

    assert mapping.payer(name, payer_id, "RED HILL") == expected


def test_rules_build_on_each_other():
    mapping = ClaimMapping([payer("BLM", "Blue Lake Mutual"), payer("Blue Lake Mutual", "Blue")])

    assert mapping.payer("BLM", "", "BLM") == "Blue"


@pytest.mark.parametrize(
    "rules",
    [
        [payer("A1", "B2"), payer("B2", "A1")],
        [payer("A1", "B2"), payer("B2", "C3"), payer("C3", "A1")],
        [payer("PI:1", "B2"), payer("B2", "C3"), payer("C3", "B2")],
        [payer("A1", "B2 West"), payer("B2", "A1", Match.PREFIX)],
    ],
)
def test_a_mapping_in_a_circle_is_refused(rules):
    with pytest.raises(MappingRefused, match="circle") as caught:
        ClaimMapping(rules)

    assert caught.value.code == "mapping_circle"


def test_spelling_a_payer_another_way_is_no_circle():
    mapping = ClaimMapping([payer("BLUE LAKE", "Blue Lake Inc.")])

    assert mapping.payer("Blue Lake", "", "BLUE LAKE") == "Blue Lake Inc."


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (payer("", "A"), "needs a value"),
        (payer("A", " "), "needs a value"),
        (payer("A1", "B2", Match.RANGE), "no ranges"),
        (payer("...", "B2"), "not a name"),
        (payer("A1", "B" * 201), "at most 200"),
        (group("99202", "visits", Match.RANGE), "has a last code"),
        (group("99202", "visits", last="99499"), "has a last code"),
        (group("99202", "visits", Match.RANGE, last="J9999"), "not a range"),
    ],
)
def test_a_rule_without_sense_is_refused(rule, message):
    with pytest.raises(MappingRefused, match=message):
        ClaimMapping([rule])


def test_rules_that_disagree_are_refused():
    with pytest.raises(MappingRefused, match="disagree"):
        ClaimMapping([payer("Blue Lake Inc.", "A1"), payer("BLUE LAKE", "B2")])
    with pytest.raises(MappingRefused, match="overlap"):
        ClaimMapping(
            [
                group("99202", "visits", Match.RANGE, last="99499"),
                group("99213", "short visits", Match.RANGE, last="99214"),
            ]
        )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("99213", "usual visit"),
        ("99214", "visits"),
        ("J9035", "chemo"),
        ("J9999", "chemo"),
        ("J1100", "base"),
        ("70551", "base"),
        ("", "base"),
    ],
)
def test_exact_codes_beginnings_and_ranges_name_a_group(code, expected):
    mapping = ClaimMapping(
        [
            group("99213", "usual visit"),
            group("99202", "visits", Match.RANGE, last="99499"),
            group("j9", "chemo", Match.PREFIX),
        ]
    )

    assert mapping.group(code, "base") == expected


@pytest.mark.parametrize("base", ["", INPATIENT])
def test_what_is_decided_as_a_whole_keeps_its_group(base):
    assert ClaimMapping([group("99213", "visits")]).group("99213", base) == base


def test_claims_keep_what_they_were_called_before():
    claim = make_claim()
    mapping = ClaimMapping(
        [payer("Meridian Health Plan of Ohio", "Meridian"), group("99214", "E&M")]
    )

    mapping.apply([claim])
    mapping.apply([claim])

    assert (claim.payer, claim.base_payer) == ("Meridian", "MERIDIAN OF OHIO")
    assert (claim.procedure_group, claim.base_group) == ("E&M", "evaluation_management")
    assert claim.payer_name == "MERIDIAN HEALTH PLAN OF OHIO"


def test_a_mapping_changes_neither_identity_nor_content_of_a_statement():
    """So the same file again changes nothing, whatever the rules were then and are now."""
    import datetime as dt

    plain, mapped = make_claim(), make_claim()
    ClaimMapping([payer("PI:1", "X"), payer("XV:60054", "Meridian")]).apply([mapped])
    (one,) = events_of(plain, upload="upl_1", known_on=dt.date(2026, 3, 1))
    (other,) = events_of(mapped, upload="upl_1", known_on=dt.date(2026, 3, 1))

    assert (one.event_key, one.content) == (other.event_key, other.content)
    assert (one.payer, other.payer) == ("MERIDIAN OF OHIO", "Meridian")


RULES = st.lists(
    st.builds(
        payer,
        st.sampled_from(["MERIDIAN OF OHIO", "XV:60054", "XV:6", "Acme", "Blue Lake", "Red Hill"]),
        st.sampled_from(["Acme", "Blue Lake", "Red Hill", "Meridian"]),
        st.sampled_from([Match.EXACT, Match.PREFIX]),
    ),
    max_size=5,
)


@given(first=RULES, second=RULES)
def test_history_under_new_rules_is_as_if_it_had_been_read_under_them(first, second):
    """Whatever the rules were before: renaming equals importing anew."""
    import datetime as dt

    try:
        before, after = ClaimMapping(first), ClaimMapping(second)
    except MappingRefused:
        return
    known = dt.date(2026, 3, 1)
    then, now = make_claim(), make_claim()
    before.apply([then])
    after.apply([now])
    stored = events_of(then, upload="upl_1", known_on=known)
    expected = events_of(now, upload="upl_1", known_on=known)

    news = after.renamed(stored)
    positions = {one.claim_key: fold([one]) for one in stored}
    changed = renamed(news, {one.claim_key: [one] for one in stored}, positions)

    assert (news or stored) == expected
    assert [one.payer for one in changed.positions] == ([fold(expected).payer] if news else [])
    assert len(changed.changes) == len(news)


def test_near_names_are_suggested_and_nothing_is_merged():
    found = suggest_rules(
        {"BLUE LAKE MUTUAL": 900, "BLUE LAKE MUTAL": 3, "MEDICADE": 2, "RED HILL": 5},
        [DirectoryEntry(name="Medicaid")],
    )

    assert [(one.value, one.targets) for one in found] == [
        ("BLUE LAKE MUTAL", ("BLUE LAKE MUTUAL",)),
        ("MEDICADE", ("MEDICAID",)),
    ]


def test_names_of_two_known_payers_are_never_suggested_for_each_other():
    """The Blues of two states are as alike as a name and its misspelling."""
    names = {"BLUE CROSS BLUE SHIELD NC": 900, "BLUE CROSS BLUE SHIELD ND": 3, "BLUE LAKE": 1}
    directory = [
        DirectoryEntry(name="BCBSNC", aliases=("Blue Lake",)),
        DirectoryEntry(name="BCBSND"),
    ]

    assert [one.value for one in suggest_rules(names)] == ["BLUE CROSS BLUE SHIELD ND"]
    assert [(one.value, one.targets) for one in suggest_rules(names, directory)] == [
        ("BLUE LAKE", ("BLUE CROSS BLUE SHIELD NC",))
    ]
