"""What turns a file into claims: the reader port, and choosing the right reader by its content."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, BinaryIO, Protocol

from claimkit.errors import FileRefused, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from claimkit.claims.model import ClaimBatch, ClaimKind
    from claimkit.claims.templates import CsvTemplate

__all__ = [
    "MOST_RECORDS",
    "SNIFF_BYTES",
    "ClaimReader",
    "Confidence",
    "ReadOptions",
    "choose_reader",
    "options_for",
    "refuse_foreign",
]

#: Most claims per batch that are records, whatever is asked for; as columns they take a part of
#: the memory.
MOST_RECORDS = 5_000
#: How much of a file readers are shown before one is chosen.
SNIFF_BYTES = 65_536


class Confidence(IntEnum):
    """How sure a reader is that a file is its own."""

    NO = 0
    #: Nothing speaks against it (any text may be a CSV).
    POSSIBLE = 1
    LIKELY = 2
    #: A signature that nothing else has (``ISA`` and sixteen separators).
    CERTAIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How to read one file; readers ignore what does not concern them."""

    #: Claims per batch; bounds memory.
    batch_size: int = 5_000
    #: Column header → canonical field, over the aliases (CSV).
    columns: Mapping[str, str] = field(default_factory=dict)
    #: Templates to recognize the file by; what :attr:`columns` and the others say wins (CSV).
    templates: Sequence[CsvTemplate] = ()
    #: ``"mdy"`` or ``"dmy"`` where the file itself leaves it open; ``""`` lets the reader decide.
    date_order: str = ""
    #: Texts that mean "no value", beside the empty text.
    nulls: frozenset[str] = frozenset()
    #: Stop after this many rejected rows; the file is refused from there on.
    max_problems: int = 1_000
    #: Or after this share of rejected rows, once 1,000 rows were read.
    max_problem_share: float = 0.2
    #: The claims were not sent yet, so that no column needs to tell of a decision (CSV).
    undecided: bool = False
    #: Claims may come as columns, in ``ClaimBatch.lone``, where the reader can do that (CSV).
    columnar: bool = False


class ClaimReader(Protocol):
    """Reads one family of files. Registered by ``claimkit_register_readers``."""

    #: Unique; shown by ``claimkit plugins`` and usable as ``--reader``.
    name: str
    kinds: tuple[ClaimKind, ...]

    def sniff(self, head: bytes, filename: str) -> Confidence:
        """Judge the first :data:`SNIFF_BYTES` bytes of a file; must not raise."""
        ...

    def read(self, stream: BinaryIO, options: ReadOptions) -> Iterator[ClaimBatch]:
        """Yield batches until the stream ends, in constant memory.

        Rows that cannot be taken become :class:`~claimkit.claims.model.RowProblem` values.

        Raises:
            FileRefused: nothing of the file can be read; raised before the first batch if possible.
        """
        ...


#: Signatures of files that are often named .csv or .txt and never are.
_FOREIGN = (
    (b"PK\x03\x04", "an Excel workbook or ZIP archive", "Save the sheet as CSV and try again"),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and try again"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV and try again"),
    (b"%PDF", "a PDF", "Ask the sender for an 835, 837 or CSV file"),
)


def options_for(reader: ClaimReader, options: ReadOptions) -> ReadOptions:
    """Return the options for a reader: smaller batches for one that makes records only.

    A reader that puts claims into ``ClaimBatch.lone`` says so by an attribute ``makes_columns``.
    """
    if options.columnar and getattr(reader, "makes_columns", False):
        return options
    return replace(options, batch_size=min(options.batch_size, MOST_RECORDS))


def choose_reader(
    head: bytes, filename: str, readers: Mapping[str, ClaimReader], *, wanted: str = ""
) -> ClaimReader:
    """Return the reader that is surest of the file; ``wanted`` overrides sniffing.

    Raises:
        UnknownName: ``wanted`` is not registered.
        FileRefused: no reader takes the file; the message says what it seems to be.
    """
    if wanted:
        if wanted not in readers:
            raise UnknownName.of("reader", wanted, readers)
        return readers[wanted]
    refuse_foreign(head)
    ranked = sorted(
        ((reader.sniff(head, filename), name) for name, reader in readers.items()),
        key=lambda pair: (-pair[0], pair[1]),
    )
    if ranked and ranked[0][0] > Confidence.NO:
        return readers[ranked[0][1]]
    looks_x12 = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:3] in (b"ISA", b"GS*", b"ST*")
    if looks_x12:
        raise FileRefused(
            "this is an X12 file and no X12 reader is installed",
            remedy="Install it with: pip install claimkit-x12",
        )
    raise FileRefused(
        "this is not a claims file that any installed reader knows",
        remedy="Run 'claimkit plugins' to see the readers",
    )


def refuse_foreign(head: bytes) -> None:
    """Refuse workbooks, archives and documents by their signature.

    Raises:
        FileRefused: the bytes are none of a text file; the message says what they are.
    """
    for signature, what, remedy in _FOREIGN:
        if head.startswith(signature):
            raise FileRefused(f"this is {what}, not a claims file", remedy=remedy)
