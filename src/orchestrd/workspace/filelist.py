"""
Which of the files that git tracks in a working tree are there.

What an agent may do deletes none of them, but a program that it runs may.  Looked at are folders, and only one whose list has
changed is read again; nothing is followed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from orchestrd.locks import raise_if_short
from orchestrd.workspace.git import shown
from orchestrd.workspace.gitstate import INDEX_BYTES
from orchestrd.workspace.indexfile import tracked

MOST_FILES = 100_000
"""Of a tree that tracks more, nothing is looked at: not even that many are ever named."""
MOST_SOUGHT = 200_000
"""Entries of a tree that are looked at for where a file was moved to."""
INODE = 0xFFFFFFFF
SETTLED_NS = 100_000_000
"""The times of a folder that changed no longer ago do not tell yet whether it changes again: the kernel's clock has a grain."""


class _Folder(msgspec.Struct, frozen=True):
    """
    What a folder held when its times were *seen*: name → inode, of which the lower 32 bits are kept, as git does.
    """

    seen: tuple[int, int]
    settled: bool
    names: dict[str, int]


class FileList:
    """
    Looks at one tree, again and again.
    """

    def __init__(self, root: Path, index: Path, *, oid: int = 20) -> None:
        """
        *root* is the working tree, *index* its index file, with object ids of *oid* bytes.
        """
        self._root = root
        self._index = index
        self._oid = oid
        self._sign: tuple[int, ...] = ()
        self._tracked: dict[str, dict[str, int]] = {}
        """Folder → name → the inode that git knows it by."""
        self._folders: dict[str, _Folder] = {}
        self._inodes: dict[str, int] = {}

    def gone(self) -> dict[str, int]:
        """
        Every tracked file that is not there, as `git.shown` writes it → the inode by which it was seen last, here or by git, 0 where it never was.

        Raises `OSError` for want of descriptors or memory.
        """
        self._read_index()
        found: dict[str, int] = {}
        real = {"": True}
        for folder, names in self._tracked.items():
            there = self._names(folder) if self._is_real(folder, real) else {}
            if there is None:
                continue
            for name, known in names.items():
                path = f"{folder}/{name}" if folder else name
                inode = there.get(name)
                if inode is None:
                    found[shown(path)] = self._inodes.get(path, known)
                else:
                    self._inodes[path] = inode
        return found

    def moved(self, inodes: set[int]) -> set[int]:
        """
        Those of *inodes* that are in the tree under some name.
        """
        found: set[int] = set()
        for inode in self._entries():
            if inode in inodes:
                found.add(inode)
                if found == inodes:
                    break
        return found

    def _read_index(self) -> None:
        try:
            looks = self._index.lstat()
            sign = (looks.st_ino, looks.st_size, looks.st_mtime_ns)
            if sign == self._sign or not stat.S_ISREG(looks.st_mode) or looks.st_size > INDEX_BYTES:
                return
            paths = tracked(self._index.read_bytes(), oid=self._oid)
        except OSError as error:
            raise_if_short(error)
            return
        self._sign, self._tracked = sign, {}
        if len(paths) <= MOST_FILES:
            for path, inode in paths.items():
                folder, _, name = os.fsdecode(path).rpartition("/")
                self._tracked.setdefault(folder, {})[name] = inode

    def _is_real(self, folder: str, known: dict[str, bool]) -> bool:
        """
        False when a link leads to *folder*, or to one above it: what lies there is not in the tree.
        """
        if folder not in known:
            above = folder.rpartition("/")[0]
            known[folder] = self._is_real(above, known) and not (self._root / folder).is_symlink()
        return known[folder]

    def _names(self, folder: str) -> dict[str, int] | None:
        """
        What lies in *folder*, a path in the tree; None when that cannot be told.
        """
        path = self._root / folder
        try:
            looks = path.lstat()
            if not stat.S_ISDIR(looks.st_mode):
                return {}
            known, seen = self._folders.get(folder), (looks.st_ino, looks.st_mtime_ns)
            if known is not None and known.settled and known.seen == seen:
                return known.names
            settled = time.time_ns() - looks.st_mtime_ns > SETTLED_NS
            with os.scandir(path) as entries:
                names = {entry.name: entry.inode() & INODE for entry in entries}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise_if_short(error)
            return None
        self._folders[folder] = _Folder(seen, settled, names)
        return names

    def _entries(self) -> Iterator[int]:
        count, folders = 0, [str(self._root)]
        while folders:
            try:
                with os.scandir(folders.pop()) as entries:
                    for entry in entries:
                        count += 1
                        if count > MOST_SOUGHT:
                            return
                        yield entry.inode() & INODE
                        if entry.is_dir(follow_symlinks=False) and entry.name != ".git":
                            folders.append(entry.path)
            except OSError as error:
                raise_if_short(error)
