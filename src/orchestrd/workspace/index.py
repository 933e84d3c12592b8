"""
Turning a listing into a git tree, by way of an index file that remembers what each file looked like.

The work is done on a copy, *temporary*, of the index of the last time, *cached*, so no lock is ever left behind and two
snapshots of one tree at once do each other no harm.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrd.errors import StorageError
from orchestrd.workspace.git import Git, shown
from orchestrd.workspace.listing import Listing
from orchestrd.workspace.reading import read_in


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """
    The *tree_id* of a git tree, and the paths that could not be read for it: they hold there what they held when they last could.
    """

    tree_id: str
    closed: tuple[bytes, ...] = ()


async def write_tree(
    ours: Git, tree: Path, listing: Listing, temporary: Path, cached: Path | None, *, opens: bool
) -> Written:
    """
    The git tree with exactly what *listing* says; *temporary* is its index afterwards.  *opens*: what is closed to us and ours is opened.

    A file that has gone in the meantime is left out.  Raises StorageError, also for one that is closed and is not to be opened.
    """
    env = {"GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(temporary)}
    wanted = set(listing.files).union(path for _, path in listing.fixed)
    here: dict[bytes, bytes] = {}
    changed: set[bytes] = set()
    lines: list[bytes] = []
    if cached is not None and await anyio.to_thread.run_sync(_copied, cached, temporary):
        have = await ours.run("ls-files", "-z", "--cached", "--stage", env=env, cwd=tree)
        for record in have.records:
            head, _, path = record.partition(b"\t")
            if path in wanted:
                here[path] = head
            else:
                lines.append(_without(head, path))
        # What it says of a path that leads elsewhere at this moment decides no more than whether we look ourselves.
        changed.update((await ours.run("ls-files", "-z", "--modified", env=env, cwd=tree)).records)
    fresh = [path for path in listing.files if path not in here or path in changed]
    read = await read_in(ours, tree, fresh, opens=opens)
    if read.closed and not opens:
        raise StorageError(f"{shown(os.fsdecode(read.closed[0]))} in {tree} cannot be read")
    lines += [_without(here[path], path) for path in read.gone if path in here]
    lines += [f"{entry.mode} {entry.oid}\t".encode() + path for entry, path in (*listing.fixed, *read.held)]
    if lines or not here:
        await ours.run("update-index", "-z", "--index-info", stdin=_joined(lines), env=env, cwd=tree)
    if read.held:
        # It notes what the files look like, of those that are what we have read; 1 is that some are not.
        await ours.run("update-index", "-q", "--refresh", env=env, cwd=tree, expect=(0, 1))
    tree_id = (await ours.run("write-tree", env=env, cwd=tree)).line
    return Written(tree_id=tree_id, closed=tuple(read.closed))


def _without(head: bytes, path: bytes) -> bytes:
    """
    What takes *path* out of an index: mode 0; the id only has to be one.
    """
    return b"0 " + head.split(b" ")[1] + b"\t" + path


def forget(temporary: Path) -> None:
    """
    Remove an index that is no longer wanted, with the lock of a killed git.
    """
    temporary.unlink(missing_ok=True)
    temporary.with_name(f"{temporary.name}.lock").unlink(missing_ok=True)


def _copied(source: Path, target: Path) -> bool:
    """
    Copy the index with its modification time, by which git knows the entries it must not trust.
    """
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        return False
    return True


def _joined(records: Sequence[bytes]) -> bytes:
    return b"".join(record + b"\0" for record in records)
