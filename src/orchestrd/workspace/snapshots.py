"""
Snapshots of the whole of a tree, from which anything that is deleted or overwritten in it comes back.

One holds what the tree's work is and what git ignores beside it, within bounds (`workspace.ignored`).  It is a commit on top of
the one the tree was made from, and a ref of its own keeps it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import anyio.to_thread

from orchestrd.errors import NotFound
from orchestrd.logs import get_logger
from orchestrd.workspace.ignored import Peculiar, noted, peculiar
from orchestrd.workspace.repository import Repository, Snapshot, Whole, ref_name

log = get_logger(__name__)
GRACE = "2.hours.ago"
"""Objects that nothing keeps are not removed before: a snapshot that is being taken may be about to use them."""
LOOSE_OBJECTS = 2000
PACKS = 20
"""Above either of them, our repository is packed."""
PACKED_SECONDS = 1800.0
_COUNT = re.compile(r"^(count|packs): (\d+)$", re.MULTILINE)


def snapshot_ref(task: str, commit: str) -> str:
    """
    The ref that keeps the snapshot *commit* of the tree of *task*.
    """
    return ref_name("orchestrd", *task.split("/"), "snapshot", commit)


def snapshots_ref(task: str) -> str:
    """
    What the refs of all snapshots of *task* begin with.
    """
    return ref_name("orchestrd", *task.split("/"), "snapshot")


async def look(repo: Repository, tree: Path, *, base: str, max_file: int) -> Whole:
    """
    All of *tree* as it lies on disk now; it started from the commit *base*, which may be lost.  Files of more than *max_file*
    bytes, unless they are as they were there, are left out; 0 for none.

    Raises StorageError.
    """
    parent = base if base and await repo.holds(base) else None
    return await repo.whole(tree, parent=parent, max_file=max_file)


async def keep(repo: Repository, taken: Whole, tree: Path, *, task: str, base: str, about: str) -> Snapshot:
    """
    Keep what was *taken* of the *tree* of *task*, *about* what; it and its name are on disk then.

    Raises StorageError.
    """
    listing = taken.listing
    said = await anyio.to_thread.run_sync(peculiar, tree, listing.files, listing.passed_over)
    message = f"{about}\n\n{said.note}\n" if said.note else about
    parents = (base,) if base and await repo.holds(base) else ()
    return await repo.keep_whole(
        taken, parents=parents, message=message, name=lambda commit: snapshot_ref(task, commit)
    )


async def peculiarities(repo: Repository, commit: str) -> Peculiar:
    """
    What the snapshot *commit* says beside its tree.

    Raises NotFound when it is not there.
    """
    if not await repo.holds(commit):
        raise NotFound(
            f"the snapshot {commit} is not in var/git", hint="`orchctl doctor --deep` says what can be done."
        )
    output = await repo.git.run("cat-file", "commit", commit)
    return noted(os.fsdecode(output.out.partition(b"\n\n")[2]))


async def drop(repo: Repository, refs: Iterable[str]) -> None:
    """
    Let go what *refs* keep; a ref that is not there is none.
    """
    lines = "".join(f"delete {ref}\n" for ref in refs)
    if lines:
        await repo.git.run("update-ref", "--stdin", stdin=lines.encode())


async def pack(repo: Repository) -> bool:
    """
    Pack our repository when it has grown, and remove what nothing keeps any more; True when that was done.

    Raises StorageError.
    """
    counted = dict(_COUNT.findall((await repo.git.run("count-objects", "-v")).line))
    if int(counted.get("count", 0)) <= LOOSE_OBJECTS and int(counted.get("packs", 0)) <= PACKS:
        return False
    words = ("repack", "-A", "-d", "-q", f"--unpack-unreachable={GRACE}")
    await repo.git.run(*words, patience=PACKED_SECONDS)
    await repo.git.run("prune", f"--expire={GRACE}", patience=PACKED_SECONDS)
    async with repo.alone():
        await repo.git.run("pack-refs", "--all")
    log.info("git.packed", loose=int(counted.get("count", 0)), packs=int(counted.get("packs", 0)))
    return True
