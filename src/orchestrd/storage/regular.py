"""
Read files that others may write, without trusting what lies at the path.

An agent may put a FIFO, a link or a device where a file is expected: only regular files are read, never waited for, and no
link is followed unless the caller says so.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

import aiofiles
import anyio.to_thread

from orchestrd.sizes import size_text
from orchestrd.storage.shortage import is_shortage

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""What a file may begin with, and how it is to be read then."""


class Unfit(ValueError):
    """
    A file that is not taken; its words say what it is, such as ``it is a link``.
    """


def open_regular(path: Path | str, *, follow: bool = False) -> int:
    """
    A descriptor of the regular file at *path*, for reading.

    Raises `OSError` for anything else.
    """
    # Without O_NONBLOCK, opening a FIFO would wait for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return fd


def read_regular(path: Path, limit: int) -> bytes:
    """
    The first *limit* bytes of the regular file at *path*.

    Raises `OSError`.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read(limit)


async def read_text(path: Path, limit: int, *, follow: bool = False) -> str | None:
    """
    The first *limit* characters of a regular file, broken UTF-8 replaced; None when there is no such file.

    Raises `OSError` when the machine is too short of something to read it.
    """
    try:
        async with aiofiles.open(
            path, encoding="utf-8", errors="replace", opener=lambda name, _: open_regular(name, follow=follow)
        ) as file:
            return await file.read(limit)
    except OSError as error:
        if is_shortage(error):
            raise
        return None


async def read_whole(path: Path, limit: int) -> str | None:
    """
    The text of the regular file at *path*, which may have *limit* bytes: UTF-8, or UTF-16 that begins with its mark, every
    line end as a newline; None when there is no such file.

    Raises `Unfit` for any other file, and `OSError` when the machine is too short of something to read it.
    """
    return await anyio.to_thread.run_sync(_whole, path, limit)


def _whole(path: Path, limit: int) -> str | None:
    try:
        data = read_regular(path, limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        if is_shortage(error):
            raise
        raise Unfit(_misfit(path, error)) from None
    if len(data) > limit:
        raise Unfit(f"it is longer than {size_text(limit)}")
    codec = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        raise Unfit(f"it is not {'UTF-16' if codec == 'utf-16' else 'UTF-8'} text") from None
    if "\0" in text:
        raise Unfit("it is not UTF-8 text, it holds NULs")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _misfit(path: Path, error: OSError) -> str:
    try:
        mode = path.lstat().st_mode
    except OSError:
        mode = stat.S_IFREG
    if stat.S_ISLNK(mode):
        return "it is a link"
    return f"it cannot be read ({error.strerror})" if stat.S_ISREG(mode) else "it is not a regular file"


def writer_of(path: Path) -> int | None:
    """
    The id of a process of this user, other than this one, that has the file at *path* open for writing; None when none is
    found.  Blocks.
    """
    try:
        wanted = path.lstat()
    except OSError:
        return None
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        # Gone by now, or one that does not let itself be looked at.
        with suppress(OSError):
            ours = process.stat().st_uid == os.getuid()
            if ours and any(_writes(process, link, path.name, wanted) for link in (process / "fd").iterdir()):
                return int(process.name)
    return None


def _writes(process: Path, link: Path, name: str, wanted: os.stat_result) -> bool:
    with suppress(OSError):
        # By name first: to look at a file on a disk that hangs would wait for it.
        if link.readlink().name == name and os.path.samestat(link.stat(), wanted):
            told = (process / "fdinfo" / link.name).read_text(encoding="ascii")
            flags = next(line.split()[1] for line in told.splitlines() if line.startswith("flags:"))
            return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
    return False
