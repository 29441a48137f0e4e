"""Messages between the processes of an executor: JSON behind its length, and nothing that executes when it is read."""

from __future__ import annotations

import json
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

_LENGTH = struct.Struct("!I")
_PIECE_BYTES = 2**16
SEND_SECONDS = 5.0
"""A process that takes nothing from its line for so long has stopped to work."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the bytes of one message; NaN and infinities are allowed.

    Raises:
        TypeError: It holds something other than JSON values.
    """
    content = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(content)) + content


class Inbox:
    """Puts messages together from the pieces in which they arrive; half a message at the end counts for nothing."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """Yield every message that ``piece`` completes."""
        self._bytes += piece
        while len(self._bytes) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._bytes)[0]
            if len(self._bytes) < end:
                return
            message = json.loads(self._bytes[_LENGTH.size : end])
            assert isinstance(message, dict)
            del self._bytes[:end]
            yield message


class Line:
    """One end of a line between two processes, read by whoever has other lines to look after too."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._inbox = Inbox()
        self.is_open = True
        """Whether the other end is there, as far as has been read."""

    @classmethod
    def pair(cls) -> tuple[Line, socket.socket]:
        """Return one end, and the socket of the other one for another process."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def fileno(self) -> int:
        """Return the file descriptor, for selectors; -1 after `close`."""
        return self._end.fileno()

    def receive(self) -> Iterator[dict[str, Any]]:
        """Yield every message that has arrived; `is_open` is False after the last one."""
        while self.is_open:
            try:
                piece = self._end.recv(_PIECE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            self.is_open = bool(piece)
            yield from self._inbox.feed(piece)

    def send(self, message: Mapping[str, Any], *, handle: int | None = None) -> bool:
        """Send a message, and a file descriptor with it; return whether the other end took it or is gone."""
        content = memoryview(encode(message))
        while content:
            try:
                if handle is not None:
                    content, handle = content[socket.send_fds(self._end, [content], [handle]) :], None
                else:
                    content = content[self._end.send(content) :]
            except BlockingIOError:
                if not select.select([], [self._end], [], SEND_SECONDS)[1]:
                    return False
            except OSError:
                return True
        return True

    def close(self) -> None:
        """Hang up."""
        self._end.close()
