"""
What an agent wrote: its output file, read in pieces from the first byte, and how much of it the journal has.

Read from the start by every daemon, so that whoever listens knows all that was said; what lies before the *cursor* is recorded.
"""

from __future__ import annotations

import os

from orchestrd.clock import Clock
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import Message
from orchestrd.storage.output import OUTPUT_LIMIT, excessive, extent, read_piece
from orchestrd.storage.regular import open_regular
from orchestrd.storage.rundir import RunDir


class Intake:
    """
    Reads the output of one run.
    """

    def __init__(self, rundir: RunDir, *, clock: Clock, cursor: int) -> None:
        """
        *cursor* is the byte up to which everything is in the journal.
        """
        self._dir = rundir
        self._clock = clock
        self._stream = ClaudeStream()
        self._output: int | None = None
        self._offset = 0
        self._there = 0
        """Bytes that the agent had written when it was taken up."""
        self._grows = False
        self.cursor = cursor
        """The byte up to which everything is in the journal."""
        self.grew = self.heard = clock.monotonic()
        """When there was something new, and until when all that was written was read: on the monotonic clock."""

    @property
    def offset(self) -> int:
        """
        The byte up to which the output was read.
        """
        return self._offset

    @property
    def known(self) -> bool:
        """
        True while what was read is in the journal already, and only brings who listens to where it was.
        """
        return self._offset <= self.cursor

    @property
    def caught_up(self) -> bool:
        """
        True once all was read that is in the journal, and all that was there when the agent was taken up.
        """
        return self._offset >= self.cursor and (not self._grows or self._offset >= self._there)

    @property
    def drained(self) -> bool:
        """
        True while nothing lies there that was not read.
        """
        return self._output is not None and extent(self._output) <= self._offset

    @property
    def whole_lines(self) -> int:
        """
        The byte behind the last whole line that was read.
        """
        return self._stream.consumed

    @property
    def moved(self) -> int:
        """
        Goes up when partial messages show that the model gets on.
        """
        return self._stream.moved

    @property
    def unfamiliar(self) -> dict[str, int]:
        """
        How often each type of event came that this program does not know.
        """
        return self._stream.unknown

    def read(self) -> list[Message] | None:
        """
        A piece of what was written since the last look; None when nothing was.  Raises `OSError`.
        """
        now = self._clock.monotonic()
        written = self._open()
        # What is in the journal already only brings the interpreter to where it was.
        stop = self.cursor if self._offset < self.cursor else OUTPUT_LIMIT
        piece = None if self._output is None else read_piece(self._output, self._offset, stop)
        if piece is not None:
            self._offset += piece.length
        if self._offset >= written:
            self.heard = now
        self._grows = piece is not None and piece.length > 0
        if piece is None or not self._grows:
            return None
        self.grew = self._clock.monotonic()
        return piece.told_by(self._stream)

    def _open(self) -> int:
        """
        Have the output open when it is there; gives its length.
        """
        if self._output is None:
            try:
                # Kept open: what the agent writes stays readable whatever it does to the name.
                self._output = open_regular(self._dir.stdout)
            except FileNotFoundError:
                return 0
            self._there = extent(self._output)
        return extent(self._output)

    def rejoin(self) -> None:
        """
        At the cursor, where the journal's knowledge ends: an output that was cut here before, in the middle of a line, goes on with
        a line of its own.
        """
        if self._offset == self.cursor != self._stream.consumed:
            self._stream.restart(self.cursor)

    def cut(self) -> tuple[int, int] | None:
        """
        Where the output ends, and how many bytes are missing there of what was read of it: after a power loss, or by somebody's
        hand.  None while nothing is.
        """
        size = 0 if self._output is None else extent(self._output)
        read = max(self._offset, self.cursor)
        return None if size >= read else (size, read - size)

    def restart(self, size: int) -> None:
        """
        What comes from byte *size* on is new.
        """
        self._stream.restart(size)
        self._offset = self.cursor = self._there = size

    def finish(self) -> list[Message]:
        """
        The end of the output, a line without its end among it.
        """
        return self._stream.finish()

    def inaudible(self, *, cut: bool) -> str:
        """
        Why the agent can be heard no more, empty while it can; *cut* says that some of its output was lost.
        """
        if self._output is None:
            return "its output file is gone" if cut else ""
        return f"its output is longer than {OUTPUT_LIMIT >> 30} GiB" if excessive(self._output) else ""

    def close(self) -> None:
        """
        Let the file go.
        """
        if self._output is not None:
            os.close(self._output)
