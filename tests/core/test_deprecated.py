"""Deprecations say what goes, when, and what to use; and what should be gone is gone."""

from __future__ import annotations

import re
import warnings

import pytest

import claimkit
from claimkit import deprecated
from claimkit.deprecated import ClaimkitDeprecationWarning, RemovedInClaimkit1Warning, warn_of


def test_nothing_outlives_the_version_that_removes_it():
    """Fails on the day of the release that a class names, until the class and its uses are gone."""
    major = int(claimkit.__version__.split(".")[0])
    named = [
        int(re.fullmatch(r"RemovedInClaimkit(\d+)Warning", name)[1])
        for name in deprecated.__all__
        if name.startswith("RemovedIn")
    ]

    assert named
    assert [one for one in named if one <= major] == []


def test_a_call_of_what_will_go_warns_whoever_calls_it():
    @deprecated.deprecated(instead="fantasio()")
    def gaston(number, *, times=1):
        """Multiply."""
        return number * times

    with pytest.warns(
        RemovedInClaimkit1Warning, match=r"gaston is .* goes in claimkit 1; use"
    ) as told:
        assert gaston(3, times=2) == 6

    assert told[0].filename == __file__
    assert gaston.__doc__ == "Multiply."


def test_an_argument_that_will_go_warns_the_caller():
    def load(**old):
        if "houba" in old:
            warn_of("load(houba=)", instead="load(hop=)")

    with pytest.warns(ClaimkitDeprecationWarning, match=r"load\(houba=\) is deprecated") as told:
        load(houba=1)

    assert told[0].filename == __file__


def test_hosts_can_make_just_ours_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", ClaimkitDeprecationWarning)
        warnings.warn("of others", DeprecationWarning, stacklevel=1)

        with pytest.raises(RemovedInClaimkit1Warning):
            warn_of("spip()", instead="spirou()")
