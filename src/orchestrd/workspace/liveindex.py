"""
An index file of git's that is looked at again and again, and read when it has changed.
"""

from __future__ import annotations

import stat
from pathlib import Path

from orchestrd.workspace.gitstate import INDEX_BYTES


class LiveIndex:
    """
    The index at *path*.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sign: tuple[int, ...] = ()

    def news(self) -> bytes | None:
        """
        What it holds, when that is not what it held when last asked; None otherwise, and for what is no file or too large.

        Raises `OSError`.
        """
        looks = self._path.lstat()
        sign = (looks.st_ino, looks.st_size, looks.st_mtime_ns)
        if sign == self._sign or not stat.S_ISREG(looks.st_mode) or looks.st_size > INDEX_BYTES:
            return None
        data = self._path.read_bytes()
        self._sign = sign
        return data
