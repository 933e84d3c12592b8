"""
An agent's output file, read in pieces of bounded size and up to a limit, whatever its owner makes of its length.

The agent can make the file as long as it likes with one call, without a byte on the disk.  So a hole is passed over in one
step, and what lies beyond the limit is read by nobody: not by a session, not where a run is taken down, not by an audit.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import Message

PIECE = 1 << 18
"""Bytes of one piece: what parsing it takes, a few milliseconds, is how long every other run waits for its turn."""
_NOTHING = bytes(PIECE)
OUTPUT_LIMIT = 8 << 30
"""
Bytes of one run's output that are read.  A day's work with partial messages is some hundred megabytes; what is longer can
neither be taken up again within a start's time nor be meant.
"""


class Piece(NamedTuple):
    """
    The next bytes of an output: *data*, or *hole* bytes that were never written and read as NUL.
    """

    data: bytes = b""
    hole: int = 0

    @property
    def length(self) -> int:
        """
        Bytes of the file that it stands for; 0 at the end.
        """
        return len(self.data) + self.hole

    def told_by(self, stream: ClaudeStream) -> list[Message]:
        """
        What *stream* makes of it: the same for a hole as for NUL bytes on the disk.
        """
        if self.hole:
            stream.pass_over(self.hole)
            return []
        return stream.feed(self.data)


def extent(fd: int) -> int:
    """
    Bytes of the open output that are to be read.
    """
    return min(os.fstat(fd).st_size, OUTPUT_LIMIT)


def excessive(fd: int) -> bool:
    """
    True when the open output is longer than anybody reads.
    """
    return os.fstat(fd).st_size > OUTPUT_LIMIT


def read_piece(fd: int, offset: int, stop: int) -> Piece:
    """
    The open output from byte *offset* on, before byte *stop* and the limit; empty at its end.

    Raises `OSError`.
    """
    stop = min(stop, extent(fd))
    data = os.pread(fd, max(0, min(PIECE, stop - offset)), offset)
    # Asked only of what reads as a hole: nothing an agent writes is ever missed for what a file system says of it.
    if data == _NOTHING and (begin := min(_next_data(fd, offset), stop)) > offset + PIECE:
        return Piece(hole=begin - offset)
    return Piece(data=data)


def _next_data(fd: int, offset: int) -> int:
    """
    Where the first byte at or behind *offset* is that was written; the end of the file when none was.
    """
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        # Without such a byte it is ENXIO; a file system that cannot tell says something else, and is read.
        return os.fstat(fd).st_size if error.errno == errno.ENXIO else offset
