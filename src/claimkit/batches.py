"""Batches of many live records, without what the interpreter does because they are many."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["without_cycles"]

_B = TypeVar("_B")
#: Batches between two searches.
_SEARCHED = 8


def without_cycles(batches: Iterable[_B]) -> Iterator[_B]:
    """Yield the batches, without the search for cyclic garbage in between.

    The search looks at each of the hundred thousands of live records of a batch, again and
    again, which is a fifth of an import's time and of a rebuild's. Records hold no cycles; what else
    makes some is collected now and then: whoever takes the batches still holds the last one, whose
    records a search looks at too.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for done, batch in enumerate(batches, start=1):
            yield batch
            if was_enabled and done % _SEARCHED == 0:
                gc.collect(1)
    finally:
        if was_enabled:
            gc.enable()
