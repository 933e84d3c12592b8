"""
Files and folders of a tree, reached without ever following a symbolic link, and told apart the way git does.

Everything here blocks.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrd.workspace.trees import FILE, LINK, PROGRAM, Entry, Step, above

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def digest(name: str, *, algorithm: str, folder: int | None = None) -> Entry | None:
    """
    What lies at *name*, as git would store it; None for nothing, for folders and for what git does not store.
    """
    try:
        found = os.lstat(name, dir_fd=folder)
        if stat.S_ISLNK(found.st_mode):
            data = os.fsencode(os.readlink(name, dir_fd=folder))
            return Entry(LINK, hashlib.new(algorithm, b"blob %d\0" % len(data) + data).hexdigest())
        if not stat.S_ISREG(found.st_mode):
            return None
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
            hashed = hashlib.new(algorithm, b"blob %d\0" % os.fstat(file.fileno()).st_size)
            while chunk := file.read(1 << 20):
                hashed.update(chunk)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Entry(PROGRAM if found.st_mode & stat.S_IXUSR else FILE, hashed.hexdigest())


def step_into(here: int, name: str, *, make: bool) -> int:
    """
    Open the folder *name* in *here*, which is closed; made as open as *here* is if it is missing and *make*.
    """
    try:
        there = os.open(name, FOLDER, dir_fd=here)
    except FileNotFoundError:
        if not make:
            raise
        os.mkdir(name, dir_fd=here)
        there = os.open(name, FOLDER, dir_fd=here)
        os.fchmod(there, stat.S_IMODE(os.fstat(here).st_mode) | 0o700)
    os.close(here)
    return there


def same(path: Path, name: str, folder: int) -> bool:
    """
    True when *path* and *name* in *folder* are one file.
    """
    try:
        return os.path.samestat(os.lstat(path), os.lstat(name, dir_fd=folder))
    except FileNotFoundError:
        return False


def link(source: str, name: str, folder: int) -> None:
    """
    Make *source* appear as *name* too; where the file system knows no links, move it there.
    """
    try:
        os.link(source, name, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        with suppress(FileNotFoundError):
            os.lstat(name, dir_fd=folder)
            raise FileExistsError(f"{name} has just been made by somebody else") from None
        os.rename(source, name, dst_dir_fd=folder)


def sync(path: Path) -> None:
    """
    Have the file or folder *path*, no link, on the disk.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def surroundings(project: Path, steps: Sequence[Step]) -> tuple[dict[str, int], list[str]]:
    """
    The folders that may go (around deleted files, and empty ones where a file comes), with their modes, and those that
    are not there yet.
    """
    folders: dict[str, int] = {}
    absent: set[str] = set()
    for step in steps:
        around = [*above(step.path)][::-1]
        if step.new is None:
            folders.update((path, stat.S_IMODE(os.lstat(project / path).st_mode)) for path in around)
            continue
        for depth, path in enumerate(around):
            if not stat.S_ISDIR(mode_of(project / path)):
                absent.update(around[depth:])
                break
        else:
            if stat.S_ISDIR(mode_of(project / step.path)):
                for inside, _, _ in os.walk(project / step.path):
                    folders[os.path.relpath(inside, project)] = stat.S_IMODE(mode_of(Path(inside)))
    return folders, sorted(absent)


def mode_of(path: Path) -> int:
    """
    The mode of what lies at *path*, 0 for nothing.
    """
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """
    The folder *path*, open.
    """
    here = os.open(path, FOLDER)
    try:
        yield here
    finally:
        os.close(here)
