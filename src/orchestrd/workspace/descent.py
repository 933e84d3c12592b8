"""
Through the folders of a tree, one open at a time: no symbolic link is followed, however deep they lie none has a long path, and
wherever a folder is moved meanwhile nothing outside the tree is entered.

What is ours and closed to us (``chmod 000``) is opened to its owner on the way, where that is wanted.

Everything here blocks.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrd.workspace.disk import FOLDER, opened

LOOK, CHANGE = 0o500, 0o700
"""What the owner of a folder must be allowed to look into it, and to take something out of it."""
LONGEST = 3000
"""Bytes of a path below a tree: what lies deeper is not kept."""
ROOM = 512
"""Bytes of a whole path (4096, for Linux and git) that are left for where else it may have to lie."""
UNREAD = frozenset({"closed", "deep"})
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Descent:
    """
    Stands in one folder of the tree at *top*, at first in that; *opens*: what is closed is opened to its owner.

    *needs*: the owner's bits that are wanted of every folder.
    """

    def __init__(self, top: Path, *, opens: bool, needs: int = LOOK) -> None:
        self._opens = opens
        self._needs = needs
        self._top = os.open(top, FOLDER)
        self.here = os.dup(self._top)
        self.names: list[bytes] = []
        self._passed = [_identity(self.here)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.here)
        os.close(self._top)

    def enter(self, name: bytes) -> None:
        """
        Step into the folder *name*.  Raises OSError, and stays where it was.
        """
        try:
            inner = os.open(name, FOLDER, dir_fd=self.here)
        except PermissionError:
            if not self._opens:
                raise
            grant(name, self.here, self._needs)
            inner = os.open(name, FOLDER, dir_fd=self.here)
        try:
            self._unlock(inner)
        except BaseException:
            os.close(inner)
            raise
        os.close(self.here)
        self.here = inner
        self.names.append(name)
        self._passed.append(_identity(inner))

    def leave(self) -> None:
        """
        Step back out, to the folder that it was entered from.  Raises OSError when that is not there any more, and is at the top then.
        """
        del self.names[-1], self._passed[-1]
        with suppress(OSError):
            outer = os.open("..", FOLDER, dir_fd=self.here)
            if _identity(outer) == self._passed[-1]:
                os.close(self.here)
                self.here = outer
                return
            os.close(outer)
        # It was moved meanwhile.
        names = self.names
        os.close(self.here)
        self.here, self.names, self._passed = os.dup(self._top), [], self._passed[:1]
        try:
            for name in names:
                self.enter(name)
        except OSError:
            os.close(self.here)
            self.here, self.names, self._passed = os.dup(self._top), [], self._passed[:1]
            raise

    def go(self, names: Sequence[bytes]) -> None:
        """
        To the folder that *names* lead to from the top.  Raises OSError, and stands somewhere on the way.
        """
        while self.names != names[: len(self.names)]:
            self.leave()
        for name in names[len(self.names) :]:
            self.enter(name)

    def file(self, name: bytes) -> int:
        """
        The ordinary file *name* of this folder, open for reading.  Raises OSError, `ValueError` for anything else.
        """
        if not stat.S_ISREG(os.stat(name, dir_fd=self.here, follow_symlinks=False).st_mode):
            raise ValueError("no ordinary file")
        try:
            return os.open(name, _FILE, dir_fd=self.here)
        except PermissionError:
            if not self._opens:
                raise
            grant(name, self.here, 0o400)
            return os.open(name, _FILE, dir_fd=self.here)

    def _unlock(self, folder: int) -> None:
        status = os.fstat(folder)
        if status.st_mode & self._needs == self._needs and status.st_uid == os.geteuid():
            return
        wants = os.R_OK | os.X_OK | (os.W_OK if self._needs == CHANGE else 0)
        if not os.access(".", wants, dir_fd=folder, effective_ids=True):
            if not self._opens:
                raise PermissionError("a folder that is closed")
            os.fchmod(folder, stat.S_IMODE(status.st_mode) | self._needs)


def grant(name: bytes, folder: int, bits: int) -> None:
    """
    Give its owner *bits* of the file or folder *name* in *folder*, which is no link.  Raises OSError when it is not ours.
    """
    there = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        mode = os.fstat(there).st_mode
        if stat.S_ISLNK(mode):
            raise PermissionError("a link")
        # By what is open: under its name something else may lie by now.
        os.chmod(f"/proc/self/fd/{there}", stat.S_IMODE(mode) | bits)  # noqa: PTH101
    finally:
        os.close(there)


def inside(names: Sequence[bytes], name: bytes) -> bytes:
    """
    The path of *name* in the folder *names*.
    """
    return b"/".join((*names, name))


def walked(tree: Path, *, opens: bool, past: frozenset[bytes] = frozenset()) -> Iterator[tuple[bytes, str]]:
    """
    All that lies in *tree*, as paths below it, but what lies in a ``.git`` or in the folders *past* (with a ``/`` at the end), with
    what it is: ``folder``, ``empty`` (a folder, too), ``file``, ``link``, ``other``; ``closed``, a folder that cannot be looked into;
    ``deep``, what lies too deep, of which only the uppermost is given.  Folders that are not looked into have a ``/`` at the end.

    Raises OSError when a folder was moved away in the midst.
    """
    most = min(LONGEST, 4096 - ROOM - len(os.fsencode(tree)))
    with Descent(tree, opens=opens) as at:
        pending: list[list[bytes]] = []
        length = 0
        folders, found, _ = _content(at)
        yield from ((inside(at.names, name), kind) for name, kind in found)
        pending.append(folders)
        while pending:
            if not pending[-1]:
                pending.pop()
                if pending:
                    length -= len(at.names[-1]) + 1
                    at.leave()
                continue
            name = pending[-1].pop()
            path = inside(at.names, name)
            if path + b"/" in past:
                continue
            if len(path) + 1 > most:
                yield path + b"/", "deep"
                continue
            try:
                at.enter(name)
            except (FileNotFoundError, NotADirectoryError):
                # Gone meanwhile.
                continue
            except OSError:
                yield path + b"/", "closed"
                continue
            length += len(name) + 1
            folders, found, empty = _content(at)
            yield path, "empty" if empty else "folder"
            for inner, kind in found:
                yield path + b"/" + inner, "deep" if length + len(inner) > most else kind
            pending.append(folders)


def _content(at: Descent) -> tuple[list[bytes], list[tuple[bytes, str]], bool]:
    """
    The folders in the one *at* stands in, what else is there, and whether there is nothing.
    """
    folders: list[bytes] = []
    found: list[tuple[bytes, str]] = []
    empty = True
    with os.scandir(at.here) as scan:
        for entry in scan:
            if entry.name.lower() == ".git":
                continue
            empty = False
            name = os.fsencode(entry.name)
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif entry.is_symlink():
                found.append((name, "link"))
            else:
                found.append((name, "file" if entry.is_file(follow_symlinks=False) else "other"))
    folders.sort(reverse=True)
    return folders, found, empty


def remove(tree: Path) -> None:
    """
    Remove the folder *tree* with all that lies in it, however deep, and whatever its permissions say.  Raises OSError.
    """
    # Module caches are often read-only folders; ours to delete all the same.
    with opened(tree.parent) as parent:
        grant(os.fsencode(tree.name), parent, CHANGE)
    with Descent(tree, opens=True, needs=CHANGE) as at:
        pending = [_cleared(at)]
        while True:
            if pending[-1]:
                at.enter(pending[-1][-1])
                pending.append(_cleared(at))
                continue
            pending.pop()
            if not pending:
                break
            at.leave()
            os.rmdir(pending[-1].pop(), dir_fd=at.here)
    tree.rmdir()


def _cleared(at: Descent) -> list[bytes]:
    """
    Remove all but the folders of the one *at* stands in, and give those.
    """
    folders = []
    with os.scandir(at.here) as scan:
        entries = list(scan)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            folders.append(os.fsencode(entry.name))
        else:
            os.unlink(entry.name, dir_fd=at.here)
    return folders


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino
