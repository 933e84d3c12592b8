"""
What an agent in a sandbox is shown of our repository: the project's history, with the branches and tags that lie in it, and the
commit that its tree was made from.

Our repository holds the work and the snapshots of all tasks, and a snapshot has what git ignores: an ``.env``, say.  So another
repository stands in its place inside, a *view* that is the tree's own.  It borrows the project's history from one that views
share, as long as that history only grows: what a person took out of it by rewriting is not shown to agents that begin later.  All of
them lie beside our repository and hold copies only: what is missing of them is made anew, and nothing is lost with them.
"""

from __future__ import annotations

import shutil
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
HISTORY = "history-"
"""What the folders begin with that hold the project's history; then comes the commit that the first view of it stood on."""
HEAD = "refs/orchestrd/head"
BASE = "refs/orchestrd/base"
ALTERNATES = "objects/info/alternates"
NAMES = "packed-refs"
ATTEMPTS = 3
FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--no-auto-gc")


class View(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is shown for one tree: *folder* stands in the *place* of our repository, with the tree's *entry* where that lies in it;
    *history* is where it is, None for a project in which nothing was committed.
    """

    place: Path
    folder: Path
    entry: Path
    history: Path | None

    @property
    def mounts(self) -> tuple[tuple[str, str], ...]:
        """
        What is shown, and where, an outer folder before what lies in it.
        """
        shared = ((self.history, self.history),) if self.history is not None else ()
        pairs = (*shared, (self.folder, self.place), (self.entry, self.entry))
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
    for attempt in range(ATTEMPTS):
        try:
            return await _shown(repo, entry, base)
        except (StorageError, OSError) as error:
            if is_shortage(error) or isinstance(error, GitTooSlow) or attempt == ATTEMPTS - 1:
                raise
            # Copies of what is damaged can be had: of the view, and then of the history that it borrows.
            log.warning("git.view_made_anew", view=entries.view_of(entry).name, error=str(error))
            async with repo.alone():
                await anyio.to_thread.run_sync(_clear, entries.view_of(entry), attempt > 0)
    raise AssertionError


async def _shown(repo: Repository, entry: Path, base: str) -> View:
    folder = entries.view_of(entry)
    if await anyio.to_thread.run_sync(_names, folder, BASE, base):
        history = await anyio.to_thread.run_sync(_there, folder)
        await Git.ours(folder).run("cat-file", "-e", f"{base}^{{tree}}")
    else:
        async with repo.alone():  # several tasks are made ready at once
            history = await _history(repo, base)
        await anyio.to_thread.run_sync(_make, repo, entry, history)
        await _fetch(repo, folder, base, BASE)
    if not await anyio.to_thread.run_sync((folder / NAMES).exists):
        # Afterwards: git would not fetch what it finds named, nor learn where a shallow history ends.
        await _name(repo, folder, base)
    await anyio.to_thread.run_sync(_repeat_excludes, repo, folder)
    return View(place=repo.path, folder=folder, entry=entry, history=history)


async def _made_on(repo: Repository, base: str) -> str | None:
    """
    The project's commit that *base* was made on; None in a project in which nothing was committed.
    """
    asked = await repo.git.run("rev-parse", "--verify", "--quiet", f"{base}^1", expect=(0, 1, 128))
    return None if asked.code else asked.line


async def _history(repo: Repository, base: str) -> Path | None:
    """
    Where the history lies that *base* was made on: one that there is, when it has only grown since, else one of its own.
    """
    head = await _made_on(repo, base)
    if head is None:
        return None
    for path, newest in await anyio.to_thread.run_sync(_histories, repo.path.parent):
        if newest == head or await _leads_to(repo, head, newest):
            return path
        if await _leads_to(repo, newest, head):
            try:
                await _fetch(repo, path, head, HEAD)
            except StorageError as error:
                if is_shortage(error) or isinstance(error, GitTooSlow):
                    raise
                log.warning("git.history_made_anew", history=path.name, error=error.message)
                await anyio.to_thread.run_sync(shutil.rmtree, path)
                break
            return path
    path = repo.path.with_name(f"{HISTORY}{head[:12]}.git")
    await anyio.to_thread.run_sync(_begin_history, path, repo.project.object_format)
    await _fetch(repo, path, head, HEAD)
    return path


async def _name(repo: Repository, folder: Path, base: str) -> None:
    """
    Name in the view what the project names in the history that *base* was made on, as far as that is there: ``main`` is asked for,
    and the last tag.
    """
    head = await _made_on(repo, base)
    names = [] if head is None else await repo.project.names_in(head)
    wanted = "".join(f"{commit}\n" for commit, _ in names).encode()
    checked = await Git.ours(folder).run("cat-file", "--batch-check=%(objecttype)", stdin=wanted)
    kinds = checked.out.decode().splitlines()
    lines = [f"{commit} {ref}\n" for (commit, ref), kind in zip(names, kinds, strict=True) if kind == "commit"]
    await anyio.to_thread.run_sync(put, folder / NAMES, "".join(lines))


async def _leads_to(repo: Repository, earlier: str, later: str) -> bool:
    return (await repo.git.run("merge-base", "--is-ancestor", earlier, later, expect=(0, 1, 128))).code == 0


async def _fetch(repo: Repository, into: Path, commit: str, ref: str) -> None:
    await anyio.to_thread.run_sync(_unlock, into)
    # What a daemon that was killed leaves at work is ended with what it left in our repository.
    env = {MARK: str(repo.path)}
    words = (*FETCH, "--no-recurse-submodules", "--", str(repo.path), f"+{commit}:{ref}")
    await Git.ours(into).run(*words, env=env)


def _unlock(repository: Path) -> None:
    """
    Clear away what a git that was killed left.
    """
    for stray in (*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock")):
        stray.unlink()


def _names(repository: Path, ref: str, commit: str) -> bool:
    """
    True when *ref* names *commit* there, and so all of it is: the ref is written last.
    """
    return _text(repository / ref) == commit


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _histories(folder: Path) -> list[tuple[Path, str]]:
    """
    Every history with the newest commit of it.
    """
    found = ((path, _text(path / HEAD)) for path in sorted(folder.glob(f"{HISTORY}*.git")))
    return [(path, newest) for path, newest in found if newest]


def _begin_history(path: Path, object_format: str) -> None:
    """
    Make room for a new history, and remove those that no view borrows.
    """
    borrowed = {_borrowed(view) for view in path.parent.glob(f"{entries.VIEW}*.git")}
    for other in path.parent.glob(f"{HISTORY}*.git"):
        if other not in borrowed or other == path:
            shutil.rmtree(other)
    found(path, object_format)


def _borrowed(view: Path) -> Path | None:
    """
    The history that the *view* borrows, wherever the home is by now.
    """
    said = _text(view / ALTERNATES)
    return view.with_name(Path(said).parts[-2]) if said else None


def _there(view: Path) -> Path | None:
    """
    As `_borrowed`.  Raises StorageError when it is gone.
    """
    history = _borrowed(view)
    if history is not None and not (history / "objects").is_dir():
        raise StorageError(f"{history} is gone")
    return history


def _make(repo: Repository, entry: Path, history: Path | None) -> None:
    """
    Begin the view of the tree of *entry*, without anything that was shown there before.
    """
    folder = entries.view_of(entry)
    if folder.exists():
        shutil.rmtree(folder)
    found(folder, repo.project.object_format)
    if history is not None:
        # Relative: the same inside, where the view stands in the place of our repository, and wherever the home is moved to.
        put(folder / ALTERNATES, f"../../{history.name}/objects\n")
    # Where the tree's own entry is shown.
    (folder / "worktrees" / entry.name).mkdir(mode=0o700, parents=True)


def _repeat_excludes(repo: Repository, folder: Path) -> None:
    put(folder / "info" / "exclude", _text(repo.path / "info" / "exclude") + "\n")


def _clear(view: Path, borrowed: bool) -> None:  # noqa: FBT001 - handed to a thread
    history = _borrowed(view)
    shutil.rmtree(view, ignore_errors=True)
    if borrowed and history is not None:
        shutil.rmtree(history, ignore_errors=True)
