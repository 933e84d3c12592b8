"""
Read texts that others write, without trusting what lies at the path.

An agent may put a FIFO, a link or a device where a file is expected: none of them is opened for long, and no link is
followed unless the caller says so.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import aiofiles


async def read_text(path: Path, limit: int, *, follow: bool = False) -> str | None:
    """
    The first *limit* characters of a regular file, broken UTF-8 replaced; None when there is no such file.
    """
    flags = 0 if follow else os.O_NOFOLLOW

    def opener(name: str, mode: int) -> int:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
        return os.open(name, mode | flags | os.O_NONBLOCK | os.O_CLOEXEC)

    try:
        async with aiofiles.open(path, encoding="utf-8", errors="replace", opener=opener) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return await file.read(limit)
    except OSError:
        return None
