"""What every choice of a tenant must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.tenants import TenantHint
from claimkit.testing.conformance.suite import plugin_property
from claimkit.types import TenantKey

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TenantChoiceConformance"]

_KEYS = st.sampled_from(["northside", "lakeview", "st-marys"]).map(TenantKey)
_HINTS = st.builds(
    TenantHint,
    actor=st.sampled_from(["", "ada", "token:whk_spip"]),
    permitted=st.lists(_KEYS, unique=True, max_size=3).map(tuple),
    wanted=st.sampled_from(["", "northside", "lakeview", "nobody", "NORTHSIDE", "\x00"]),
)
#: Seconds for a hundred: it is asked once per request.
_MOST_SECONDS = 0.1


class TenantChoiceConformance:
    """Subclass it and give it the fixture ``resolve``: your ``claimkit_resolve_tenant``."""

    @pytest.fixture
    def resolve(self) -> Callable[[TenantHint], TenantKey | None]:
        """Override: return the hook's implementation."""
        raise NotImplementedError("a conformance suite needs a fixture called 'resolve'")

    @plugin_property
    @given(hint=_HINTS)
    def test_it_chooses_what_is_permitted_or_leaves_it_to_others(
        self, resolve: Callable[[TenantHint], TenantKey | None], hint: TenantHint
    ) -> None:
        chosen = resolve(hint)

        assert chosen is None or chosen in hint.permitted

    @plugin_property
    @given(hint=_HINTS)
    def test_it_chooses_the_same_again(
        self, resolve: Callable[[TenantHint], TenantKey | None], hint: TenantHint
    ) -> None:
        assert resolve(hint) == resolve(hint)

    def test_it_is_quick(self, resolve: Callable[[TenantHint], TenantKey | None]) -> None:
        hint = TenantHint(actor="ada", permitted=(TenantKey("northside"),))
        began = time.perf_counter()
        for _ in range(100):
            resolve(hint)

        assert time.perf_counter() - began < _MOST_SECONDS
