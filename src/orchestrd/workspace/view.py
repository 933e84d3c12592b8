"""
What an agent in a sandbox is shown of our repository: the project's history, and the commit that its tree was made from.

Our repository holds the work and the snapshots of all tasks, and a snapshot has what git ignores: an ``.env``, say.  So another
repository stands in its place inside, a *view* that is the tree's own.  It borrows the project's history from one that all
views share.  Both lie beside our repository and hold copies only: what is missing of them is made anew, and nothing is lost
with them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrd.errors import GitTooSlow, StorageError
from orchestrd.logs import get_logger
from orchestrd.storage.shortage import is_shortage
from orchestrd.workspace import entries
from orchestrd.workspace.founding import found, put
from orchestrd.workspace.git import MARK, Git
from orchestrd.workspace.repository import Repository

log = get_logger(__name__)
HISTORY = "history.git"
HEADS = "refs/orchestrd/heads"
BASE = "refs/orchestrd/base"
FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--no-auto-gc")


class View(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is shown for one tree: *folder* stands in the *place* of our repository, with the tree's *entry* where that lies in it;
    *history* is where it is.
    """

    place: Path
    folder: Path
    entry: Path
    history: Path

    @property
    def mounts(self) -> tuple[tuple[str, str], ...]:
        """
        What is shown, and where, an outer folder before what lies in it.
        """
        pairs = ((self.history, self.history), (self.folder, self.place), (self.entry, self.entry))
        return tuple((str(source), str(place)) for source, place in pairs)


async def show(repo: Repository, tree: Path) -> View | None:
    """
    Have the view of the worktree *tree* of *repo* as it should be; None when it is none that was made.

    Raises StorageError, OSError.
    """
    entry = await anyio.to_thread.run_sync(entries.entry_of, repo.path, tree)
    base = await anyio.to_thread.run_sync(entries.base_of, entry)
    if entry is None or base is None:
        return None
    view = View(place=repo.path, folder=entries.view_of(entry), entry=entry, history=repo.path.with_name(HISTORY))
    # Of what is damaged copies can be had: first of the view, and then of the history, which any view may miss something of.
    for damaged in ((view.folder,), (view.folder, view.history)):
        try:
            await _fill(repo, view, base)
        except (StorageError, OSError) as error:
            if is_shortage(error) or isinstance(error, GitTooSlow):
                raise
            log.warning("git.view_made_anew", view=view.folder.name, error=str(error))
            async with repo.alone():
                await anyio.to_thread.run_sync(_clear, damaged)
        else:
            return view
    await _fill(repo, view, base)
    return view


async def _fill(repo: Repository, view: View, base: str) -> None:
    async with repo.alone():  # several tasks are made ready at once
        await anyio.to_thread.run_sync(_have, view.history, repo.project.object_format)
        await _bring_history(repo, view.history, base)
    await anyio.to_thread.run_sync(_have_view, repo, view, base)
    if await anyio.to_thread.run_sync(_names, view.folder, BASE, base):
        await Git.ours(view.folder).run("cat-file", "-e", f"{base}^{{tree}}")
    else:
        await _fetch(repo, view.folder, base, BASE)


async def _bring_history(repo: Repository, history: Path, base: str) -> None:
    """
    Have in *history* what *base* was made on.
    """
    asked = await repo.git.run("rev-parse", "--verify", "--quiet", f"{base}^1", expect=(0, 1, 128))
    # Of a project without a commit there is no history.
    if asked.code == 0 and not await anyio.to_thread.run_sync(_names, history, f"{HEADS}/{asked.line}", asked.line):
        await _fetch(repo, history, asked.line, f"{HEADS}/{asked.line}")


async def _fetch(repo: Repository, into: Path, commit: str, ref: str) -> None:
    # What a daemon that was killed leaves at work is ended with what it left in our repository.
    env = {MARK: str(repo.path)}
    words = (*FETCH, "--no-recurse-submodules", "--", str(repo.path), f"+{commit}:{ref}")
    await Git.ours(into).run(*words, env=env)


def _names(repository: Path, ref: str, commit: str) -> bool:
    """
    True when *ref* names *commit* there, and so all of it is: the ref is written last.
    """
    try:
        return (repository / ref).read_text("ascii").strip() == commit
    except (FileNotFoundError, NotADirectoryError):
        return False


def _have(path: Path, object_format: str) -> None:
    if not (path / "objects").is_dir():
        found(path, object_format)
    for stray in (*path.glob("*.lock"), *(path / "refs").rglob("*.lock")):
        stray.unlink()  # of a git that was killed


def _have_view(repo: Repository, view: View, base: str) -> None:
    """
    Have the *view*'s repository, without what was shown of another *base*.
    """
    if (view.folder / "objects").is_dir() and not _names(view.folder, BASE, base):
        shutil.rmtree(view.folder)
    _have(view.folder, repo.project.object_format)
    # Relative: the same inside, where the view stands in the place of our repository, and wherever the home is moved to.
    put(view.folder / "objects" / "info" / "alternates", f"../../{HISTORY}/objects\n")
    # Where the tree's own entry is shown.
    (view.folder / "worktrees" / view.entry.name).mkdir(mode=0o700, parents=True, exist_ok=True)
    excludes = repo.path / "info" / "exclude"
    if excludes.is_file():
        put(view.folder / "info" / "exclude", excludes.read_text("utf-8", "surrogateescape"))


def _clear(damaged: Sequence[Path]) -> None:
    for path in damaged:
        shutil.rmtree(path, ignore_errors=True)
