"""
What is said to the agent: whole lines of ``stdin.jsonl``, forwarded into ``stdin.fifo`` in order, each once.

Standard library only, and importable by path: a part of the shim.
"""

from __future__ import annotations

import contextlib
import os
import select

CHUNK = 65536
LINE_LIMIT = 64 << 20
"""Bytes of the longest line that is forwarded: whoever makes the spool longer than anything we say gets nothing of it."""
PIECE = 4096
"""Bytes that are handed over at once (``PIPE_BUF``, pipe(7)): all of them or none."""


class Inbox:
    """
    The way from the spool file to the agent's stdin.
    """

    def __init__(self) -> None:
        """
        Open both in the current folder.

        Raises `OSError`.
        """
        # Held open for reading too, so that the agent never sees an end of file it was not meant to see.
        self._fifo: int | None = os.open("stdin.fifo", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._spool = os.open("stdin.jsonl", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._read = 0
        self._pending = b""
        self._closing = False

    def take(self) -> None:
        """
        Take what was added to the spool, up to the last whole line.
        """
        while True:
            data = os.pread(self._spool, CHUNK, self._read)
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) == CHUNK:
                # One line longer than a chunk: read on until its end, or leave it for later.
                rest = os.fstat(self._spool).st_size - self._read
                data = os.pread(self._spool, min(rest, LINE_LIMIT), self._read)
                whole = data.rfind(b"\n") + 1
            if not whole:
                return
            self._pending += data[:whole]
            self._read += whole

    def close(self) -> None:
        """
        Let the agent see the end of its input once it has taken everything.
        """
        self.take()
        self._closing = True

    def forward(self, poll: select.poll) -> int:
        """
        Write as much as the agent takes now; the rest when *poll* says that it has room, without ever waiting for it.  Gives
        how many pieces went over.
        """
        if self._fifo is None:
            return 0
        pieces = 0
        while self._pending:
            try:
                sent = os.write(self._fifo, self._pending[:PIECE])
            except BlockingIOError:
                # O_RDWR on a FIFO always polls as readable when it holds data; only writability matters here.
                poll.register(self._fifo, select.POLLOUT)
                return pieces
            self._pending = self._pending[sent:]
            pieces += 1
        with contextlib.suppress(KeyError):
            poll.unregister(self._fifo)
        if self._closing:
            os.close(self._fifo)
            self._fifo = None
        return pieces
