"""
Files of a tree read into our repository.

git opens what it is told by its path, and whoever changes a folder into a link in between has it read what lies elsewhere: a key of
the person's would be in a snapshot, and be put back into an agent's tree.  So we open the files, through no link, and give git what
is open.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from orchestrd.errors import StorageError
from orchestrd.workspace.descent import Descent
from orchestrd.workspace.git import Git
from orchestrd.workspace.trees import FILE, LINK, PROGRAM, Entry

AT_ONCE = 128
"""Files that are open at once."""


class Read(msgspec.Struct, kw_only=True):
    """
    What became of some paths: they are *held* in our repository, *gone*, or *closed* to us.
    """

    held: list[tuple[Entry, bytes]] = []
    gone: list[bytes] = []
    closed: list[bytes] = []


class _Open(msgspec.Struct, frozen=True):
    path: bytes
    mode: str
    handle: int


async def read_in(ours: Git, tree: Path, paths: Sequence[bytes], *, opens: bool) -> Read:
    """
    Have what lies at *paths* in *tree* in our repository; *opens*: what is ours and closed is opened to its owner.

    Raises StorageError.
    """
    read = Read()
    with closing(_opened(tree, paths, opens, read)) as files:
        while batch := await anyio.to_thread.run_sync(_some, files):
            try:
                # By what we hold open, not by name.
                handles = [file.handle for file in batch]
                names = "".join(f"/proc/self/fd/{handle}\n" for handle in handles)
                words = ("hash-object", "-w", "--no-filters", "--stdin-paths")
                # The tree only says whose files these are.
                env = {"GIT_WORK_TREE": str(tree)}
                output = await ours.run(*words, stdin=names.encode(), env=env, handles=handles)
                told = output.out.decode("ascii").split()
            finally:
                for file in batch:
                    os.close(file.handle)
            read.held += [(Entry(file.mode, oid), file.path) for file, oid in zip(batch, told, strict=True)]
    return read


def _some(files: Iterator[_Open]) -> list[_Open]:
    batch: list[_Open] = []
    try:
        batch += islice(files, AT_ONCE)
    except BaseException:
        for file in batch:
            os.close(file.handle)
        raise
    return batch


def _opened(tree: Path, paths: Sequence[bytes], opens: bool, read: Read) -> Generator[_Open]:  # noqa: FBT001 - in a thread
    with Descent(tree, opens=opens) as at:
        for path in paths:
            *folders, name = path.split(b"/")
            try:
                at.go(folders)
                yield _open(at, path, name)
            except PermissionError:
                read.closed.append(path)
            except (FileNotFoundError, NotADirectoryError, ValueError):
                read.gone.append(path)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise StorageError(f"{os.fsdecode(path)!r} in {tree} cannot be read: {error.strerror}") from error
                # A link by now.
                read.gone.append(path)


def _open(at: Descent, path: bytes, name: bytes) -> _Open:
    """
    Raises OSError, `ValueError` for what is neither a file nor a link.
    """
    try:
        target = os.readlink(name, dir_fd=at.here)
    except OSError:
        handle = at.file(name)
        return _Open(path, PROGRAM if os.fstat(handle).st_mode & stat.S_IXUSR else FILE, handle)
    handle = os.memfd_create("link", os.MFD_CLOEXEC)
    os.write(handle, target)
    return _Open(path, LINK, handle)
