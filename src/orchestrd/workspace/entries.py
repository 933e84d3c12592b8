"""
The entries of our worktrees in our repository: its folders ``worktrees/ID``, out of the agents' reach.

A worktree counts as made once a mark stands in its entry.  The mark is the last thing that is put and the first that is taken
away: without it the tree is half made or half removed, holds nothing of an agent's that was not kept before, and is made again.

A ``git worktree add`` that is killed may leave an entry whose HEAD names no commit, or that does not say where its repository
is, and with it git 2.39 refuses every fetch ("bad object worktrees/ID/HEAD") and every new worktree of the whole repository:
``settle`` clears such entries away.

Everything here blocks.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from orchestrd.errors import Refused
from orchestrd.logs import get_logger
from orchestrd.storage.home import sync_folder, write_atomic
from orchestrd.workspace import descent
from orchestrd.workspace.disk import sync

log = get_logger(__name__)
MARK = "orchestrd-made"
VIEW = "view-"
"""What the folders begin with, beside our repository, that hold what is shown of it for one tree: `workspace.view`."""
COMMON = "../..\n"
"""What ``commondir`` says: where the repository is, seen from an entry."""


def real(path: Path) -> Path:
    """
    *path* absolute and without symbolic links.
    """
    return Path(os.path.realpath(path))


def entry_of(repository: Path, tree: Path) -> Path | None:
    """
    The entry of the worktree at *tree*, found from our side: the tree's own ``.git`` is not believed.
    """
    wanted = real(tree)
    for entry in _entries(repository):
        if tree_of(entry) == wanted:
            return entry
    return None


def tree_of(entry: Path) -> Path | None:
    """
    Where the worktree of *entry* is; None when it does not say.
    """
    try:
        said = os.fsdecode((entry / "gitdir").read_bytes().removesuffix(b"\n"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Relative to the entry when the newest gits were told to write it so.
    return real((entry / said).parent) if said else None


def view_of(entry: Path) -> Path:
    """
    Where the view of the tree of *entry* lies.
    """
    return entry.parents[2] / f"{VIEW}{entry.name}.git"


def base_of(entry: Path | None) -> str | None:
    """
    The commit that the mark names; None where there is no mark.
    """
    if entry is None:
        return None
    try:
        return (entry / MARK).read_text("ascii").strip() or None
    except FileNotFoundError:
        return None


def secure(repository: Path, tree: Path) -> Path:
    """
    Have what leads from the entry of *tree* to it and back, which git does not sync, on disk; gives the entry.
    """
    entry = entry_of(repository, tree)
    assert entry is not None
    for place in (entry / "gitdir", entry / "commondir", entry / "HEAD", tree / ".git"):
        sync(place)
    return entry


def mark(repository: Path, tree: Path, commit: str) -> None:
    """
    Put the mark.  An agent's work is told from what may be wiped by it: it must not be less durable than the journal.
    """
    entry = entry_of(repository, tree)
    if entry is None:
        raise Refused(f"{tree} was taken away while it was made")
    write_atomic(entry / MARK, f"{commit}\n".encode("ascii"), durable=True)
    sync_folder(entry)


def wipe(tree: Path, entry: Path | None) -> None:
    """
    Remove *tree*, whatever lies there, with its *entry* and its view.
    """
    if entry is not None:
        # First: half a tree must not be taken for what an agent left.
        (entry / MARK).unlink(missing_ok=True)
    if tree.is_symlink() or tree.is_file():
        # Put there by an agent; what a link leads to is none of ours.
        tree.unlink()
    elif tree.is_dir():
        descent.remove(tree)
    if entry is not None:
        shutil.rmtree(view_of(entry), ignore_errors=True)
        shutil.rmtree(entry)


def detached(repository: Path) -> dict[str, str]:
    """
    Every HEAD that names a commit by its id, as its path in *repository*, and the commit.
    """
    heads = ((f"worktrees/{entry.name}/HEAD", _text(entry / "HEAD")) for entry in _entries(repository))
    return {head: commit for head, commit in heads if commit and not commit.startswith("ref:")}


def settle(repository: Path) -> None:
    """
    Clear away what a git that was ended left in *repository*, in which none is at work: its locks, and entries that stop git.

    Raises OSError.
    """
    for stray in repository.glob("*.lock"):
        stray.unlink(missing_ok=True)
    for entry in _entries(repository):
        head, common = _text(entry / "HEAD"), _text(entry / "commondir")
        if common == COMMON.strip() and head.strip("0"):
            continue
        base = base_of(entry)
        if base is not None:
            # It was whole, and may be in use.
            write_atomic(entry / "commondir", COMMON.encode("ascii"))
            if not head.strip("0"):
                write_atomic(entry / "HEAD", f"{base}\n".encode("ascii"))
            log.warning("git.entry_mended", entry=entry.name)
        else:
            # Nothing has run in its tree yet; which is not this entry's when the home is a copy of another.
            tree = tree_of(entry)
            if tree is not None and _text(tree / ".git") == f"gitdir: {entry}":
                wipe(tree, None)
            shutil.rmtree(entry)
            log.warning("git.entry_cleared", entry=entry.name)


def follow(repository: Path, under: Path, depth: int) -> list[Path]:
    """
    Lead the entries, and what lies in the trees, to each other again when both were moved, or copied, together with their
    home: the tree of an entry is found below *under* by the last *depth* parts of where it was.  Gives these trees.

    Raises OSError.
    """
    followed: list[Path] = []
    for entry in _entries(repository):
        was = tree_of(entry)
        if was is None:
            continue
        tree = real(under).joinpath(*was.parts[-depth:])
        pointer = tree / ".git"
        # What an agent may have put there instead stays what it is, and is told of.
        if tree == was or real(tree) != tree or pointer.is_symlink() or not pointer.is_file():
            continue
        if not _text(pointer).endswith(f"/worktrees/{entry.name}"):
            continue
        # The entry last: it is by this one that the next start sees whether all is done.
        write_atomic(pointer, os.fsencode(f"gitdir: {entry}\n"), durable=True)
        write_atomic(entry / "gitdir", os.fsencode(f"{pointer}\n"), durable=True)
        followed.append(tree)
    return followed


def _entries(repository: Path) -> list[Path]:
    return sorted(path for path in (repository / "worktrees").glob("*") if path.is_dir())


def _text(path: Path) -> str:
    try:
        return os.fsdecode(path.read_bytes()).strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
