"""How claims, their statements and lines are written: column by column, in the order of the keys."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from django.db import connections

from claimkit_django.bulk import OnConflict, among, insert_columns
from claimkit_django.claims import models
from claimkit_django.claims.lines import lines_beside, standing_for_lines, told_beside
from claimkit_django.claims.rows import (
    ADJUSTMENTS,
    CLAIMS,
    EVENTS,
    EVENTS_ALONE,
    LINES,
    Encoder,
    adjustment_columns,
    clean,
    line_columns,
    lone_line_columns,
    names_in,
    told_by_events,
    told_by_positions,
)
from claimkit_django.tenants.changes import note_change

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from claimkit.claims.ledger import Changeset
    from claimkit.claims.model import ClaimEvent, ServiceLine
    from claimkit.claims.newcomers import Newcomers
    from claimkit_django.dictionaries import Dictionary, NameTable

__all__ = ["ClaimWriter"]


class ClaimWriter:
    """Writes what a batch changes, in the caller's transaction and with the tenant's turn.

    Args:
        using: Alias of the database.
        names: Where names get their codes.
    """

    def __init__(self, using: str, names: NameTable) -> None:
        self._using = using
        self._names = names

    def write(
        self,
        tenant_id: int,
        fresh: Sequence[Newcomers],
        changeset: Changeset,
        stored: Collection[int],
        names: Dictionary,
    ) -> None:
        """Insert newcomers, and insert or replace what a changeset says; ``stored`` are known keys."""
        if not (fresh or changeset.events):
            return
        if changeset.replaced:
            self._forget_lines(tenant_id, changeset.replaced)
        for one in fresh:
            names = self._insert(
                tenant_id, names, one.events, one.positions, one.lone_lines or one.lines
            )
        # In the order of the keys: neighbors in the index are written one after the other, and
        # what a row refers to before the row.
        claims = sorted(changeset.positions, key=attrgetter("claim_key"))
        events = sorted(changeset.events, key=attrgetter("claim_key", "event_key"))
        old = [one for one in claims if one.claim_key in stored]
        new = [one for one in claims if one.claim_key not in stored]
        corrected = OnConflict.REPLACE if changeset.replaced else OnConflict.REFUSE
        # Each kind has its faster way.
        for some, *on_conflict in (
            (new, OnConflict.REFUSE, OnConflict.REFUSE),
            (old, OnConflict.REPLACE, corrected),
        ):
            keys = {one.claim_key for one in some}
            its = [one for one in events if one.claim_key in keys]
            if some:
                names = self._insert(
                    tenant_id,
                    names,
                    told_by_events(its),
                    told_by_positions(some),
                    [changeset.lines[one.claim_key, one.event_key] for one in its],
                    *on_conflict,
                )
        note_change([tenant_id], models.Claim.shown_in, self._using)

    def write_names(self, tenant_id: int, changeset: Changeset, names: Dictionary) -> None:
        """Write statements and positions under other names; their lines stay as they are."""
        events = told_by_events(sorted(changeset.events, key=attrgetter("claim_key", "event_key")))
        claims = told_by_positions(sorted(changeset.positions, key=attrgetter("claim_key")))
        _, encoder = self._encoder(tenant_id, names, events, claims)
        columns = encoder.event_columns(events)
        insert_columns(self._using, EVENTS_ALONE, columns, OnConflict.REPLACE)
        insert_columns(self._using, CLAIMS, encoder.claim_columns(claims), OnConflict.REPLACE)
        note_change([tenant_id], models.Claim.shown_in, self._using)

    def _insert(
        self,
        tenant_id: int,
        names: Dictionary,
        events: Mapping[str, Sequence[Any]],
        positions: Mapping[str, Sequence[Any]],
        lines: Sequence[Sequence[ServiceLine]] | Callable[[str], Sequence[Any]],
        on_conflict: OnConflict = OnConflict.REFUSE,
        on_event_conflict: OnConflict = OnConflict.REFUSE,
    ) -> Dictionary:
        """Write claims with events and their lines; return the names with those that were new."""
        names, encoder = self._encoder(tenant_id, names, events, positions)
        insert_columns(self._using, CLAIMS, encoder.claim_columns(positions), on_conflict)
        stands = standing_for_lines(events, lines)
        columns = [*encoder.event_columns(events), stands]
        insert_columns(self._using, EVENTS, columns, on_event_conflict)
        keys = (events["claim_key"], events["event_key"])
        if callable(lines):
            claim_keys, event_keys, told = told_beside(lines, stands, *keys)
            columns = lone_line_columns(tenant_id, claim_keys, event_keys, told)
            insert_columns(self._using, LINES, columns)
            return names
        beside = lines_beside(lines, stands)
        ordered = list(zip(zip(*keys, strict=True), beside, strict=True))
        insert_columns(self._using, LINES, line_columns(tenant_id, ordered))
        insert_columns(self._using, ADJUSTMENTS, adjustment_columns(tenant_id, ordered))
        return names

    def _encoder(
        self,
        tenant_id: int,
        names: Dictionary,
        events: Mapping[str, Sequence[Any]],
        positions: Mapping[str, Sequence[Any]],
    ) -> tuple[Dictionary, Encoder]:
        wanted = names_in(events, positions)
        pairs = [(axis, clean(text)) for axis, texts in wanted.items() for text in texts]
        names = self._names.grow(tenant_id, names, pairs)
        return names, Encoder(tenant_id, names, wanted)

    def _forget_lines(self, tenant_id: int, replaced: Sequence[ClaimEvent]) -> None:
        connection = connections[self._using]
        # The claim's key leads the index; the event's key tells its statements apart.
        claims = among(connection, "claim_key", {one.claim_key for one in replaced})
        events = among(connection, "event_key", {one.event_key for one in replaced})
        with connection.cursor() as cursor:
            for table in (ADJUSTMENTS, LINES):
                cursor.execute(
                    f"DELETE FROM {connection.ops.quote_name(table.name)}"
                    f" WHERE tenant_id = %s AND {claims[0]} AND {events[0]}",
                    [tenant_id, claims[1], events[1]],
                )
