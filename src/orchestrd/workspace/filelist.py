"""
Which of the files that git tracks in a working tree are there.

What an agent may do deletes none of them, but a program that it runs may.  Looked at are folders, and only one whose list has
changed is read again; nothing is followed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from orchestrd.locks import raise_if_short
from orchestrd.logs import get_logger
from orchestrd.workspace.git import shown
from orchestrd.workspace.indexfile import tracked
from orchestrd.workspace.liveindex import LiveIndex

log = get_logger(__name__)
MOST_FILES = 100_000
"""Of a tree that tracks more, nothing is looked at, and the log says so: not even that many are ever named."""
SETTLED_NS = 100_000_000
"""The times of a folder that changed no longer ago do not tell yet whether it changes again: the kernel's clock has a grain."""


class _Folder(msgspec.Struct, frozen=True):
    """
    What a folder held when its inode and times were *seen*: the names of its files, and of its links.
    """

    seen: tuple[int, int, int]
    settled: bool
    files: frozenset[str]
    links: frozenset[str]


_NOTHING = _Folder((0, 0, 0), False, frozenset(), frozenset())


class FileList:
    """
    Looks at one tree, again and again.
    """

    def __init__(self, root: Path, index: Path, *, oid: int = 20) -> None:
        """
        *root* is the working tree, *index* its index file, with object ids of *oid* bytes.
        """
        self._root = root
        self._index = LiveIndex(index)
        self._oid = oid
        self._tracked: dict[str, dict[str, bool]] = {}
        """Folder → name → whether it is a link."""
        self._folders: dict[str, _Folder] = {}

    def gone(self) -> set[str]:
        """
        Every tracked file that is not there, or lies where nobody can read it, or is something else by now; as `git.shown` writes it.

        Raises `OSError` for want of descriptors or memory.
        """
        self._read_index()
        found: set[str] = set()
        real = {"": True}
        for folder, names in self._tracked.items():
            there = self._look(folder) if self._is_real(folder, real) else _NOTHING
            for name, link in names.items():
                if name not in (there.links if link else there.files):
                    found.add(shown(f"{folder}/{name}" if folder else name))
        return found

    def _read_index(self) -> None:
        try:
            data = self._index.news()
        except OSError as error:
            raise_if_short(error)
            return
        if data is None:
            return
        paths, self._tracked = tracked(data, oid=self._oid), {}
        if len(paths) > MOST_FILES:
            log.warning("watch.files_unwatched", tree=str(self._root), tracked=len(paths), most=MOST_FILES)
            return
        for path, link in paths.items():
            folder, _, name = os.fsdecode(path).rpartition("/")
            self._tracked.setdefault(folder, {})[name] = link

    def _is_real(self, folder: str, known: dict[str, bool]) -> bool:
        """
        False when a link leads to *folder*, or to one above it: what lies there is not in the tree.
        """
        if folder not in known:
            above = folder.rpartition("/")[0]
            known[folder] = self._is_real(above, known) and not (self._root / folder).is_symlink()
        return known[folder]

    def _look(self, folder: str) -> _Folder:
        """
        What lies in *folder*, a path in the tree.
        """
        path = self._root / folder
        try:
            looks = path.lstat()
            # Any program can set the one time back; the other only the kernel sets.
            known, seen = self._folders.get(folder), (looks.st_ino, looks.st_mtime_ns, looks.st_ctime_ns)
            if known is not None and known.settled and known.seen == seen:
                return known
            settled = time.time_ns() - looks.st_ctime_ns > SETTLED_NS
            files, links = set(), set()
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        links.add(entry.name)
                    elif entry.is_file():
                        files.add(entry.name)
        except OSError as error:
            raise_if_short(error)
            return _NOTHING
        made = _Folder(seen, settled, frozenset(files), frozenset(links))
        self._folders[folder] = made
        return made
