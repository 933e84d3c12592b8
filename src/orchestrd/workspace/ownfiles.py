"""
What of a working tree an agent made itself: nobody misses it when it takes it away again.

It is not tracked, it is no tracked file under another name (the index knows the inodes of those), and nothing of it was there before
the agent came.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from orchestrd.treefiles import TreeFiles
from orchestrd.workspace.indexfile import inodes
from orchestrd.workspace.liveindex import LiveIndex

MOST = 5000
"""Files below one folder, or that one pattern matches; of more it is not said."""
LOW = 0xFFFFFFFF
"""The part of an inode's number that an index keeps."""
_PATTERN = ("*", "?", "[")


class OwnFiles(TreeFiles):
    """
    The files of the tree at *root*, a path without links, whose index is *index*, with object ids of *oid* bytes; *mark* as for
    `TreeFiles`.
    """

    def __init__(self, mark: Path, *, root: Path, index: Path, oid: int = 20) -> None:
        super().__init__(mark)
        self._root = os.path.realpath(root)
        self._index = LiveIndex(index)
        self._oid = oid
        self._tracked: dict[str, int] | None = None
        """Path → the low half of the inode that it had when git last looked; None where the index cannot be read."""

    def made(self, path: str) -> bool:
        """
        True when all that lies at *path* (absolute, or a pattern of the shell's) was made since the agent came, and there is something.
        """
        if not self.come or not self._read_index():
            return False
        try:
            found = list(islice(glob.iglob(path), MOST + 1)) if any(sign in path for sign in _PATTERN) else [path]  # noqa: PTH207
            return 0 < len(found) <= MOST and all(map(self._is_own, found))
        except (OSError, ValueError, RecursionError):
            return False

    def _is_own(self, path: str) -> bool:
        # Of a link, the link itself; of what lies in a folder that is one, where it leads.
        folder, name = os.path.split(path.rstrip("/"))
        real = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118
        inside = real[len(self._root) + 1 :] if real.startswith(self._root + "/") else ""
        assert self._tracked is not None
        if (
            not inside
            or name in {"", ".", ".."}
            or any(one == inside or one.startswith(inside + "/") for one in self._tracked)
        ):
            return False
        numbers = set(self._tracked.values())
        for count, one in enumerate(_files(real), 1):
            if count > MOST or self.settled(one) or os.lstat(one).st_ino & LOW in numbers:
                return False
        # An empty folder is nothing that anybody misses.
        return True

    def _read_index(self) -> bool:
        try:
            data = self._index.news()
        except OSError:
            return False
        if data is not None:
            found = inodes(data, oid=self._oid)
            self._tracked = {os.fsdecode(name): number for name, number in found.items()} if found is not None else None
        return self._tracked is not None


def _files(path: str) -> Iterator[str]:
    """
    *path*, or every file below the folder that it is; a repository in it is somebody's.  Raises `OSError`.
    """
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        yield path
        return
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name == ".git":
                raise ValueError("a repository of its own")
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry.path
