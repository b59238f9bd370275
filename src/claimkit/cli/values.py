"""Texts of the command line as values; argparse tells what is wrong with one."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from claimkit.cli.files import read_template
from claimkit.errors import ClaimkitError

if TYPE_CHECKING:
    from claimkit.claims.templates import CsvTemplate

__all__ = ["as_date", "as_months", "as_pair", "as_template"]


def as_pair(text: str) -> tuple[str, str]:
    """Return what stands before and after the last ``=``."""
    header, equals, name = text.rpartition("=")
    if not equals or not header:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEADER=FIELD")
    return header, name


def as_template(text: str) -> CsvTemplate:
    """Return the template in a JSON file."""
    try:
        return read_template(Path(text))
    except (ClaimkitError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def as_date(text: str) -> dt.date:
    """Return a day, written as ISO 8601 does."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2026-11-24") from None


def as_months(text: str) -> int:
    """Return a number of months, 1 to 120."""
    if not text.isdecimal() or not 1 <= int(text) <= 120:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of months from 1 to 120")
    return int(text)
