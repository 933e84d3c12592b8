"""
The mark beside the journal: how far it had come, written after each commit into a file of its own.

SQLite drops the end of a damaged or missing log without a word, and an older copy of a database is a whole database.  The
mark is how either is noticed.  It is written in place and not synced: it survives the death of the process, and after a
power loss it may lag behind the journal, never run ahead of it.
"""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

import msgspec

from orchestrd.storage.home import sync_folder
from orchestrd.storage.regular import read_regular

_FORM = re.compile(rb"orchestrd ([0-9a-f]{32}) (\d{20}) (\d{20}) ([0-9a-f]{8})\n")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """
    The *identity* of a database, the number of its newest fact, and how many replies it held.
    """

    identity: str
    seq: int = 0
    replies: int = 0

    def encoded(self) -> bytes:
        """
        The mark as the file's whole content, always of the same size.
        """
        text = b"orchestrd %s %020d %020d" % (self.identity.encode("ascii"), self.seq, self.replies)
        return b"%s %08x\n" % (text, zlib.crc32(text))


class Garbled(ValueError):
    """
    What lies in the mark's place is no mark.
    """


def path_of(database: Path) -> Path:
    """
    Where the mark of *database* lies: ``orchestrd.mark`` for ``orchestrd.db``.
    """
    return database.with_suffix(".mark")


def read(path: Path) -> Mark | None:
    """
    The mark at *path*, or None when there is none.

    Raises `Garbled`, `OSError`.
    """
    try:
        data = read_regular(path, 4096)
    except FileNotFoundError:
        return None
    found = _FORM.fullmatch(data)
    if found is None or int(found[4], 16) != zlib.crc32(data[: found.start(4) - 1]):
        raise Garbled(f"{path.name} holds no mark")
    return Mark(identity=found[1].decode(), seq=int(found[2]), replies=int(found[3]))


class MarkFile:
    """
    The mark, held open for writing.
    """

    def __init__(self, path: Path, mark: Mark) -> None:
        """
        Write *mark* and see that it will be there after a power loss.

        Raises `OSError`.
        """
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(fd, "wb", buffering=0)
        try:
            os.pwrite(fd, mark.encoded(), 0)
            os.ftruncate(fd, len(mark.encoded()))
            os.fsync(fd)
            sync_folder(path.parent)
        except OSError:
            self.close()
            raise

    def put(self, mark: Mark) -> None:
        """
        Write the mark in place.  A mark that cannot be written lags behind, which harms nothing.
        """
        try:
            os.pwrite(self._file.fileno(), mark.encoded(), 0)
        except OSError:
            return

    def close(self) -> None:
        """
        Let the file go.
        """
        self._file.close()
