"""
Read files that others may write, without trusting what lies at the path.

An agent may put a FIFO, a link or a device where a file is expected: only regular files are read, never waited for, and no
link is followed unless the caller says so.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import aiofiles


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
    """
    try:
        async with aiofiles.open(
            path, encoding="utf-8", errors="replace", opener=lambda name, _: open_regular(name, follow=follow)
        ) as file:
            return await file.read(limit)
    except OSError:
        return None
