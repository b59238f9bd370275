"""Names as small integers: the dictionary of one tenant, in a table with one sequence of codes.

Rows refer to names by code, which makes them narrow; code 0 is the empty name. A code is given
once and never changes. Codes are given under the tenant's lock, and what this process remembers
is only what has been committed, so a transaction that rolls back leaves nothing behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections, transaction

from claimkit_django.bulk import BulkTable, insert_columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model

__all__ = ["Dictionary", "NameTable"]

_FIRST_CODE = 1


class Dictionary:
    """Names and codes of one tenant, as one transaction sees them."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], int] = {}
        self._names: dict[int, str] = {0: ""}
        self.last_code = 0

    def copy(self) -> Dictionary:
        """Return a dictionary that can grow on its own."""
        other = Dictionary()
        other._codes = self._codes.copy()
        other._names = self._names.copy()
        other.last_code = self.last_code
        return other

    def learn(self, axis: str, code: int, name: str) -> None:
        """Take in one row."""
        self._codes[axis, name] = code
        self._names[code] = name
        self.last_code = max(self.last_code, code)

    def name(self, code: int) -> str:
        """Return the name behind a code of any axis."""
        return self._names[code]

    def code(self, axis: str, name: str) -> int:
        """Return the code of a known name; 0 for the empty one."""
        return self._codes[axis, name] if name else 0

    def missing(self, wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the names that have no code yet, each once, in a stable order."""
        return sorted({pair for pair in wanted if pair[1] and pair not in self._codes})


class NameTable:
    """The table of names of a room, for one database."""

    def __init__(self, model: type[Model], using: str) -> None:
        self._table = BulkTable(
            name=model._meta.db_table,
            columns=("tenant_id", "axis", "code", "name"),
            key=("tenant_id", "code"),
        )
        self._using = using
        self._committed: dict[int, Dictionary] = {}

    def load(self, tenant_id: int, *, up_to: int | None = None) -> Dictionary:
        """Return the tenant's names as this transaction sees them; one query for what is new.

        Args:
            tenant_id: Database id of the tenant.
            up_to: The largest code that is asked for; no query where all up to it are known, since
                a code keeps its name.
        """
        known = self._committed.get(tenant_id) or Dictionary()
        if up_to is not None and up_to <= known.last_code:
            return known
        connection = connections[self._using]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT axis, code, name FROM {connection.ops.quote_name(self._table.name)}"
                " WHERE tenant_id = %s AND code > %s ORDER BY code",
                [tenant_id, known.last_code],
            )
            rows = cursor.fetchall()
        if not rows:
            return known
        grown = known.copy()
        for axis, code, name in rows:
            grown.learn(axis, code, name)
        self._remember(tenant_id, grown)
        return grown

    def grow(
        self, tenant_id: int, dictionary: Dictionary, wanted: Iterable[tuple[str, str]]
    ) -> Dictionary:
        """Return the dictionary with a code for every wanted (axis, name).

        At most one statement, or a fixed number, however many names are new. The caller holds
        the tenant's lock.
        """
        missing = dictionary.missing(wanted)
        if not missing:
            return dictionary
        grown = dictionary.copy()
        codes = range(
            dictionary.last_code + _FIRST_CODE, dictionary.last_code + _FIRST_CODE + len(missing)
        )
        for code, (axis, name) in zip(codes, missing, strict=True):
            grown.learn(axis, code, name)
        axes, names = zip(*missing, strict=True)
        insert_columns(self._using, self._table, [[tenant_id] * len(missing), axes, codes, names])
        self._remember(tenant_id, grown)
        return grown

    def _remember(self, tenant_id: int, dictionary: Dictionary) -> None:
        def keep() -> None:
            before = self._committed.get(tenant_id)
            if before is None or before.last_code < dictionary.last_code:
                self._committed[tenant_id] = dictionary

        # Rows that this transaction wrote may still roll back; then they were never there.
        transaction.on_commit(keep, using=self._using)
