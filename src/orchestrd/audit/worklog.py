"""
``var/repairs.jsonl``: what a repair is about to do, and what it did.

It is opened before anything is touched: what cannot be written down is not done.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestrd.clock import Clock, iso
from orchestrd.errors import DiskFull, StorageError
from orchestrd.storage.home import Home, sync_folder
from orchestrd.storage.regular import read_regular
from orchestrd.storage.shortage import is_full, no_room

NAME = "repairs.jsonl"
SIZE_LIMIT = 256 << 20
"""Bytes that are read of what earlier repairs wrote."""


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that was done: *at* in ISO-8601 UTC; *what* is modes, file, socket, journal, rows, process or work.
    """

    at: str
    what: str
    subject: str
    detail: str


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that is about to be done; what came of it is in the lines behind it.
    """

    at: str
    what: str
    subject: str
    intends: str


class _Line(msgspec.Struct, frozen=True):
    what: str
    subject: str
    detail: str = ""
    intends: str = ""


class Worklog:
    """
    The open file of *home*, whose lock is held.

    Raises `DiskFull`, `StorageError` when nothing can be written there; then nothing was changed.
    """

    def __init__(self, home: Home, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._path = home.var / NAME
        self.done: list[Repair] = []
        if no_room(home.var):
            raise _full(home.var)
        self._new = not os.path.lexists(self._path)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        try:
            self._begin()
        except OSError as error:
            os.close(self._fd)
            raise _unwritable(self._path, error) from error
        except BaseException:
            os.close(self._fd)
            raise

    def _begin(self) -> None:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise StorageError(f"{self._path}: not a regular file", hint="Nothing of ours: look what it is, remove it.")
        if status.st_size and os.pread(self._fd, 1, status.st_size - 1) != b"\n":
            # The machine stopped in the middle of a line.
            os.write(self._fd, b"\n")
        os.fsync(self._fd)
        if self._new:
            sync_folder(self._path.parent)

    def close(self) -> None:
        """
        Close the file; one in which nothing was ever written is removed.
        """
        with suppress(OSError):
            if self._new and not os.fstat(self._fd).st_size:
                self._path.unlink()
        os.close(self._fd)

    def intend(self, what: str, subject: str | Path, intends: str) -> None:
        """
        Write down what is done next.  Raises `OSError`; then it must not be done.
        """
        self._write(Intent(at=self._now(), what=what, subject=self._named(subject), intends=intends))

    def note(self, what: str, subject: str | Path, detail: str) -> None:
        """
        Write down what was done before anything else is: a repair that dies half-way has told of its first half.

        Raises `OSError`; the person is told of it all the same.
        """
        entry = Repair(at=self._now(), what=what, subject=self._named(subject), detail=detail)
        self.done.append(entry)
        self._write(entry)

    def untold(self, what: str, entries: list[tuple[str | Path, str]], *, named: bool) -> list[tuple[str | Path, str]]:
        """
        Those of *entries*, subject and detail, that were not noted yet: since the first of them was when it is one of its own
        (*named*), else since the last time that such a thing was intended.
        """
        told: set[tuple[str, str]] = set()
        begun = not named
        for line in self._lines():
            if line.what != what:
                continue
            one = (line.subject, line.detail)
            if one == (self._named(entries[0][0]), entries[0][1]) if named else line.intends:
                told, begun = set(), True
            told.add(one)
        return [e for e in entries if not begun or (self._named(e[0]), e[1]) not in told]

    def _lines(self) -> list[_Line]:
        found = []
        for line in read_regular(self._path, SIZE_LIMIT).splitlines():
            with suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(line, type=_Line))
        return found

    def _write(self, entry: Repair | Intent) -> None:
        size = os.fstat(self._fd).st_size
        line = msgspec.json.encode(entry) + b"\n"
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                os.write(self._fd, line[written:])
            os.fsync(self._fd)
        except OSError:
            # Half a line would spoil the next.
            with suppress(OSError):
                os.ftruncate(self._fd, size)
            raise

    def _now(self) -> str:
        return iso(self._clock.wall()) or ""

    def _named(self, subject: str | Path) -> str:
        if isinstance(subject, Path) and subject.is_relative_to(self._home.root):
            subject = subject.relative_to(self._home.root)
        # Whatever bytes a file's name has.
        return str(subject).encode("utf-8", "backslashreplace").decode()


def _unwritable(path: Path, error: OSError) -> StorageError:
    if is_full(error):
        return _full(path)
    return StorageError(
        f"{path}: cannot be written: {error.strerror}",
        hint="What is mended is written down there before it is done: nothing was changed.",
    )


def _full(path: Path) -> DiskFull:
    return DiskFull(f"{path}: the disk is full", hint="Make room; nothing was changed.")
