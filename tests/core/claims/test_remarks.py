from __future__ import annotations

import re
from pathlib import Path

import pytest

from claimkit.claims import remarks
from claimkit.claims.remarks import REMARK_CATEGORIES, RemarkTable, share_remarks
from claimkit.plugins import load_plugins

CARC = Path(remarks.__file__).parent / "data" / "carc_categories.tsv"


class Known:
    def __init__(self, name, **codes):
        self.name = name
        self._codes = codes

    def categories(self):
        return self._codes


def test_the_first_list_that_knows_a_code_names_its_category():
    table = RemarkTable(
        [
            Known("mine", M127="missing_fields"),
            Known("all", M127="missing_records", N30="eligibility"),
        ]
    )

    assert [table.category(one) for one in ("M127", "N30", "N999")] == [
        "missing_fields",
        "eligibility",
        "unmapped",
    ]
    assert (len(table), "N30" in table, "N999" in table) == (2, True, False)


def test_shares_are_of_all_claims_also_of_those_left_out():
    found = [("N1", 1, 100), ("", 4, 900), ("M51", 3, 700), ("M76", 3, 800)]

    shares = share_remarks(found, RemarkTable([Known("x", M51="missing_codes")]), limit=3)

    assert [tuple(one) for one in shares] == [
        ("", "", 4, 900, 4 / 11),
        ("M76", "unmapped", 3, 800, 3 / 11),
        ("M51", "missing_codes", 3, 700, 3 / 11),
    ]


def test_no_claim_has_no_share():
    assert share_remarks([], RemarkTable([])) == []


def test_categories_that_reasons_have_too_go_by_the_same_name():
    reasons = {line.split("\t")[1] for line in CARC.read_text().splitlines()[1:]}

    own = set(REMARK_CATEGORIES) - reasons

    assert {one for one in own if not one.startswith("missing_")} == {"correction"}


@pytest.mark.parametrize("category", REMARK_CATEGORIES)
def test_a_category_is_told_in_a_sentence(category):
    assert re.fullmatch(r"[a-z_]+", category)
    assert re.fullmatch(r"[A-Z].*\.", REMARK_CATEGORIES[category])


def test_a_plugin_registers_lists_of_its_own():
    class Plugin:
        from claimkit import hookimpl

        @hookimpl
        def claimkit_register_remark_codes(self):
            return [Known("marsupilami", N30="eligibility")]

    loaded = load_plugins(entry_points=False, extra=[("mine", Plugin())])

    assert list(loaded.remark_codes) == ["marsupilami"]
    assert loaded.loaded[-1].adds == {"remark_codes": ("marsupilami",)}
