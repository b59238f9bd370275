"""The repair file: rejected rows as they were sent, with what is wrong with each."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from django.db import DEFAULT_DB_ALIAS

from claimkit.claims.intake import repair_csv
from claimkit_django.claims.intake import problems_of
from claimkit_django.trail import record

if TYPE_CHECKING:
    from claimkit_django.claims.models import Upload

__all__ = ["note_download", "write_repair"]


def note_download(upload: Upload) -> None:
    """Tell the trail who takes rows of patients away."""
    record(
        "repair_file.downloaded",
        tenant_id=upload.tenant_id,
        target=upload.uid,
        changes={"rows": (None, upload.rows_rejected)},
        using=upload._state.db or DEFAULT_DB_ALIAS,
    )


def write_repair(upload: Upload, out: BinaryIO) -> None:
    """Write an upload's rejected rows as CSV, safe to open in a spreadsheet.

    Correct the rows and import the file as it is: the columns with the reasons are ignored.
    There are at most ``CLAIMKIT["CLAIMS"]["MAX_PROBLEMS"]`` rows; they are held in memory.
    """
    repair_csv(problems_of(upload), out, header=upload.header)
