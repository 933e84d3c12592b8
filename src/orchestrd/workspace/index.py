"""
Turning a listing into a git tree, by way of an index file that remembers what each file looked like.

The work is done on a copy, *temporary*, of the index of the last time, *cached*, so no lock is ever left behind and two
snapshots of one tree at once do each other no harm.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from orchestrd.workspace.git import Git
from orchestrd.workspace.listing import Listing


async def write_tree(ours: Git, tree: Path, listing: Listing, temporary: Path, cached: Path | None) -> str:
    """
    The id of the git tree with exactly what *listing* says; *temporary* is its index afterwards.

    A file that has gone in the meantime is left out.  Raises StorageError when one cannot be read.
    """
    env = {"GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(temporary)}
    wanted = set(listing.files).union(path for _, path in listing.fixed)
    lines: list[bytes] = []
    if cached is not None and await anyio.to_thread.run_sync(_copied, cached, temporary):
        have = await ours.run("ls-files", "-z", "--cached", "--stage", env=env, cwd=tree)
        for record in have.records:
            head, _, path = record.partition(b"\t")
            if path not in wanted:
                # Mode 0 takes a path out; the id only has to be one.
                lines.append(b"0 " + head.split(b" ")[1] + b"\t" + path)
    lines += [f"{entry.mode} {entry.oid}\t".encode() + path for entry, path in listing.fixed]
    if lines:
        await ours.run("update-index", "-z", "--index-info", stdin=_joined(lines), env=env, cwd=tree)
    add = ("update-index", "-z", "--add", "--remove", "--replace", "--stdin")
    await ours.run(*add, stdin=_joined(listing.files), env=env, cwd=tree)
    return (await ours.run("write-tree", env=env, cwd=tree)).line


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
