"""How a known export is read: its columns, dates and texts for "no value", kept for the next file.

A template belongs to a header. The next file with the same columns is read with it, in whatever
order they come and whatever else is beside them, so that nobody maps an export twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from claimkit.claims.columns import fold_header, map_columns
from claimkit.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from claimkit.claims.readers import ReadOptions

__all__ = ["CsvTemplate", "check_template", "choose_template", "with_template"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvTemplate:
    """How files with one header are read."""

    #: What people call it; unique per tenant.
    name: str
    #: Column names of the export that it was made for, in any order.
    header: tuple[str, ...]
    #: Column header → canonical field, over the aliases.
    columns: Mapping[str, str] = field(default_factory=dict)
    #: ``mdy``, ``dmy``, or ``""`` where the file tells.
    date_order: str = ""
    #: Texts that mean "no value", beside the empty text.
    nulls: frozenset[str] = frozenset()

    @property
    def signature(self) -> frozenset[str]:
        """The folded headers by which a file is recognized."""
        return frozenset(map(fold_header, self.header)) - {""}


def check_template(template: CsvTemplate) -> None:
    """Refuse a template with which no file could be read.

    Raises:
        FileRefused: a required field has no column, two columns hold one field, or a column that
            identifies people is mapped.
        UnknownName: a column is mapped to a field that there is not.
    """
    if template.date_order not in ("", "mdy", "dmy"):
        raise FileRefused(
            "the date order must be mdy or dmy", remedy="Leave it out to let the file tell"
        )
    missing = {fold_header(one) for one in template.columns} - template.signature
    if missing:
        raise FileRefused(
            f"the header has no column {min(missing)!r}",
            remedy="Map only columns of the header",
            code="column_missing",
        )
    map_columns(template.header, template.columns)


def choose_template(
    rows: Iterable[Sequence[str]], templates: Iterable[CsvTemplate]
) -> CsvTemplate | None:
    """Return the template whose columns are all in one of the first rows; most columns win.

    Args:
        rows: The first rows of a file, title lines included.
        templates: To choose from; of equal ones the first by name.
    """
    headers = [frozenset(map(fold_header, row)) for row in rows]
    fitting = [
        one
        for one in templates
        if one.signature and any(one.signature <= header for header in headers)
    ]
    return min(fitting, key=lambda one: (-len(one.signature), one.name), default=None)


def with_template(options: ReadOptions, template: CsvTemplate) -> ReadOptions:
    """Return the options with what the template says; what was asked for wins."""
    return replace(
        options,
        columns={**template.columns, **options.columns},
        date_order=options.date_order or template.date_order,
        nulls=options.nulls | template.nulls,
    )
