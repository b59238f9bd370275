"""What the command line prints besides results: one-line errors, JSON lines, a progress bar."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from claimkit.errors import ClaimkitError

if TYPE_CHECKING:
    import argparse

    from claimkit.types import Progress

__all__ = ["error_row", "fail", "one_line", "print_json", "progress_for", "wants_color", "warn"]


def print_json(row: dict[str, Any]) -> None:
    """Print one object on one line."""
    print(json.dumps(row, ensure_ascii=False))


def error_row(error: Exception) -> dict[str, str]:
    """Return an error as fields; never more of it than people may see."""
    if isinstance(error, ClaimkitError):
        return {"code": error.code, "message": error.message, "remedy": error.remedy}
    return {"code": "file_unreadable", "message": one_line(error), "remedy": ""}


def one_line(error: Exception) -> str:
    """Return an error as one line without paths or tracebacks."""
    if isinstance(error, OSError) and not isinstance(error, ClaimkitError):
        return error.strerror or type(error).__name__
    return " ".join(str(error).split())


def fail(line: str) -> int:
    """Print an error and return the exit status."""
    print(f"claimkit: error: {line}", file=sys.stderr)
    return 1


def warn(line: str) -> None:
    """Print what is worth knowing and no reason to fail."""
    print(f"claimkit: warning: {line}", file=sys.stderr)


def progress_for(arguments: argparse.Namespace) -> Progress | None:
    """Return a bar, or None where nobody watches."""
    if arguments.quiet or not sys.stderr.isatty():
        return None
    return _Bar()


class _Bar:
    """A progress bar on standard error, redrawn at most once per percent."""

    def __init__(self) -> None:
        self._shown: tuple[str, int] = ("", -1)

    def __call__(self, step: str, done: int, total: int | None) -> None:
        percent = min(100, 100 * done // total) if total else 0
        if (step, percent) == self._shown and (total is None or done < total):
            return
        self._shown = (step, percent)
        width = shutil.get_terminal_size().columns
        filled = percent // 5
        bar = f"[{'█' * filled}{'·' * (20 - filled)}] {percent:3d} %  {step}"
        end = "\n" if total is not None and done >= total else ""
        sys.stderr.write(f"\r\x1b[K{bar[: width - 1]}{end}")
        sys.stderr.flush()


def wants_color() -> bool:
    """Whether to style what goes to standard output."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
