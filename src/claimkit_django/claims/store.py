"""Claims in the database: :class:`claimkit.claims.store.ClaimStore` over the rows of this room.

What a batch changes is decided by :func:`claimkit.claims.ledger.merge`; here are its primitives:
wait for the tenant's turn, load what is known of the claims that the batch touches, write what
``merge`` says. The number of statements per batch is fixed, whatever its size.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, transaction

from claimkit.claims.ledger import (
    FACT_FIELDS,
    claim_key,
    facts_in,
    in_order,
    merge,
    renamed,
    sift,
    statements_in,
)
from claimkit.claims.lone import LoneClaims
from claimkit.claims.lone_statements import lone_claim_keys, lone_news
from claimkit.claims.model import Added, Outcome
from claimkit.claims.newcomers import claim_keys, newcomers
from claimkit.claims.store import ClaimTotals, Merged
from claimkit_django.bulk import BulkTable, among
from claimkit_django.claims import models
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.lines import line_of_event
from claimkit_django.claims.mapping_table import MappingTable
from claimkit_django.claims.rows import (
    ADJUSTMENTS,
    CLAIMS,
    EVENTS,
    EVENTS_ALONE,
    LINES,
    adjustment_of,
    decoded,
    event_of,
    line_of,
    position_of,
)
from claimkit_django.claims.writing import ClaimWriter
from claimkit_django.dictionaries import NameTable
from claimkit_django.tenants.turns import find_tenant, having_turn, reading

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator, Sequence

    from claimkit.claims.ledger import Statement
    from claimkit.claims.mapping import ClaimMapping
    from claimkit.claims.model import (
        Adjustment,
        ClaimBatch,
        ClaimEvent,
        ClaimPosition,
        ServiceLine,
    )
    from claimkit.claims.newcomers import Newcomers
    from claimkit.facts import ClaimFacts
    from claimkit.types import TenantKey
    from claimkit_django.dictionaries import Dictionary

__all__ = ["BilledProcedure", "OrmClaimStore", "StatedPayer"]

#: Claims that get other names at a time.
_PAGE = 5_000


class StatedPayer(NamedTuple):
    """One way in which files name a payer, and what it is called here."""

    name: str
    payer_id: str
    #: Without and with the tenant's rules.
    base: str
    payer: str
    statements: int


class BilledProcedure(NamedTuple):
    """One procedure code and its group without and with the tenant's rules."""

    code: str
    base: str
    group: str
    statements: int


class _News(NamedTuple):
    """What a batch says that is not known."""

    #: Claims of which nothing is known.
    fresh: Sequence[Newcomers]
    #: About claims that need a closer look.
    statements: Sequence[Statement]
    #: Keys of the batch's claims of which anything is known.
    stored: set[int]
    #: What was known word for word.
    same: Added


