"""
A snapshot put back: into the tree it was taken of, or into a folder of its own.

Only what differs is touched.  Files come ready from a folder beside and are moved into their places; no link is followed, neither
in the tree nor to it.  What the snapshot says nothing of (a ``node_modules`` that was too large for one) stays where it is.
Broken off anywhere, it can be done again: what was there before is in a snapshot of its own by then.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import anyio.to_thread

from orchestrd.errors import Refused, StorageError
from orchestrd.failpoint import failpoint
from orchestrd.workspace.descent import remove
from orchestrd.workspace.disk import FOLDER, step_into
from orchestrd.workspace.git import shown
from orchestrd.workspace.ignored import Peculiar
from orchestrd.workspace.repository import Repository
from orchestrd.workspace.snapshots import peculiarities
from orchestrd.workspace.trees import GITLINK, Step, above, edited, steps

ASIDE = ".restore-"
"""How the name of the folder beside the tree begins in which files lie until they are moved."""


async def restore(repo: Repository, tree: Path, *, before: str, commit: str) -> int:
    """
    Have in *tree* what the snapshot *commit* holds; *before* is the commit that was just taken of it.  Gives how many paths
    changed.

    Raises StorageError when one cannot be put in its place.
    """
    said = await peculiarities(repo, commit)
    changed = [step for step in await steps(repo.git, before, commit) if GITLINK not in _modes(step)]
    aside = await anyio.to_thread.run_sync(_aside, tree)
    try:
        await _fetch(repo, {step.path: step.new for step in changed if step.new is not None}, aside)
        await anyio.to_thread.run_sync(_put, tree, changed, aside, said)
    finally:
        await anyio.to_thread.run_sync(_discard, aside)
    return len(changed)


async def export(repo: Repository, folder: Path, *, commit: str) -> int:
    """
    Write what the snapshot *commit* holds into *folder*, which is made, or is empty.  Gives how many files.

    Raises Refused when it is neither, StorageError.
    """
    said = await peculiarities(repo, commit)
    await anyio.to_thread.run_sync(_make, folder)
    files = (await repo.git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)).records
    async with anyio.TemporaryDirectory(prefix="orchestrd-") as scratch:
        env = {"GIT_INDEX_FILE": f"{scratch}/index", "GIT_WORK_TREE": str(folder)}
        await repo.git.run("read-tree", commit, env=env, cwd=folder)
        await repo.git.run("checkout-index", "--all", "--quiet", env=env, cwd=folder)
    await anyio.to_thread.run_sync(_adorn, folder, said)
    return len(files)


def _modes(step: Step) -> set[str]:
    return {entry.mode for entry in (step.old, step.new) if entry is not None}


async def _fetch(repo: Repository, wanted: dict[str, object], aside: Path) -> None:
    """
    Have the files *wanted*, path to entry, below the folder *aside*.
    """
    if not wanted:
        return
    tree = await edited(repo.git, None, wanted)  # type: ignore[arg-type]  # entries, every one
    env = {"GIT_INDEX_FILE": str(aside / "index"), "GIT_WORK_TREE": str(aside / "files")}
    await repo.git.run("read-tree", tree, env=env, cwd=aside / "files")
    await repo.git.run("checkout-index", "--all", "--quiet", env=env, cwd=aside / "files")


def _aside(tree: Path) -> Path:
    """
    A new folder beside *tree*; what a restore that was broken off left there goes.
    """
    for stray in tree.parent.glob(f"{ASIDE}*"):
        _discard(stray)
    # A name of our own making: whatever an agent has prepared there would lead us elsewhere.
    place = Path(mkdtemp(prefix=ASIDE, dir=tree.parent))
    (place / "files").mkdir(mode=0o700)
    return place


def _discard(place: Path) -> None:
    with suppress(OSError):
        remove(place)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if folder.is_symlink() or not folder.is_dir() or any(folder.iterdir()):
            raise Refused(
                f"{folder} is there and not an empty folder", hint="Name one that is not there yet."
            ) from None
    except OSError as error:
        raise Refused(f"{folder} cannot be made: {error.strerror}") from error


def _put(tree: Path, changed: Sequence[Step], aside: Path, said: Peculiar) -> None:
    failed: list[str] = []
    # What goes comes first, so that a file can take a folder's place and a folder a file's.
    for step in changed:
        if step.new is None:
            _attempt(_remove, tree, step.path, failed)
    failpoint("restore.removed")
    for step in changed:
        if step.new is not None:
            _attempt(lambda tree, path: _place(tree, path, aside / "files" / path), tree, step.path, failed)
    _adorn(tree, said)
    if failed:
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise StorageError(
            f"not put back: {', '.join(map(shown, failed[:5]))}{more}: something else is in the way",
            hint="Take the snapshot into a folder of its own: orchctl restore TASK --into DIR",
        )


def _attempt(act: object, tree: Path, path: str, failed: list[str]) -> None:
    try:
        act(tree, path)  # type: ignore[operator]
    except OSError:
        failed.append(path)


def _remove(tree: Path, path: str) -> None:
    """
    Remove the file or link *path* in *tree*, and the folders that are empty without it.
    """
    names = path.split("/")
    try:
        here = _enter(tree, names[:-1], make=False)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        with suppress(FileNotFoundError):
            os.unlink(names[-1], dir_fd=here)
    finally:
        os.close(here)
    for folder in above(path):
        parent, _, name = folder.rpartition("/")
        here = _enter(tree, parent.split("/") if parent else [], make=False)
        try:
            os.rmdir(name, dir_fd=here)
        except OSError:
            return
        finally:
            os.close(here)


def _place(tree: Path, path: str, source: Path) -> None:
    """
    Move *source* to *path* in *tree*.
    """
    names = path.split("/")
    here = _enter(tree, names[:-1], make=True)
    try:
        try:
            os.rename(source, names[-1], dst_dir_fd=here)
        except IsADirectoryError:
            # An empty folder is no work.
            os.rmdir(names[-1], dir_fd=here)
            os.rename(source, names[-1], dst_dir_fd=here)
    finally:
        os.close(here)


def _enter(tree: Path, names: Iterable[str], *, make: bool) -> int:
    """
    The folder that *names* lead to from *tree*, open; through no link.
    """
    here = os.open(tree, FOLDER)
    for name in names:
        try:
            here = step_into(here, name, make=make)
        except BaseException:
            os.close(here)
            raise
    return here


def _adorn(tree: Path, said: Peculiar) -> None:
    """
    Make the empty folders, and set the modes, that the snapshot tells of.
    """
    for path in said.empty:
        with suppress(OSError):
            os.close(_enter(tree, path.split("/"), make=True))
    for path, mode in said.modes.items():
        names = path.split("/")
        with suppress(OSError):
            here = _enter(tree, names[:-1], make=False)
            try:
                # Without a wait at a FIFO, and never through a link.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                there = os.open(names[-1], flags, dir_fd=here)
                try:
                    if stat.S_ISREG(os.fstat(there).st_mode):
                        os.fchmod(there, mode & 0o777)
                finally:
                    os.close(there)
            finally:
                os.close(here)
