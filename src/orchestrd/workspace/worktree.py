"""
The folders in which agents work: worktrees of our repository, outside the person's tree.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread

from orchestrd.errors import Refused
from orchestrd.logs import get_logger
from orchestrd.workspace import entries
from orchestrd.workspace.git import shown
from orchestrd.workspace.listing import uncounted
from orchestrd.workspace.repository import Repository

log = get_logger(__name__)
DEPTH = 3
"""Folders from the workspaces to a tree: ``DAY/TASK/tree``."""


async def make(
    repo: Repository, path: Path, commit: str, *, furnish: Callable[[], Awaitable[None]] | None = None
) -> None:
    """
    Make a worktree at *path* with the files of *commit*, and whatever *furnish* puts there besides; nothing to do when it is
    there already.

    Raises Refused when *path* holds something else, the worktree of another commit among it: that may be work.  Raises what
    *furnish* raises, and then nothing is made.
    """
    commit = await repo.resolve(commit)
    async with repo.alone():
        if await anyio.to_thread.run_sync(_ready, repo.path, path, commit):
            return
        await repo.git.run("worktree", "add", "--quiet", "--force", "--detach", "--", str(path), commit)
        await anyio.to_thread.run_sync(_added, repo, path)
    if furnish is not None:
        await furnish()
    await anyio.to_thread.run_sync(entries.mark, repo.path, path, commit)


def made_from(repo: Repository, path: Path) -> str | None:
    """
    The commit that the worktree at *path* was made from; None while none is made there.  Blocks.
    """
    return entries.base_of(entries.entry_of(repo.path, path))


async def follow(repo: Repository, under: Path) -> None:
    """
    Have all worktrees below *under* again after they were moved or copied together with their repository.
    """
    async with repo.alone():
        try:
            trees = await anyio.to_thread.run_sync(entries.follow, repo.path, under, DEPTH)
        except OSError as error:
            # A full disk, say: the next start does it, and nothing is done in a tree that is not ours.
            log.warning("git.trees_not_followed", error=str(error))
            return
    if trees:
        log.warning("git.trees_followed", trees=len(trees))


class Expendable:
    """
    A worktree that may be removed: that all of it is in a snapshot was verified a moment ago.  Only `prove` gives one.

    *path* is where it is, *commit* the snapshot, None when nothing of an agent's is in it.
    """

    __slots__ = ("commit", "path")

    def __init__(self, path: Path, commit: str | None, *, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only `prove` says that a tree may be removed")
        self.path = path
        self.commit = commit


_SEAL = object()


async def prove(repo: Repository, path: Path) -> Expendable:
    """
    Prove that nothing is lost with the worktree at *path*: it holds what some snapshot has, whose every object is there, or it
    is none that was made.

    Raises Refused when some file in it differs from every snapshot: take one first; or cannot be kept in one.  What is too large
    for one goes.
    """
    entry = await anyio.to_thread.run_sync(entries.entry_of, repo.path, path)
    base = await anyio.to_thread.run_sync(entries.base_of, entry)
    folder, link = await anyio.to_thread.run_sync(lambda: (path.is_dir(), path.is_symlink()))
    if base is not None and folder and not link:
        parent = base if await repo.holds(base) else None
        present = await repo.whole(path, parent=parent, max_file=repo.max_file)
        missed = present.listing.beyond[:1] or await anyio.to_thread.run_sync(uncounted, path, present.listing)
        if missed:
            raise Refused(
                f"{path} holds what no snapshot can: {shown(os.fsdecode(missed[0]))}",
                hint="It is closed to the daemon, or lies too deep: move it elsewhere, or remove it.",
            )
        return Expendable(path, await _keeper(repo, path, present.tree_id), seal=_SEAL)
    if base is None and not link and await anyio.to_thread.run_sync(_foreign, repo.path, path):
        raise Refused(f"{path} is no worktree of {repo.path}")
    return Expendable(path, None, seal=_SEAL)


async def _keeper(repo: Repository, path: Path, tree_id: str) -> str:
    """
    A commit that a ref keeps, that holds *tree_id*, and of which nothing is missing.
    """
    named = await repo.git.run("for-each-ref", "--format=%(tree) %(objectname)", "refs/orchestrd/")
    for line in named.out.decode().splitlines():
        tree, _, commit = line.partition(" ")
        if tree != tree_id:
            continue
        walk = ("rev-list", "--objects", "--no-walk", "--quiet", commit)
        if (await repo.git.run(*walk, expect=(0, 128))).code == 0:
            return commit
    raise Refused(f"{path} holds work that no snapshot has", hint="Take a snapshot of it first.")


async def remove(repo: Repository, tree: Expendable) -> None:
    """
    Remove the worktree *tree*; nothing to do when it is gone.
    """
    path = tree.path
    entry = await anyio.to_thread.run_sync(entries.entry_of, repo.path, path)
    async with repo.alone():
        await anyio.to_thread.run_sync(entries.wipe, path, entry)
        await anyio.to_thread.run_sync(lambda: repo.forget_indexes(entries.real(path)))


def intact(repo: Repository, path: Path, *, under: Path) -> bool:
    """
    True while *path* is the worktree that was made there: a real folder, reached from *under* through no link, whose
    ``.git`` leads to our repository.  An agent may have put anything else in its place.  Blocks.
    """
    try:
        pointer = (path / ".git").lstat()
    except OSError:
        return False
    try:
        below = path.relative_to(under)
    except ValueError:
        # The home was named otherwise when the tree was made; the same place is below it all the same, by its last parts.
        below = Path(*path.parts[-DEPTH:])
    sound = entries.real(path) == entries.real(under) / below and stat.S_ISREG(pointer.st_mode)
    return sound and not _foreign(repo.path, path)


def _ready(repository: Path, path: Path, commit: str) -> bool:
    """
    True when the worktree stands; else the place is cleared for it.
    """
    entry = entries.entry_of(repository, path)
    base = entries.base_of(entry)
    if base is not None and path.is_dir():
        if base == commit:
            return True
        raise Refused(f"{path} is the worktree of another snapshot, {base[:12]}", hint="Remove it first.")
    if _foreign(repository, path):
        raise Refused(f"{path} is not empty and no worktree of {repository}")
    entries.wipe(path, entry)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return False


def _added(repo: Repository, path: Path) -> None:
    """
    Keep what git just noted about every file: it spares the first snapshot from reading them all again.
    """
    shutil.copy2(entries.secure(repo.path, path) / "index", repo.index_of(entries.real(path)))


def _foreign(repository: Path, path: Path) -> bool:
    """
    True when *path* holds something that is not a worktree of ours left half-made.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        return True
    if not path.is_dir() or not any(path.iterdir()) or entries.entry_of(repository, path) is not None:
        return False
    try:
        pointer = (path / ".git").read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return True
    if not pointer and len(list(path.iterdir())) == 1:
        return False  # as git was killed between making the file and writing it
    return not pointer.startswith(b"gitdir: " + os.fsencode(repository / "worktrees") + b"/")
