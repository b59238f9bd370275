"""Rows of a CSV as columns, where a row is a claim of its own: the short way past one by one.

Which rows take the short way is decided here, and carefully: a row whose every cell can be read,
that lacks nothing, that needs no adjustments, and whose claim neither the row before nor the one
after tells. All others go through :meth:`ClaimRows.take <claimkit.claims.rows.ClaimRows.take>`,
which also says what is wrong. Cells are converted by the same converters either way.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from claimkit.claims.lone import LoneClaims
from claimkit.claims.rows import CORE_FIELDS, STATED_PAID
from claimkit.claims.values import MAX_IDENTIFIER, BadCell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from claimkit.claims.optional_columns import OptionalValues
    from claimkit.claims.readers import ReadOptions
    from claimkit.claims.rows import ClaimRows
    from claimkit.claims.values import Memo

__all__ = ["LoneRows"]

#: Fields of a claim whose value that is not told is no text.
_NONE = frozenset({"received_on"})


class LoneRows:
    """Reads rows as columns.

    Args:
        claims: Takes the other rows; its converters are used.
        options: How to read.
    """

    def __init__(self, claims: ClaimRows, options: ReadOptions) -> None:
        columns = claims.columns
        self._width = len(columns.header)
        self._core = [(columns.one(name), claims.memos[name]) for name in CORE_FIELDS]
        self._claim_id = columns.one("claim_id")
        self._claim_id_of = claims.claim_id_of
        self._plain_ids = not options.nulls
        self._optional = claims.optional

    def read(self, number: int, rows: Sequence[Sequence[str]]) -> tuple[LoneClaims, bytearray]:
        """Return the rows as claims, and which of them may be taken so: 1, else 0.

        Args:
            number: Physical line of the first row; the others follow line by line.
            rows: As split.
        """
        piece = _Piece(rows, self._width)
        ids = self._ids(piece)
        core = [piece.typed(index, memo) for index, memo in self._core]
        optional = self._optional.columns(piece.typed)
        piece.doubt_lacking(ids, core)
        taken = _alone(ids, piece.doubtful)
        for column in optional.explained:
            if any(column):
                for at, told in enumerate(column):
                    if told:
                        taken[at] = 0
        return _claims(number, ids, core, optional), taken

    def _ids(self, piece: _Piece) -> list[str]:
        cells = piece.cells(self._claim_id)
        text = "".join(cells)
        if self._plain_ids and text.isascii() and "+" not in text:
            ids = list(map(str.strip, cells))
            if max(map(len, ids)) <= MAX_IDENTIFIER:
                return ids
        return piece.converted(cells, self._claim_id_of, "")


class _Piece:
    """Some rows by column, and which of them are in doubt."""

    def __init__(self, rows: Sequence[Sequence[str]], width: int) -> None:
        self.doubtful: set[int] = set()
        self._width = width
        self._size = len(rows)
        if set(map(len, rows)) != {width}:
            self.doubtful.update(at for at, row in enumerate(rows) if len(row) != width)
            blank = [""] * width
            rows = [row if len(row) == width else blank for row in rows]
        self._columns = list(zip(*rows, strict=True))

    def cells(self, index: int) -> Sequence[str]:
        """Return a column of cells; the one after the last is blank."""
        return self._columns[index] if index < self._width else ("",) * self._size

    def typed(self, index: int, memo: Memo[Any]) -> list[Any]:
        """Return a column of values; rows of cells that cannot be read are in doubt."""
        if index >= self._width:
            return [memo[""]] * self._size
        return self.converted(self._columns[index], memo.__getitem__, None)

    def converted(
        self, cells: Sequence[str], convert: Callable[[str], Any], otherwise: Any
    ) -> list[Any]:
        """Return cells as a converter takes them, ``otherwise`` where it does not."""
        try:
            return list(map(convert, cells))
        except BadCell:
            pass
        values = []
        for at, cell in enumerate(cells):
            try:
                values.append(convert(cell))
            except BadCell:
                values.append(otherwise)
                self.doubtful.add(at)
        return values

    def doubt_lacking(self, ids: Sequence[str], core: Sequence[Sequence[Any]]) -> None:
        """Doubt rows without claim id, payer, date or charge, or of which something must be told."""
        names, payers, procedures, served, sent, _, _, charges, _, paid, words = core
        doubt = self.doubtful.add
        rows = zip(ids, names, payers, served, sent, charges, paid, words, procedures, strict=True)
        for at, (claim_id, name, payer, day, day_sent, charge, cents, word, procedure) in enumerate(
            rows
        ):
            if (
                not claim_id
                or charge is None
                or not (name or payer)
                or (day is None and day_sent is None)
                or word == "?"
                or (cents is None and word in STATED_PAID)
                or procedure is None
                or procedure.repaired
            ):
                doubt(at)


def _alone(ids: Sequence[str], doubtful: set[int]) -> bytearray:
    """Mark rows of which nothing is in doubt, nor of their neighbors, and which have other ids."""
    # What is before the first row and behind the last one is not known.
    alone = bytearray(b"\0" + b"\1" * (len(ids) - 2) + b"\0") if len(ids) > 1 else bytearray(1)
    for at, (one, two) in enumerate(pairwise(ids)):
        if one == two:
            alone[at] = alone[at + 1] = 0
    for at in doubtful:
        for near in (at - 1, at, at + 1):
            if 0 <= near < len(alone):
                alone[near] = 0
    return alone


def _claims(
    number: int, ids: list[str], core: Sequence[list[Any]], optional: OptionalValues
) -> LoneClaims:
    """Return what :class:`~claimkit.claims.rows.ClaimRows` makes of each row that stands alone."""
    names, payers, procedures, served, sent, decided, paid_on, charges, allowed, paid, words = core
    positions = list(range(number, number + len(ids)))
    cents = [one or 0 for one in paid]
    prefixed = {one: f"PI:{one}" if one else "" for one in set(payers)}
    ends = optional.lines.get("service_to", [None] * len(ids))
    modifiers = [one.modifiers if one else () for one in procedures]
    for column in optional.modifiers:
        modifiers = [one + (more or ()) for one, more in zip(modifiers, column, strict=True)]
    claims: dict[str, list[Any]] = {
        "position": positions,
        "patient_control_number": ids,
        "payer_name": names,
        "payer_id": list(map(prefixed.__getitem__, payers)),
        "service_from": served,
        "service_to": [one or two for one, two in zip(ends, served, strict=True)],
        "submitted_on": sent,
        "decided_on": [one or two for one, two in zip(decided, paid_on, strict=True)],
        "paid_on": [one if two else None for one, two in zip(paid_on, paid, strict=True)],
        "status": words,
        "charge": charges,
        "allowed": allowed,
        "paid": cents,
    }
    for name, column in optional.claims.items():
        nothing = None if name in _NONE else ""
        claims[name] = [one or nothing for one in column]
    if optional.patient is not None:
        claims["patient_responsibility"] = [one or 0 for one in optional.patient]
    lines: dict[str, list[Any]] = {
        "number": [one or "1" for one in optional.lines.get("number", [""] * len(ids))],
        "procedure_system": [one.system if one else "" for one in procedures],
        "procedure_code": [one.code if one else "" for one in procedures],
        "modifiers": modifiers,
        "service_from": served,
        "charge": charges,
        "allowed": allowed,
        "paid": cents,
        "position": positions,
    }
    if "revenue_code" in optional.lines:
        lines["revenue_code"] = [one or "" for one in optional.lines["revenue_code"]]
    for name in ("units", "service_to"):
        if name in optional.lines:
            lines[name] = [one or None for one in optional.lines[name]]
    return LoneClaims(claims=claims, lines=lines)
