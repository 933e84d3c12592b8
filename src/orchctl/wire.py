"""
One connection to the daemon's socket: lines out, lines in, blocking, with deadlines.

Knows nothing of what the lines say.
"""

from __future__ import annotations

import errno
import socket
import time
from pathlib import Path

from orchctl.failures import Unreachable

CONNECT_SECONDS = 5.0
LONGEST = 16 * 1024 * 1024
"""Bytes of one received line: far more than a daemon sends, and still a bound."""

_START = "Start it: orchctl daemon start"
_ABSENT = frozenset((errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR))


class LostError(Exception):
    """
    The connection broke before the awaited line was whole; the daemon may have acted or not.
    """


class Wire:
    """
    A connection to the socket *path*.  Raises `Unreachable` when nobody listens there.
    """

    def __init__(self, path: Path) -> None:
        self._socket = _connect(path)
        self._held = bytearray()
        self._searched = 0

    def close(self) -> None:
        """
        Hang up.
        """
        self._socket.close()

    def send(self, line: bytes, *, timeout: float = 30.0) -> None:
        """
        Send one line with its end.  Raises `LostError`.
        """
        self._socket.settimeout(timeout)
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise LostError(str(error)) from None

    def receive(self, timeout: float | None) -> bytes | None:
        """
        The next line, without its end; None when *timeout* seconds passed first (None waits for ever).

        A line that had begun is kept for the next call.  Raises `LostError`.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (cut := self._held.find(b"\n", self._searched)) < 0:
            self._searched = len(self._held)
            if self._searched > LONGEST:
                raise LostError("the reply is longer than any the daemon sends")
            left = None if end is None else end - time.monotonic()
            if left is not None and left < 0:
                left = 0.0
            chunk = self._read(left)
            if chunk is None:
                return None
            self._held += chunk
        line = bytes(self._held[:cut])
        del self._held[: cut + 1]
        self._searched = 0
        return line

    def _read(self, timeout: float | None) -> bytes | None:
        self._socket.settimeout(timeout)
        try:
            chunk = self._socket.recv(256 * 1024)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError as error:
            raise LostError(str(error)) from None
        if not chunk:
            raise LostError("the daemon hung up")
        return chunk


def _connect(path: Path) -> socket.socket:
    end = time.monotonic() + CONNECT_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(str(path))
        except OSError as error:
            connection.close()
            if error.errno in _ABSENT:
                raise Unreachable("the daemon is not running", hint=_START) from None
            # EAGAIN: the queue of callers is full for a moment.
            if error.errno == errno.EAGAIN and time.monotonic() < end:
                time.sleep(0.02)
                continue
            raise Unreachable(f"{path}: cannot connect: {error.strerror or error}") from None
        return connection