class OrmClaimStore:
    """Claims of all tenants in one database."""

    #: Claims may come as columns (``ClaimBatch.lone``).
    takes_columns = True

    def __init__(self, using: str) -> None:
        self._using = using
        self._names = NameTable(models.Dimension, using)
        self._mappings = MappingTable(using)
        self._writer = ClaimWriter(using, self._names)

    def add(
        self, tenant: TenantKey, batch: ClaimBatch, *, upload: str, known_on: dt.date
    ) -> Merged:
        """Add a batch of normalized claims; see :meth:`claimkit.claims.store.ClaimStore.add`.

        Raises:
            TenantUnknown: there is no such tenant, or it is not active.
        """
        with (
            transaction.atomic(using=self._using, savepoint=False),
            having_turn(tenant, self._using) as tenant_id,
        ):
            # Under the turn: rules that changed while the file was on its way are in force.
            mapping = self._mappings.load(tenant_id)
            mapping.apply(batch.claims)
            if batch.lone is not None:
                mapping.apply_lone(batch.lone)
            news = self._news(tenant_id, batch, upload, known_on)
            # Whole claims are loaded only where something changes.
            touched = news.stored & {one.event.claim_key for one in news.statements}
            names = self._names.load(tenant_id)
            events = self._events(tenant_id, touched, names)
            positions = {one.claim_key: one for one in self._positions(tenant_id, touched, names)}
            changeset = merge(news.statements, events, positions)
            self._writer.write(tenant_id, news.fresh, changeset, positions.keys(), names)
        fresh = Added(new=sum(map(len, news.fresh)))
        return Merged(
            added=fresh + news.same + changeset.added,
            changes=[*chain.from_iterable(one.changes() for one in news.fresh), *changeset.changes],
        )

    def _news(self, tenant_id: int, batch: ClaimBatch, upload: str, known_on: dt.date) -> _News:
        """Compare a batch with the contents of what is known of its claims; one query."""
        lone = batch.lone or LoneClaims()
        keys, lone_keys = claim_keys(batch.claims), lone_claim_keys(lone)
        told = Counter(keys)
        told.update(lone_keys)
        known = self._known(tenant_id, told.keys())
        stored = {key for key, _ in known}
        fresh, others = newcomers(
            batch.claims, keys, told, stored, upload=upload, known_on=known_on
        )
        alone = lone_news(lone, lone_keys, told, known, upload=upload, known_on=known_on)
        others = sorted([*others, *alone.others], key=attrgetter("position"))
        statements, same = sift(statements_in(others, upload=upload, known_on=known_on), known)
        return _News(
            # The larger part first: PostgreSQL plans the checks of foreign keys for a session when
            # it first makes them, and on a table of a few rows it takes an index on the tenant alone.
            fresh=sorted((one for one in (fresh, alone.fresh) if one), key=len, reverse=True),
            statements=statements,
            stored=stored,
            same=same + Added(same=alone.same, statements_same=alone.same),
        )

    def find(self, tenant: TenantKey, patient_control_number: str) -> ClaimPosition | None:
        """Return the position of one claim by its (folded) patient control number."""
        keys = {claim_key(patient_control_number)}
        with reading(tenant, self._using) as tenant_id:
            found = self._positions(tenant_id, keys, self._names.load(tenant_id))
        return found[0] if found else None

    def history(self, tenant: TenantKey, claim_key: int) -> Sequence[ClaimEvent]:
        """Return a claim's events, oldest decision first."""
        with reading(tenant, self._using) as tenant_id:
            events = self._events(tenant_id, {claim_key}, self._names.load(tenant_id))
        return in_order(events.get(claim_key, ()))

    def lines(self, tenant: TenantKey, claim_key: int) -> Sequence[ServiceLine]:
        """Return the service lines of a claim's events, in the order of its history."""
        adjustments: dict[tuple[int, int], list[Adjustment]] = defaultdict(list)
        found: dict[int, list[ServiceLine]] = defaultdict(list)
        with reading(tenant, self._using) as tenant_id:
            reasons = self._select(
                ADJUSTMENTS.columns[2:4] + ADJUSTMENTS.columns[5:],
                ADJUSTMENTS,
                tenant_id,
                "claim_key = %s ORDER BY event_key, line, ordinal",
                [claim_key],
            )
            rows = self._select(
                LINES.columns[2:],
                LINES,
                tenant_id,
                "claim_key = %s ORDER BY event_key, ordinal",
                [claim_key],
            )
            alone = self._select(
                ("event_key",), EVENTS, tenant_id, "claim_key = %s AND stands_for_line", [claim_key]
            )
        for event_key, line, *one in reasons:
            adjustments[event_key, line].append(adjustment_of(one))
        for event_key, ordinal, *row in rows:
            found[event_key].append(line_of(row, adjustments[event_key, ordinal]))
        events = self.history(tenant, claim_key)
        stand = {event_key for (event_key,) in alone}
        return [
            line
            for event in events
            for line in (
                [line_of_event(event)] if event.event_key in stand else found[event.event_key]
            )
        ]

    def scan(self, tenant: TenantKey, *, batch_size: int = 5_000) -> Iterator[list[ClaimPosition]]:
        """Yield all positions of a tenant by claim key, in constant memory."""
        after: int | None = None
        while True:
            where, parameters = ("claim_key > %s AND ", [after]) if after is not None else ("", [])
            # Entered for each batch: a generator shares the context of whoever drains it.
            with reading(tenant, self._using) as tenant_id:
                names = self._names.load(tenant_id)
                rows = self._select(
                    CLAIMS.columns[1:-1],
                    CLAIMS,
                    tenant_id,
                    f"{where}1 = 1 ORDER BY claim_key LIMIT %s",
                    [*parameters, batch_size],
                )
            if rows:
                yield [position_of(row, names) for row in rows]
            if len(rows) < batch_size:
                return
            after = rows[-1][0]

    def facts_by_day(
        self, tenant: TenantKey, *, batch_size: int = 5_000
    ) -> Iterator[list[ClaimFacts]]:
        """Yield the facts of all claims of a tenant, the oldest first, in constant memory.

        Claims that were decided at about the same time come together, and lie together on disk.
        """
        after: tuple[Any, ...] = ()
        while True:
            beyond = "(listed_on, id) > (%s, %s) AND " if after else ""
            with reading(tenant, self._using) as tenant_id:
                names = self._names.load(tenant_id)
                rows = self._select(
                    (*FACT_FIELDS, "listed_on", "id"),
                    CLAIMS,
                    tenant_id,
                    f"{beyond}1 = 1 ORDER BY listed_on, id LIMIT %s",
                    [*after, batch_size],
                )
            if rows:
                columns = dict(zip(FACT_FIELDS, zip(*rows, strict=True), strict=False))
                yield facts_in(decoded(columns, names))
            if len(rows) < batch_size:
                return
            after = rows[-1][-2:]

    def totals(self, tenant: TenantKey) -> ClaimTotals:
        """Return sums over the tenant's current positions; one pass over them."""
        sums = (
            "count(*)",
            f"sum(CASE WHEN outcome = {OUTCOMES[Outcome.PENDING]} THEN 1 ELSE 0 END)",
            f"sum(CASE WHEN outcome = {OUTCOMES[Outcome.DENIED]} THEN 1 ELSE 0 END)",
            "sum(charge)",
            "sum(paid)",
            "sum(CASE WHEN has_submission AND has_decision THEN 1 ELSE 0 END)",
            "sum(reversals)",
        )
        with (
            reading(tenant, self._using) as tenant_id,
            connections[self._using].cursor() as cursor,
        ):
            cursor.execute(
                f"SELECT {', '.join(sums)} FROM {self._quoted(CLAIMS.name)} WHERE tenant_id = %s",
                [tenant_id],
            )
            claims, pending, denied, charge, paid, joined, reversals = (
                int(value or 0) for value in cursor.fetchone()
            )
        return ClaimTotals(
            claims=claims,
            pending=pending,
            denied=denied,
            charge=charge,
            paid=paid,
            joined=joined,
            reversals=reversals,
        )

    def rename(self, tenant: TenantKey, mapping: ClaimMapping) -> Iterator[tuple[int, Merged]]:
        """Give what is stored the names of ``mapping``, page by page.

        In the caller's transaction, with the tenant's turn and in its scope.
        Only statements whose names differ are read and written, a fixed number of statements per
        page. Yields how many statements of a page changed, and what that did to their claims.
        """
        tenant_id = find_tenant(tenant, self._using).pk
        where = self._called_otherwise(tenant_id, mapping, self._names.load(tenant_id))
        after: int | None = None
        while where and (keys := self._claims_where(tenant_id, where, after)):
            names = self._names.load(tenant_id)
            events = self._events(tenant_id, keys, names)
            positions = {one.claim_key: one for one in self._positions(tenant_id, keys, names)}
            news = mapping.renamed(one for its in events.values() for one in its)
            changeset = renamed(news, events, positions)
            self._writer.write_names(tenant_id, changeset, names)
            yield len(news), Merged(added=changeset.added, changes=changeset.changes)
            after = max(keys)

    def stated_payers(self, tenant: TenantKey) -> list[StatedPayer]:
        """Return each way in which files name payers, most statements first; one query."""
        with reading(tenant, self._using) as tenant_id:
            names = self._names.load(tenant_id)
            rows = self._counted(tenant_id, ("payer_name", "payer_id", "base_payer", "payer"))
        return [
            StatedPayer(
                name=names.name(stated),
                payer_id=names.name(payer_id),
                base=names.name(base),
                payer=names.name(payer),
                statements=count,
            )
            for stated, payer_id, base, payer, count in rows
        ]

    def billed_procedures(self, tenant: TenantKey) -> list[BilledProcedure]:
        """Return each procedure code with its groups, most statements first; one query."""
        with reading(tenant, self._using) as tenant_id:
            names = self._names.load(tenant_id)
            rows = self._counted(tenant_id, ("procedure_code", "base_group", "procedure_group"))
        return [
            BilledProcedure(
                code=names.name(code),
                base=names.name(base),
                group=names.name(group),
                statements=count,
            )
            for code, base, group, count in rows
        ]

    # -- primitives -----------------------------------------------------------------------

    def _called_otherwise(self, tenant_id: int, mapping: ClaimMapping, names: Dictionary) -> str:
        """Return the condition of statements that ``mapping`` renames, ``""`` if there are none."""
        by_payer = [
            codes
            for *codes, _ in self._counted(
                tenant_id, ("payer_name", "payer_id", "base_payer", "payer")
            )
            if mapping.payer(*(names.name(code) for code in codes[:3])) != names.name(codes[3])
        ]
        by_group = [
            codes
            for *codes, _ in self._counted(
                tenant_id, ("procedure_code", "base_group", "procedure_group")
            )
            if mapping.group(names.name(codes[0]), names.name(codes[1])) != names.name(codes[2])
        ]
        return " OR ".join(
            f"({', '.join(columns)}) IN (VALUES {', '.join(_row_text(row) for row in rows)})"
            for columns, rows in (
                (("payer_name", "payer_id", "base_payer", "payer"), by_payer),
                (("procedure_code", "base_group", "procedure_group"), by_group),
            )
            if rows
        )

    def _claims_where(self, tenant_id: int, where: str, after: int | None) -> list[int]:
        beyond, parameters = ("claim_key > %s AND ", [after]) if after is not None else ("", [])
        with connections[self._using].cursor() as cursor:
            cursor.execute(
                f"SELECT DISTINCT claim_key FROM {self._quoted(EVENTS.name)} WHERE tenant_id = %s"
                f" AND {beyond}({where}) ORDER BY claim_key LIMIT {_PAGE}",
                [tenant_id, *parameters],
            )
            return [key for (key,) in cursor.fetchall()]

    def _counted(self, tenant_id: int, columns: Sequence[str]) -> list[tuple[int, ...]]:
        chosen = ", ".join(columns)
        with connections[self._using].cursor() as cursor:
            cursor.execute(
                f"SELECT {chosen}, count(*) FROM {self._quoted(EVENTS.name)} WHERE tenant_id = %s"
                f" GROUP BY {chosen} ORDER BY count(*) DESC, {chosen}",
                [tenant_id],
            )
            rows: list[tuple[int, ...]] = cursor.fetchall()
        return rows

    def _known(
        self, tenant_id: int, keys: Collection[int]
    ) -> dict[tuple[int, int], tuple[int, dt.date]]:
        """Return claim key and event key → content and day of becoming known, of these claims."""
        where, parameter = among(connections[self._using], "claim_key", keys)
        columns = ("claim_key", "event_key", "content", "known_on")
        rows = self._select(columns, EVENTS, tenant_id, where, [parameter])
        return {(claim, event): (content, known) for claim, event, content, known in rows}

    def _events(
        self, tenant_id: int, keys: Collection[int], names: Dictionary
    ) -> dict[int, list[ClaimEvent]]:
        where, parameter = among(connections[self._using], "claim_key", keys)
        found: dict[int, list[ClaimEvent]] = defaultdict(list)
        columns = EVENTS_ALONE.columns[1:]
        for row in self._select(columns, EVENTS, tenant_id, where, [parameter]):
            found[row[0]].append(event_of(row, names))
        return found

    def _positions(
        self, tenant_id: int, keys: Collection[int], names: Dictionary
    ) -> list[ClaimPosition]:
        where, parameter = among(connections[self._using], "claim_key", keys)
        rows = self._select(CLAIMS.columns[1:-1], CLAIMS, tenant_id, where, [parameter])
        return [position_of(row, names) for row in rows]

    def _select(
        self,
        columns: Sequence[str],
        table: BulkTable,
        tenant_id: int,
        where: str,
        parameters: Sequence[Any],
    ) -> list[tuple[Any, ...]]:
        chosen = ", ".join(map(self._quoted, columns))
        with connections[self._using].cursor() as cursor:
            cursor.execute(
                f"SELECT {chosen} FROM {self._quoted(table.name)} WHERE tenant_id = %s AND {where}",
                [tenant_id, *parameters],
            )
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def _quoted(self, name: str) -> str:
        quoted: str = connections[self._using].ops.quote_name(name)
        return quoted


def _row_text(codes: Sequence[int]) -> str:
    return f"({', '.join(str(int(code)) for code in codes)})"
