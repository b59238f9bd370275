"""What operators watch of the tenants room: that the second wall stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimkit.ops.health import Status, Vital
from claimkit_django.conf import config
from claimkit_django.tenants.policies import bypasses_policies, inventory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claimkit.ops.health import Check

__all__ = ["RowSecurityCheck", "health_checks"]


class RowSecurityCheck:
    """Fails where row-level security is asked for and some table is not held by it."""

    name = "row_security"

    def __init__(self, using: str) -> None:
        self._using = using

    def look(self) -> Vital:
        """Take the inventory; two queries."""
        walls = inventory(self._using)
        open_tables = [one.table for one in walls if not one.holds]
        figures = {"tables": len(walls), "open": len(open_tables)}
        if open_tables:
            note = (
                f"does not hold {', '.join(open_tables[:5])}; see manage.py claimkit_row_security"
            )
            return Vital(status=Status.FAILING, note=note, figures=figures)
        if bypasses_policies(self._using):
            note = "the database role sees every row, policies or not"
            return Vital(status=Status.DEGRADED, note=note, figures=figures)
        return Vital(figures=figures)


def health_checks(using: str) -> Iterator[Check]:
    """Yield the check of row-level security where the site asks for it."""
    if config().tenants.row_level_security:
        yield RowSecurityCheck(using)
