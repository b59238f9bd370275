from __future__ import annotations

import inspect

import pytest

from claimkit import errors
from claimkit.errors import ClaimkitError, ConfigError, FileRefused, UnknownName, did_you_mean


def every_error() -> list[type[ClaimkitError]]:
    return [
        one
        for _, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, ClaimkitError)
    ]


def test_every_error_is_exported_with_a_code_of_its_own():
    codes = [one.code for one in every_error()]

    assert sorted(one.__name__ for one in every_error()) == sorted(
        name for name in errors.__all__ if name != "did_you_mean"
    )
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", every_error(), ids=lambda one: one.__name__)
def test_the_tree_in_the_docstring_shows_every_error(error):
    assert error.__name__ in (errors.__doc__ or "")


def test_text_is_message_and_remedy():
    assert str(FileRefused("this is a PDF", remedy="Ask for an 835")) == (
        "this is a PDF. Ask for an 835"
    )
    assert str(ConfigError("no key")) == "no key"


def test_a_code_can_be_told_apart_within_a_class():
    assert ConfigError("circle", code="mapping_circular").code == "mapping_circular"
    assert ConfigError("circle").code == "config_invalid"


def test_callers_may_catch_the_builtin_they_know():
    with pytest.raises(LookupError, match="did you mean 'lattice'"):
        raise UnknownName.of("detector", "latice", ["lattice", "threshold"])


def test_no_suggestion_where_nothing_is_near():
    assert did_you_mean("quux", ["denial_rate"]) == ""
