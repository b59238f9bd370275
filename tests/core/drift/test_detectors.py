from __future__ import annotations

import pytest

from claimkit.drift.detectors import choose_detectors
from claimkit.errors import UnknownName


class Quiet:
    name = "quiet"

    def detect(self, cube, *, as_of, config, open_findings=(), accepted_findings=()):
        return ()


class Telling(Quiet):
    name = "telling"

    def __init__(self, told=None):
        self.told = told

    def telling(self, progress):
        return Telling(progress)


def progress(step, done, total):
    pass


KNOWN = {"quiet": Quiet(), "telling": Telling()}


def test_detectors_run_in_the_order_of_the_settings():
    chosen = choose_detectors(["telling", "quiet"], KNOWN)

    assert [one.name for one in chosen] == ["telling", "quiet"]
    assert chosen[0] is KNOWN["telling"]


def test_those_that_can_tell_progress_do():
    chosen = choose_detectors(["telling", "quiet"], KNOWN, progress)

    assert chosen[0].told is progress
    assert chosen[1] is KNOWN["quiet"]


def test_an_unknown_one_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown detector 'quite'; did you mean 'quiet'"):
        choose_detectors(["quiet", "quite"], KNOWN)
