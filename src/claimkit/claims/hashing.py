"""A file on its way through a reader, hashed as it goes by."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["HashingStream"]


class HashingStream(io.RawIOBase):
    """Reads through to a stream, hashing every byte once and able to look ahead at its start."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._ahead = b""
        self.sha256 = hashlib.sha256()
        self.bytes_read = 0

    def peek(self, size: int) -> bytes:
        """Return the first bytes without consuming them; only before the first read."""
        while len(self._ahead) < size and (more := self._stream.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead

    def size(self) -> int | None:
        """Return the length of the whole stream where it can be known without reading it."""
        try:
            here = self._stream.tell()
            end = self._stream.seek(0, io.SEEK_END)
            self._stream.seek(here)
        except (OSError, ValueError, AttributeError):
            return None
        return end

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, having hashed them."""
        if self._ahead:
            wanted = len(self._ahead) if size is None or size < 0 else size
            chunk, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
            if size is None or size < 0:
                chunk += self._stream.read()
        else:
            chunk = self._stream.read(-1 if size is None else size)
        self.sha256.update(chunk)
        self.bytes_read += len(chunk)
        return chunk

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read into ``buffer`` and return how many bytes."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def drain(self) -> None:
        """Read what the reader left unread, so that the hash is that of the whole file."""
        while self.read(1 << 20):
            pass
