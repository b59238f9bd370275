"""What will go, and how people are told: a class of warning for each version that removes something.

The class is the promise. A warning of class :class:`RemovedInClaimkit1Warning` says that what it
names works until 1.0 and not after it, so a host can turn just those into errors, and a test of ours
fails as soon as the version is reached and something is still there.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ClaimkitDeprecationWarning", "RemovedInClaimkit1Warning", "deprecated", "warn_of"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class ClaimkitDeprecationWarning(DeprecationWarning):
    """Root of claimkit's deprecations, to filter by: ``ignore::claimkit.deprecated.…``."""


class RemovedInClaimkit1Warning(ClaimkitDeprecationWarning):
    """What this warns of works until claimkit 1.0."""


def warn_of(
    what: str,
    *,
    instead: str,
    category: type[ClaimkitDeprecationWarning] = RemovedInClaimkit1Warning,
    stacklevel: int = 2,
) -> None:
    """Warn the caller's caller that ``what`` will go.

    Args:
        what: The public name, such as ``claimkit.plugins.load_plugins(strict=)``.
        instead: What to use, as a person types it.
        category: Names the version that removes it.
        stacklevel: 1 blames the caller of this function, 2 whoever called that.
    """
    warnings.warn(
        f"{what} is deprecated and goes in {_version_of(category)}; use {instead}",
        category,
        stacklevel=stacklevel + 1,
    )


def deprecated(
    *, instead: str, category: type[ClaimkitDeprecationWarning] = RemovedInClaimkit1Warning
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Mark a function or class as one that will go; each call warns whoever calls it.

    >>> @deprecated(instead="new()")
    ... def old() -> int:
    ...     return 417
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     old()
    417
    >>> str(caught[0].message)
    'claimkit.deprecated.old is deprecated and goes in claimkit 1; use new()'
    """

    def mark(function: Callable[_P, _R]) -> Callable[_P, _R]:
        name = f"{function.__module__}.{function.__qualname__}"

        @functools.wraps(function)
        def warned(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            warn_of(name, instead=instead, category=category)
            return function(*args, **kwargs)

        return warned

    return mark


def _version_of(category: type[ClaimkitDeprecationWarning]) -> str:
    digits = category.__name__.removeprefix("RemovedInClaimkit").removesuffix("Warning")
    return f"claimkit {'.'.join(digits)}" if digits.isdecimal() else "a later claimkit"
