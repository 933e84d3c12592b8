"""
The folders in which agents work: worktrees of our repository, outside the person's tree.

A worktree counts as made once a mark stands in its administrative folder (``worktrees/ID/orchestrd-made``, inside our
repository, out of the agent's reach).  It is the last thing that is put and the first that is taken away: without it the
tree is half made or half removed, holds nothing of an agent's that was not kept before, and is made again.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread

from orchestrd.errors import Refused
from orchestrd.storage.home import sync_folder, write_atomic
from orchestrd.workspace.repository import Repository, real

MARK = "orchestrd-made"
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
    async with repo.lock:
        if await anyio.to_thread.run_sync(_ready, repo.path, path, commit):
            return
        await repo.git.run("worktree", "add", "--quiet", "--force", "--detach", "--", str(path), commit)
        await anyio.to_thread.run_sync(_note_files, repo, path)
    if furnish is not None:
        await furnish()
    await anyio.to_thread.run_sync(_finish, repo, path, commit)


def made_from(repo: Repository, path: Path) -> str | None:
    """
    The commit that the worktree at *path* was made from; None while none is made there.  Blocks.
    """
    return _base(_admin(repo.path, path))


async def remove(repo: Repository, path: Path) -> None:
    """
    Remove the worktree at *path*; nothing to do when it is gone.

    Raises Refused when some file in it differs from every snapshot: take one first.
    """
    admin = await anyio.to_thread.run_sync(_admin, repo.path, path)
    base = await anyio.to_thread.run_sync(_base, admin)
    folder, link = await anyio.to_thread.run_sync(lambda: (path.is_dir(), path.is_symlink()))
    if base is not None and folder and not link:
        present = await repo.tree_of(path, parent=base)
        kept = await repo.git.run("for-each-ref", "--format=%(tree)", "refs/orchestrd/")
        if present not in kept.out.decode().split():
            raise Refused(f"{path} holds work that no snapshot has", hint="Take a snapshot of it first.")
    elif base is None and not link and await anyio.to_thread.run_sync(_foreign, repo.path, path):
        raise Refused(f"{path} is no worktree of {repo.path}")
    async with repo.lock:
        await anyio.to_thread.run_sync(_wipe, path, admin)
        await anyio.to_thread.run_sync(lambda: repo.index_of(real(path)).unlink(missing_ok=True))


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
    sound = real(path) == real(under) / below and stat.S_ISREG(pointer.st_mode)
    return sound and not _foreign(repo.path, path)


async def prune(repo: Repository) -> None:
    """
    Forget worktrees whose folders are gone.
    """
    async with repo.lock:
        await repo.git.run("worktree", "prune", "--expire=now")


def _ready(repository: Path, path: Path, commit: str) -> bool:
    """
    True when the worktree stands; else the place is cleared for it.
    """
    admin = _admin(repository, path)
    base = _base(admin)
    if base is not None and path.is_dir():
        if base == commit:
            return True
        raise Refused(f"{path} is the worktree of another snapshot, {base[:12]}", hint="Remove it first.")
    if _foreign(repository, path):
        raise Refused(f"{path} is not empty and no worktree of {repository}")
    _wipe(path, admin)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return False


def _note_files(repo: Repository, path: Path) -> None:
    """
    Keep what git just noted about every file: it spares the first snapshot from reading them all again.
    """
    admin = _admin(repo.path, path)
    assert admin is not None
    shutil.copy2(admin / "index", repo.index_of(real(path)))


def _finish(repo: Repository, path: Path, commit: str) -> None:
    """
    Put the mark.  An agent's work is told from what may be wiped by it: it must not be less durable than the journal.
    """
    admin = _admin(repo.path, path)
    if admin is None:
        raise Refused(f"{path} was taken away while it was made")
    write_atomic(admin / MARK, f"{commit}\n".encode("ascii"), durable=True)
    sync_folder(admin)


def _admin(repository: Path, path: Path) -> Path | None:
    """
    The administrative folder of the worktree at *path*, found from our side: the tree's own ``.git`` is not believed.
    """
    wanted = real(path)
    for pointer in sorted((repository / "worktrees").glob("*/gitdir")):
        try:
            # Relative to its own place when the newest gits were told to write it so.
            target = pointer.parent / os.fsdecode(pointer.read_bytes().removesuffix(b"\n"))
        except FileNotFoundError:
            continue
        if real(target.parent) == wanted:
            return pointer.parent
    return None


def _base(admin: Path | None) -> str | None:
    """
    The commit that the mark names, or None where there is no mark.
    """
    if admin is None:
        return None
    try:
        return (admin / MARK).read_text("ascii").strip() or None
    except FileNotFoundError:
        return None


def _foreign(repository: Path, path: Path) -> bool:
    """
    True when *path* holds something that is not a worktree of ours left half-made.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        return True
    if not path.is_dir() or not any(path.iterdir()) or _admin(repository, path) is not None:
        return False
    try:
        pointer = (path / ".git").read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return True
    return not pointer.startswith(b"gitdir: " + os.fsencode(repository / "worktrees") + b"/")


def _wipe(path: Path, admin: Path | None) -> None:
    if admin is not None:
        # First: half a tree must not be taken for what an agent left.
        (admin / MARK).unlink(missing_ok=True)
    if path.is_symlink() or path.is_file():
        # Put there by an agent; what a link leads to is none of ours.
        path.unlink()
    elif path.is_dir():
        # Module caches are often read-only folders; ours to delete all the same.
        path.chmod(0o700)
        for folder, names, _ in os.walk(path):
            for name in names:
                inner = Path(folder) / name
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)
    if admin is not None:
        shutil.rmtree(admin)
