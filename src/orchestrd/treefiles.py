"""
The files of a tree as a judge of commands sees them: regular ones, up to a size, never waited for.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_SCRIPT_BYTES = 200_000
"""Larger files are not followed."""
PATH_MAX = 4096
"""Bytes of a path and its NUL: limits.h(0p) of Linux."""


class TreeFiles:
    """
    What `orchestrd.policy.scope.Files` asks of a file system.  What changed there since the file *mark* was written is no longer as
    it was before the agent came; without one, and until there is one, everything is.
    """

    def __init__(self, mark: Path | None = None) -> None:
        self._mark = mark
        self._since: int | None = None

    @property
    def come(self) -> bool:
        """
        True once the agent has come.
        """
        if self._since is None and self._mark is not None:
            self._since = _changed(self._mark)
        return self._since is not None

    def read(self, path: str) -> str | None:
        """
        The text of the regular file at *path*, or None where there is none that can be read whole.
        """
        try:
            # Without O_NONBLOCK, opening a FIFO would wait for a writer.
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except (OSError, ValueError):
            return None
        try:
            found = os.read(fd, MAX_SCRIPT_BYTES + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else None
        except OSError:
            found = None
        finally:
            os.close(fd)
        return found.decode(errors="replace") if found is not None and len(found) <= MAX_SCRIPT_BYTES else None

    def state(self, path: str) -> str:
        """
        What tells the regular file at *path*, or what leads to one, from what it was: which it is, how long, and when it was changed;
        of the last, no program can pretend another (inode(7), *ctime*).
        """
        try:
            each = (os.lstat(path), os.lstat(os.path.realpath(path)))
        except (OSError, ValueError):
            return ""
        if not stat.S_ISREG(each[1].st_mode):
            return ""
        return " ".join(f"{one.st_ino} {one.st_size} {one.st_mtime_ns} {one.st_ctime_ns}" for one in each)

    def settled(self, path: str) -> bool:
        """
        True when the file at *path* is as it was before the agent came: its inode has not changed since, which no program can
        pretend (inode(7), *ctime*).
        """
        if not self.come:
            return True
        changed = _changed(path)
        return changed is not None and self._since is not None and changed < self._since

    def exists(self, path: str) -> bool:
        """
        True when anything is at *path*, even a link that leads nowhere, or that cannot be told.
        """
        try:
            os.lstat(path)
        except FileNotFoundError:
            return False
        except (OSError, ValueError):
            return True
        return True

    def made(self, path: str) -> bool:
        """
        True when all that lies at *path* was made by the agent: here nobody knows.
        """
        del path
        return False

    def resolve(self, path: str) -> str:
        """
        *path* with every symbolic link followed; one that is too long for the kernel leads nowhere, and stays as it is.
        """
        if len(path) >= PATH_MAX:
            return path
        try:
            return os.path.realpath(path)
        except (OSError, ValueError):
            return path


def _changed(path: str | Path) -> int | None:
    """
    When the inode at *path* was last changed (ns), or None.
    """
    try:
        return os.lstat(path).st_ctime_ns
    except (OSError, ValueError):
        return None
