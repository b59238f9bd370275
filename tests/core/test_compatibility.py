"""Versions and requirements, against the package that installers use."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from claimkit.compatibility import allows, requirement_of

_NUMBER = st.integers(0, 3).map(str)
_RELEASE = st.lists(_NUMBER, min_size=1, max_size=3).map(".".join)


@st.composite
def versions(draw):
    return "".join(
        (
            draw(_RELEASE),
            draw(st.sampled_from(["", "", "a1", "b2", "rc1", ".alpha3", "-preview1", "c2"])),
            draw(st.sampled_from(["", "", ".post1", "-2", ".rev3"])),
            draw(st.sampled_from(["", "", ".dev1", "dev2"])),
        )
    )


@st.composite
def clauses(draw):
    sign = draw(st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "==*", "!=*"]))
    if sign.endswith("*"):
        return f"{sign[:-1]}{draw(_RELEASE)}.*"
    if sign == "~=":
        return f"~={draw(_NUMBER)}.{draw(_RELEASE)}"
    return f"{sign}{draw(versions())}"


@settings(max_examples=300, deadline=None)
@given(st.lists(clauses(), max_size=3).map(",".join), versions())
def test_it_allows_what_installers_allow(specifiers, version):
    expected = SpecifierSet(specifiers).contains(Version(version), prereleases=True)

    assert allows(specifiers, version) == expected


@pytest.mark.parametrize(
    "specifiers", ["", " ", "===0.1-spip", "@ https://example.org/x.whl", "??"]
)
def test_what_cannot_be_understood_forbids_nothing(specifiers):
    assert allows(specifiers, "0.1.0")
    assert allows(">=0.1", "marsupilami")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], ""),
        (["claimkit"], ""),
        (["Claimkit >=0.1"], ">=0.1"),
        (["claimkit (>=0.1,<1)"], ">=0.1,<1"),
        (["claimkit[all,redis]~=0.3"], "~=0.3"),
        (["claimkit-x12>=3", "numpy>=2"], ""),
        (["claimkit>=0.2; python_version < '3.12'"], ""),
        (["claimkit>=0.1", "claimkit<0.9"], ">=0.1,<0.9"),
    ],
)
def test_what_a_distribution_asks_of_claimkit(lines, found):
    assert requirement_of(lines, "claimkit") == found
