"""
What was said to one agent: ``stdin.jsonl``, whole lines that its shim forwards in order.

The file lies where the agent can reach it.  So it is known how much of it is ours: what is longer, shorter, or another file
is told as `Spoiled` and never read to an end that the agent chose.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

from orchestrd.failpoint import failpoint
from orchestrd.protocol.framer import LIMIT
from orchestrd.storage.regular import read_regular
from orchestrd.storage.shortage import Busy, is_shortage

PIECE = 4096
"""Bytes written at once for the agent: a crash may fall between two pieces, and tests make it so."""
SPOOL_LIMIT = 64 << 20
"""Bytes of it that are read: a hundred thousand answers, and far beyond what is said to one agent."""
STRAY_LIMIT = LIMIT
"""
Bytes that may stand behind what we know to be ours: a line that a daemon which died has left half written, or what who
cancels without a daemon said meanwhile.
"""


class Spoiled(Exception):
    """
    Nothing can be said to the agent any more; the text says why, about the file.
    """


class Spool:
    """
    The file at one path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: tuple[int, int] | None = None
        self._end: int | None = None

    def lines(self) -> bytes:
        """
        Every line written so far, and what is left of one that was cut off; what is there now is taken for ours.

        Raises `Spoiled`, `OSError` when it cannot be told now.
        """
        self._file = self._end = None
        try:
            found = self.path.lstat()
            said = read_regular(self.path, SPOOL_LIMIT)
        except FileNotFoundError:
            return b""
        except OSError as error:
            if is_shortage(error):
                raise
            raise Spoiled(f"cannot be read ({error.strerror})") from None
        if found.st_size > SPOOL_LIMIT:
            raise Spoiled("is longer than what was written")
        self._file, self._end = (found.st_dev, found.st_ino), said.rfind(b"\n") + 1
        return said

    def append(self, lines: bytes) -> None:
        """
        Add whole *lines*.

        Raises `Spoiled`, `Busy` while another process of ours does, `OSError` for a shortage.
        """
        # What was there once is not made anew: the shim would read on in the old one.
        create = os.O_CREAT if self._file is None else 0
        try:
            fd = os.open(self.path, os.O_RDWR | create | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except OSError as error:
            if is_shortage(error):
                raise
            raise Spoiled("is gone" if isinstance(error, FileNotFoundError) else "was replaced") from None
        try:
            # Who cancels without a daemon speaks beside one that starts; one in the other's line would be the agent's end.
            # Never waited for: the agent can take the lock too, and would only make itself deaf.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end = self._size(fd)
            end = self._whole_lines(fd, end)
            if end + len(lines) > SPOOL_LIMIT:
                raise Spoiled("is longer than what is said to one agent")
            view = memoryview(lines)
            while view:
                written = os.pwrite(fd, view[:PIECE], end)
                end, view = end + written, view[written:]
                if view:
                    failpoint("session.answer.mid_write")
            self._end = end
        except BlockingIOError:
            raise Busy(errno.EAGAIN, "another process writes it", str(self.path)) from None
        finally:
            os.close(fd)

    def damage(self) -> str:
        """
        What is wrong with the file, as far as a glance tells; empty when nothing is.
        """
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return "is gone" if self._file is not None else ""
        except OSError:
            return ""
        return self._strange(found)

    def _strange(self, found: os.stat_result) -> str:
        if not stat.S_ISREG(found.st_mode) or self._file not in (None, (found.st_dev, found.st_ino)):
            return "was replaced"
        if self._end is None:
            return ""
        if found.st_size < self._end:
            return "is shorter than what was written"
        return "is longer than what was written" if found.st_size > self._end + STRAY_LIMIT else ""

    def _size(self, fd: int) -> int:
        """
        Bytes of the open file, now known to be the one.

        Raises `Spoiled` when it is not.
        """
        found = os.fstat(fd)
        if damage := self._strange(found):
            raise Spoiled(damage)
        self._file = found.st_dev, found.st_ino
        return found.st_size

    def _whole_lines(self, fd: int, end: int) -> int:
        """
        Cut a torn last line, left by a writer that died, and give the new end; the shim has not forwarded it.

        Raises `Spoiled` when what stands there is longer than a line of ours.
        """
        start = max(0, end - STRAY_LIMIT) if self._end is None else self._end
        whole = start + os.pread(fd, end - start, start).rfind(b"\n") + 1
        if self._end is None and whole == start > 0:
            raise Spoiled("is longer than what was written")
        if whole != end:
            os.ftruncate(fd, whole)
        return whole
