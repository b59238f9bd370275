"""A progress bar for management commands, shown only where somebody can see it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claimkit.types import Progress

__all__ = ["ProgressBar", "progress_for"]

_WIDTH = 20


class ProgressBar:
    """Draws one line on a terminal, at most once per percent."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._shown: tuple[str, int] | None = None

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """Draw how far ``step`` has come; ends the line when it is done."""
        percent = min(100, 100 * done // total) if total else 0
        ended = total is not None and done >= total
        if (step, percent) == self._shown:
            return
        self._shown = (step, percent)
        filled = percent * _WIDTH // 100
        bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {percent:3d} %  {step}"
        columns = shutil.get_terminal_size().columns
        self._stream.write(f"\r\x1b[K{bar[: columns - 1]}{chr(10) if ended else ''}", ending="")
        self._stream.flush()


def progress_for(stream: Any, *, verbosity: int) -> Progress | None:
    """Return a bar for a command's stream, or None where it is no terminal or must be quiet."""
    return ProgressBar(stream) if verbosity > 0 and stream.isatty() else None
