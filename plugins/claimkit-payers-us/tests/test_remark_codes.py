"""The list of remark codes: that it is whole, and that well-known codes are where they belong."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from claimkit.claims.remarks import REMARK_CATEGORIES, RemarkTable
from claimkit.plugins import load_plugins
from claimkit.testing.conformance import RemarkCodesConformance
from claimkit_payers_us.plugin import UsRemarkCodes

CODES = UsRemarkCodes().categories()


class TestUsRemarkCodes(RemarkCodesConformance):
    @pytest.fixture
    def codes(self):
        return UsRemarkCodes()


def test_the_plugin_registers_the_list():
    assert isinstance(load_plugins().remark_codes["payers-us"], UsRemarkCodes)


def test_all_three_series_are_there_in_order():
    series = Counter(re.match("[A-Z]+", one)[0] for one in CODES)
    order = [(re.match("[A-Z]+", one)[0], int(re.search(r"\d+", one)[0])) for one in CODES]

    assert order == sorted(order)
    assert series["M"] > 100
    assert series["MA"] > 100
    assert series["N"] > 800


def test_every_category_has_codes():
    assert set(CODES.values()) == set(REMARK_CATEGORIES)


@pytest.mark.parametrize(
    ("code", "category"),
    [
        # What CO-16 is most often sent with.
        ("M51", "missing_codes"),
        ("M76", "missing_codes"),
        ("M77", "missing_codes"),
        ("M127", "missing_records"),
        ("N706", "missing_records"),
        ("N290", "missing_provider"),
        ("N286", "missing_provider"),
        ("MA120", "missing_provider"),
        ("MA27", "missing_patient"),
        ("N382", "missing_patient"),
        ("M52", "missing_dates"),
        ("MA130", "missing_fields"),
        ("N4", "other_payer_cob"),
        ("MA04", "other_payer_cob"),
        ("N54", "authorization_referral"),
        ("M62", "authorization_referral"),
        ("N115", "medical_necessity"),
        ("N386", "medical_necessity"),
        ("M25", "medical_necessity"),
        ("N130", "benefit_limit_exclusion"),
        ("N640", "benefit_limit_exclusion"),
        ("N19", "bundling"),
        ("M15", "bundling"),
        ("N522", "duplicate"),
        ("N30", "eligibility"),
        ("N95", "provider_network"),
        ("N519", "coding_billing"),
        ("N699", "quality_penalty"),
        ("MA01", "appeal"),
        ("N211", "appeal"),
        ("N859", "contractual"),
        ("MA18", "informational"),
    ],
)
def test_a_code_has_its_category(code, category):
    assert RemarkTable([UsRemarkCodes()]).category(code) == category
