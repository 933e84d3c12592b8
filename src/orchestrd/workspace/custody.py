"""
Does our repository still hold what the journal says was kept in it?

A start may mend what this program alone writes (settings, refs); it makes no new repository in the place of one that held
something.  Everything but ``open_whole`` blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrd.domain.rows import RunRow, SnapshotsRow
from orchestrd.errors import GitFailed, LostWork
from orchestrd.logs import get_logger
from orchestrd.storage.home import write_atomic
from orchestrd.workspace.disk import sync
from orchestrd.workspace.entries import detached
from orchestrd.workspace.founding import HEAD, refound
from orchestrd.workspace.git import Git
from orchestrd.workspace.repository import Repository, ref_name
from orchestrd.workspace.snapshots import snapshot_ref

log = get_logger(__name__)
SHA1 = 40
"""Digits of an object id; there are more of SHA-256."""
UNUSABLE = 128
"""git's exit status when it cannot use a repository at all."""
GIVEN_UP = "orchestrd.lost"
"""Beside the repository's own files: the commits that a person gave up when it was lost, one a line."""
WAY_OUT = (
    "Put it back from a copy of the home, or give up the work in it: `orchctl doctor --deep --repair` keeps what is left of "
    "it aside and begins a new one."
)


class Custody(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of *wanted*, ref to commit.

    *broken* says why the repository cannot be read, empty when it can, and *founded* that it has its objects; *lost* are the
    commits of which something is missing, by ref; *unnamed* those that are there and that no ref keeps, *dangling* the refs of
    what is not there, worktrees' HEADs among them; *given_up* those that a repair gave up.
    """

    wanted: dict[str, str]
    broken: str = ""
    founded: bool = True
    lost: dict[str, str] = {}
    unnamed: dict[str, str] = {}
    dangling: tuple[str, ...] = ()
    given_up: dict[str, str] = {}

    @property
    def gone(self) -> str:
        """
        Why none of it is there any more; empty when something is, or when nothing was kept.
        """
        if self.wanted and self.broken:
            return self.broken
        return "it is not the one that was used" if self.wanted and len(self.lost) == len(self.wanted) else ""

    @property
    def mendable(self) -> bool:
        """
        True when it cannot be read and may be, once its settings are made anew.
        """
        return bool(self.broken) and self.founded


def held(runs: Iterable[RunRow], snapshots: Iterable[SnapshotsRow] = ()) -> dict[str, str]:
    """
    Ref to commit of everything that the journal says was kept for *runs*: what each began with, and what it made; and of the
    *snapshots* of trees, those that stand for removed ones among them.
    """
    found: dict[str, str] = {}
    for run in runs:
        for kind, commit in (("base", run.base), ("result", run.result)):
            if commit:
                found[ref_name("orchestrd", *run.key.split("/"), kind)] = commit
    for row in snapshots:
        for commit in (*(taken.commit for taken in row.taken), *row.removed):
            found[snapshot_ref(row.task, commit)] = commit
    return found


def examine(path: Path, holds: Mapping[str, str], *, deep: bool = False) -> Custody:
    """
    Hold the repository at *path* against *holds*, ref to commit.  With *deep* every tree and file of them is looked for too.

    Raises StorageError when that cannot be told now: git that is killed or cannot be started says nothing of a repository.
    """
    given_up = _given_up(path)
    parted = {ref: commit for ref, commit in holds.items() if commit in given_up}
    wanted = {ref: commit for ref, commit in holds.items() if commit not in given_up}
    if not wanted:
        return Custody(wanted={}, given_up=parted)
    if not (path / "objects").is_dir():
        why = "it has no objects any more" if path.is_dir() else "it is gone"
        return Custody(wanted=wanted, broken=why, founded=False, given_up=parted)
    git = Git.ours(path)
    try:
        listed = git.ask("for-each-ref", "--format=%(refname) %(objectname)", expect=(0,)).out.decode().splitlines()
        refs = dict(line.split(" ") for line in listed)
        heads = detached(path)
        if any(len(commit) > SHA1 for commit in wanted.values()) and _format(git) == "sha1":
            return Custody(wanted=wanted, broken="its settings do not say that it is SHA-256", given_up=parted)
        there = _commits(git, {*refs.values(), *heads.values(), *wanted.values()})
    except GitFailed as error:
        if error.status != UNUSABLE:
            raise
        return Custody(wanted=wanted, broken=error.message, given_up=parted)
    lost = {ref: commit for ref, commit in wanted.items() if commit not in there}
    left = {ref: commit for ref, commit in wanted.items() if ref not in lost}
    if deep and not _whole(git, left.values()):
        lost |= {ref: commit for ref, commit in left.items() if not _whole(git, [commit])}
    named = set(refs.values())
    unnamed = {ref: commit for ref, commit in left.items() if ref not in lost and commit not in named}
    dangling = tuple(ref for ref, commit in {**refs, **heads}.items() if commit not in there)
    return Custody(wanted=wanted, lost=lost, unnamed=unnamed, dangling=dangling, given_up=parted)


def name(path: Path, unnamed: Mapping[str, str]) -> None:
    """
    Make the refs of *unnamed* anew.  Raises StorageError.
    """
    for ref in unnamed:
        # One that cannot be read is in the way of one that can.
        (path / ref).unlink(missing_ok=True)
    lines = "".join(f"update {ref} {commit}\n" for ref, commit in unnamed.items())
    Git.ours(path).ask("update-ref", "--stdin", stdin=lines.encode(), expect=(0,))


def drop(path: Path, dangling: Sequence[str]) -> None:
    """
    Remove the refs *dangling*; a worktree's HEAD stands for no commit then.  Raises StorageError.
    """
    heads = [ref for ref in dangling if not ref.startswith("refs/")]
    for head in heads:
        write_atomic(path / head, HEAD.encode("ascii"))
    lines = "".join(f"delete {ref}\n" for ref in dangling if ref not in heads)
    Git.ours(path).ask("update-ref", "--stdin", stdin=lines.encode(), expect=(0,))


def give_up(path: Path, custody: Custody, *, aside: Path) -> bool:
    """
    Move the repository at *path* to *aside*, and note in its place that nobody misses what was in it; the next daemon makes a
    new one there.  False when there was none to be moved.
    """
    found = path.exists()
    if found:
        path.rename(aside)
    for folder in (path.parent, path):
        folder.mkdir(mode=0o700, exist_ok=True)
    commits = sorted({*custody.wanted.values(), *custody.given_up.values()})
    (path / GIVEN_UP).write_text("".join(f"{commit}\n" for commit in commits), encoding="ascii")
    (path / GIVEN_UP).chmod(0o600)
    for place in (path / GIVEN_UP, path, path.parent):
        sync(place)
    return found


async def open_whole(
    path: Path, project: Path, holds: Mapping[str, str], *, keep_out: Sequence[Path] = ()
) -> Repository:
    """
    `Repository.open`, for a repository in which *holds*, ref to commit, was kept: refs that are missing are made anew.

    Raises LostWork, and changes nothing, when none of it is there any more; other errors as `Repository.open`.
    """
    found = await anyio.to_thread.run_sync(examine, path, holds)
    if found.gone and not found.mendable:
        raise lost(path, found)
    if found.mendable:
        found = await anyio.to_thread.run_sync(mend, path, found)
    repo = await Repository.open(path, project, keep_out=keep_out)
    repo.given_up = frozenset(found.given_up.values())
    if found.gone:
        raise lost(path, found)
    if found.lost:
        log.error("git.work_lost", commits=len(set(found.lost.values())), hint="orchctl doctor --deep names them")
    if found.dangling:
        # git fetches nothing any more while there is one.  Put back, its commit is named again.
        await anyio.to_thread.run_sync(drop, path, found.dangling)
        log.warning("git.refs_dropped", refs=len(found.dangling))
    if found.unnamed:
        await anyio.to_thread.run_sync(name, path, found.unnamed)
        log.warning("git.refs_made_anew", refs=len(found.unnamed))
    return repo


def lost(path: Path, found: Custody) -> LostWork:
    """
    The error that says so of the repository at *path*.
    """
    return LostWork(
        f"{path}: {found.gone}, and {len(found.wanted)} commits of agents' work were kept in it", hint=WAY_OUT
    )


def mend(path: Path, found: Custody) -> Custody:
    """
    Write the settings of a repository that has its objects and cannot be read for all that; gives what it is like then.
    """
    refound(path, "sha256" if any(len(commit) > SHA1 for commit in found.wanted.values()) else "sha1")
    return examine(path, {**found.wanted, **found.given_up})


def _given_up(path: Path) -> set[str]:
    try:
        return set((path / GIVEN_UP).read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError):
        return set()


def _commits(git: Git, wanted: set[str]) -> set[str]:
    """
    Those of *wanted* that are there.
    """
    names = sorted(wanted)
    told = git.ask(
        "cat-file", "--batch-check=%(objecttype)", stdin="".join(f"{name}\n" for name in names).encode(), expect=(0,)
    )
    return {name for name, kind in zip(names, told.out.splitlines(), strict=True) if kind == b"commit"}


def _format(git: Git) -> str:
    return git.ask("rev-parse", "--show-object-format", expect=(0,)).line


def _whole(git: Git, commits: Iterable[str]) -> bool:
    """
    True when every tree and file of *commits* is there.
    """
    lines = "".join(f"{commit}\n" for commit in commits).encode()
    walk = ("rev-list", "--objects", "--no-walk", "--quiet", "--stdin")
    return not lines or git.ask(*walk, stdin=lines, expect=(0, UNUSABLE)).code == 0
