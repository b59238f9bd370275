from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.procedures import (
    OTHER,
    ProcedureGroups,
    default_groups,
    procedure_group,
)


@pytest.mark.parametrize(
    ("code", "system", "group"),
    [
        ("00100", "HC", "anesthesia"), ("01999", "HC", "anesthesia"),
        ("10004", "HC", "surgery: skin"), ("19499", "HC", "surgery: skin"),
        ("20100", "HC", "surgery: musculoskeletal"), ("36415", "HC", "surgery: cardiovascular"),
        ("70010", "HC", "imaging: diagnostic"), ("80053", "HC", "lab and pathology"),
        ("0001U", "HC", "lab and pathology"), ("97810", "HC", "medicine: manual"),
        ("99202", "HC", "evaluation and management"), ("99499", "HC", "evaluation and management"),
        ("J9035", "HC", "drugs: oncology"), ("0042T", "HC", "category III"),
        # Told apart by their qualifier, never by their looks.
        ("0450", "NU", "revenue code"), ("99213", "NU", "revenue code"),
        ("12345678901", "N4", "drugs"), ("D0120", "AD", "dental"), ("A1203", "HP", "rate code"),
        # In no range, between two, of no form.
        ("10003", "HC", OTHER), ("99201", "HC", OTHER), ("ABCDE", "HC", OTHER), ("", "HC", OTHER),
        ("9921", "HC", OTHER), ("992133", "HC", OTHER), ("９９２１３", "HC", OTHER),
        ("99213", "ZZ", OTHER), ("0000Z", "HC", OTHER),
    ],
)  # fmt: skip
def test_a_code_has_the_group_of_its_range_in_its_system(code, system, group):
    assert procedure_group(code, system) == group


def test_an_exact_code_wins_over_its_range_and_its_system():
    groups = ProcedureGroups([("99202", "99499", "visits")], {"99213": "usual", "0450": "ER"})

    assert [groups.of("99213"), groups.of("99214"), groups.of("0450", "NU")] == [
        "usual",
        "visits",
        "ER",
    ]


def test_changes_leave_the_rest_and_the_table_itself_as_they_are():
    table = ProcedureGroups([("99202", "99499", "visits"), ("J0100", "J8999", "drugs")])
    moved = table.with_changes({"99213": "usual visit"}).with_changes({"J1100": "steroids"})

    assert [moved.of(code) for code in ("99213", "99214", "J1100", "J1101")] == [
        "usual visit",
        "visits",
        "steroids",
        "drugs",
    ]
    assert [table.of(code) for code in ("99213", "J1100")] == ["visits", "drugs"]


def test_a_changed_default_table_keeps_every_range():
    changed = default_groups().with_changes({"99213": "marsupilami"})

    for code in ("00100", "0001U", "0042T", "J9035", "D0120", "A0428", "99499", "4000F"):
        assert changed.of(code) == default_groups().of(code)
    assert changed.of("99213") == "marsupilami"


@pytest.mark.parametrize(
    "ends",
    [
        ("99213", "J9999"),
        ("99499", "99202"),
        ("0001T", "0002U"),
        ("99", "100"),
        ("J0000", "K0000"),
        ("ABCDE", "ABCDF"),
    ],
)
def test_ends_of_two_forms_or_reversed_are_refused(ends):
    with pytest.raises(ValueError, match="not a range of codes"):
        ProcedureGroups([(*ends, "x")])


def test_ranges_that_overlap_are_refused_by_name():
    with pytest.raises(ValueError, match="ranges of visits and more overlap"):
        ProcedureGroups([("99300", "99600", "more"), ("99202", "99300", "visits")])


_EDGES = st.lists(st.integers(0, 99_999), min_size=2, max_size=12, unique=True).map(sorted)


@given(_EDGES, st.integers(0, 99_999))
def test_any_code_is_in_the_one_range_that_holds_it(edges, number):
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    table = ProcedureGroups([(f"{a:05d}", f"{b:05d}", f"g{a}") for a, b in reversed(pairs)])

    expected = next((f"g{a}" for a, b in pairs if a <= number <= b), OTHER)
    assert table.of(f"{number:05d}") == expected
