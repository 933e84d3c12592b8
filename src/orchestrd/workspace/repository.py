"""
The daemon's own bare repository for one project: the project's history, and snapshots.

It lies under the home as ``var/git/NAME.git``.  Objects are *copied* from the project by a local fetch, not borrowed, so
the person's ``git gc`` takes nothing away from a snapshot.  A snapshot is a commit of a tree as it lies on disk, byte for
byte: ``info/attributes`` switches every conversion off (line ends, filters, keywords, encodings), whatever the project's
``.gitattributes`` say, so that what comes out of a worktree or of ``apply`` is what went in.

Per tree there is one index file with git's stat cache, so only changed files are read again.  Each snapshot works on a
copy of it and puts the copy in its place at the end: a crash leaves a stray file and no lock.

One ``Repository`` per path in one process; the home lock says that no other process has one.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from orchestrd.errors import GitTooSlow, NotFound, StorageError, Unsettled
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.workspace import transaction
from orchestrd.workspace.disk import sync
from orchestrd.workspace.entries import real, settle
from orchestrd.workspace.founding import prepare, put
from orchestrd.workspace.git import Git, Output
from orchestrd.workspace.index import forget, write_tree
from orchestrd.workspace.listing import Listing, of_project, of_tree
from orchestrd.workspace.merge import MergeConflict, Work, commit_tree, merged
from orchestrd.workspace.project import Project

ATTEMPTS = 3
BUSY_SECONDS = 5.0
"""How long an apply by somebody else is waited for."""
log = get_logger(__name__)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """
    A tree as it lay on disk: the *commit* that keeps it and the id of its tree.  *left_out* are the paths of what in it
    cannot be kept (closed to us, or too deep) or was too large, *passed_over* those of what is ignored and was too large; a folder's
    with a ``/`` at its end.
    """

    commit: str
    tree_id: str
    left_out: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """
    All of a tree as it lay on disk, what is ignored with it, as a git tree that no commit keeps yet.
    """

    tree_id: str
    listing: Listing


def ref_name(*parts: str) -> str:
    """
    The ref ``refs/orchestrd/PART/…``; everything git might not like in a part (dots among it) is percent-encoded.
    """
    return "/".join(("refs/orchestrd", *(re.sub(r"[^A-Za-z0-9_-]", _escaped, part) or "%" for part in parts)))


def _left_out(listing: Listing) -> tuple[str, ...]:
    return tuple(map(os.fsdecode, (*listing.beyond, *listing.left_out)))


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))


class Repository:
    """
    Our repository for one project; made by ``open``.  *landing* is held while files of the project change.  Of an agent's
    tree no file of more than *max_file* bytes is kept, 0 for no limit.
    """

    def __init__(self, *, path: Path, project: Project, keep_out: Sequence[Path]) -> None:
        self.path = path
        self.project = project
        self.max_file = 0
        self.given_up: frozenset[str] = frozenset()
        """Commits that a person gave up, when an earlier one of it was lost."""
        top = project.path
        self.keep_out = tuple(folder for folder in keep_out if folder.is_relative_to(top) and folder != top)
        self.git = Git.ours(path)
        self.landing = anyio.Lock()
        self._lock = anyio.Lock()
        self._names = itertools.count()
        self._brought: str | None = None
        """The commit of the project that was fetched last, with its history."""

    @classmethod
    async def open(cls, path: Path, project: Path, *, keep_out: Sequence[Path] = ()) -> Repository:
        """
        The repository at *path* for the git work tree at *project*, made if it is missing, set right if it is not.

        *keep_out*: folders that are no part of the project though they may lie in it (the home's ``var``).
        Raises ConfigError when *project* is not the top of a git work tree, or git is missing or too old.
        """
        path, *barred = [await anyio.to_thread.run_sync(real, place) for place in (path, path, *keep_out)]
        repository = cls(path=path, project=await Project.open(project), keep_out=barred)
        await prepare(repository.git, path, repository.project.object_format, project=repository.project.path)
        return repository

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """
        Held where git cannot be run twice at once; what a git leaves that is ended in it, or fails, is in nobody's way.
        """
        async with self._lock:
            try:
                yield
            except BaseException:
                with anyio.CancelScope(shield=True), suppress(OSError):
                    await anyio.to_thread.run_sync(settle, self.path)
                raise

    async def snapshot(
        self, tree: Path, *, parents: Sequence[str] = (), message: str, ref: str | None = None
    ) -> Snapshot:
        """
        Record *tree* (the project or an agent's worktree) as a commit and name it *ref*.

        The first of *parents* says which files of an agent's tree are tracked: they count even when ignored.
        """
        taken = await self._taken(tree, parents[0] if parents else None)
        kept = await self._kept(taken.tree_id, parents, message, ref)
        return msgspec.structs.replace(kept, left_out=_left_out(taken.listing))

    async def keep(self, snapshot: Snapshot, ref: str) -> None:
        """
        Name the *snapshot* *ref*, in the place of what bore that name.
        """
        await self.git.run("update-ref", ref, snapshot.commit)
        await anyio.to_thread.run_sync(self._sync_names, ref)

    async def base(self, *, message: str, ref: str | None = None, merge: Sequence[Work] = ()) -> Snapshot:
        """
        Record what an agent starts from: the project as it lies on disk now, uncommitted work included, on top of its
        HEAD (if it has one), with the works of *merge* merged in, in order.

        Raises MergeConflict; work that is in the project already is none.
        """
        head = await self._bring_head()
        await self._repeat_excludes()
        tree_id, conflicts = await merged(self.git, await self.tree_of(self.project.path), merge)
        if conflicts:
            raise MergeConflict(conflicts)
        return await self._kept(tree_id, (head,) if head else (), message, ref)

    async def tree_of(self, tree: Path, *, parent: str | None = None) -> str:
        """
        The id of the git tree that holds *tree* as it lies on disk; see ``snapshot``.

        Never of a project that an apply left half-way: that is taken back before.  Raises StorageError when it cannot be.
        """
        return (await self._taken(tree, parent)).tree_id

    async def whole(self, tree: Path, *, parent: str | None = None, max_file: int) -> Whole:
        """
        All of *tree*, what is ignored with it, but for files of more than *max_file* bytes (0: for none); see `workspace.ignored`.

        Raises as ``tree_of`` does.
        """
        return await self._taken(tree, parent, max_file)

    async def keep_whole(
        self, taken: Whole, *, parents: Sequence[str], message: str, name: Callable[[str], str]
    ) -> Snapshot:
        """
        Have what was *taken* as a commit with the ref that *name* gives for it, on disk.
        """
        kept = await self._kept(taken.tree_id, parents, message, None)
        failpoint("snapshot.taken.before_name")
        await self.keep(kept, name(kept.commit))
        passed_over = tuple(map(os.fsdecode, taken.listing.passed_over))
        return msgspec.structs.replace(kept, left_out=_left_out(taken.listing), passed_over=passed_over)

    async def _taken(self, tree: Path, parent: str | None, whole: int | None = None) -> Whole:
        """
        As ``tree_of``, or as ``whole`` with that size.
        """
        tree = await anyio.to_thread.run_sync(real, tree)
        if tree != self.project.path:
            return await self._tree_of(tree, parent, whole)
        async with self.landing:
            found = await self._recover()
            if found.stuck:
                raise Unsettled(f"an apply was cut off and cannot be taken back: {'; '.join(found.stuck)}")
            return await self._tree_of(tree, parent, whole)

    async def recover(self) -> transaction.Recovered:
        """
        Put back what an apply left half-done in the project, and log what came of it.

        Raises Unsettled while another program applies work to the project.
        """
        async with self.landing:
            return await self._recover()

    async def _recover(self) -> transaction.Recovered:
        end = anyio.current_time() + BUSY_SECONDS
        while (found := await anyio.to_thread.run_sync(transaction.recover, self.project.path)).busy:
            # By another home's daemon; or somebody has only looked at it.
            if anyio.current_time() > end:
                raise Unsettled("work is being applied to the project at this moment", hint="Try again.")
            await anyio.sleep(BUSY_SECONDS / 50)
        if found.undone:
            log.warning("apply.taken_back", count=found.undone, project=str(self.project.path))
        for path in found.kept:
            log.warning("apply.kept_aside", file=str(self.project.path / path), hint="its place was taken meanwhile")
        for why in found.stuck:
            log.error("apply.stuck", error=why)
        return found

    async def _tree_of(self, tree: Path, parent: str | None, whole: int | None) -> Whole:
        index = self.index_of(tree) if whole is None else self.whole_index_of(tree)
        for attempt in itertools.count(1):
            temporary = self._temporary()
            try:
                listing = await self._listing(tree, parent, temporary, whole)
                cached = None if attempt > 1 else await anyio.to_thread.run_sync(self._newest_index, tree, index)
                # The person's own permissions are theirs.
                opens = tree != self.project.path
                written = await write_tree(self.git, tree, listing, temporary, cached, opens=opens)
                listing = msgspec.structs.replace(listing, beyond=(*listing.beyond, *written.closed))
                await anyio.to_thread.run_sync(temporary.replace, index)
            except StorageError as error:
                # A file went while it was being read, or the cached index is damaged: look again, without the cache.
                if attempt == ATTEMPTS or isinstance(error, GitTooSlow):
                    raise
            else:
                return Whole(tree_id=written.tree_id, listing=listing)
            finally:
                await anyio.to_thread.run_sync(forget, temporary)
        raise AssertionError

    async def resolve(self, name: str) -> str:
        """
        The commit id that *name* (an id or a ref of ours) stands for.  Raises NotFound.
        """
        output = await self._verified(name)
        if output.code:
            raise NotFound(f"no such snapshot: {name}")
        return output.line

    async def refs(self, prefix: str) -> list[str]:
        """
        The names of our refs beneath or equal to *prefix*, sorted.
        """
        output = await self.git.run("for-each-ref", "--format=%(refname)", prefix)
        return output.out.decode().split()

    def index_of(self, tree: Path) -> Path:
        """
        Where the stat cache of *tree*, a path without symbolic links, lies.
        """
        return self.path / "orchestrd-index" / hashlib.sha256(os.fsencode(tree)).hexdigest()[:24]

    def whole_index_of(self, tree: Path) -> Path:
        """
        Where that of all of *tree* lies.
        """
        return self.index_of(tree).with_suffix(".whole")

    def forget_indexes(self, tree: Path) -> None:
        """
        Remove the stat caches of a *tree* that is gone; blocks.
        """
        for index in (self.index_of(tree), self.whole_index_of(tree)):
            index.unlink(missing_ok=True)

    def _newest_index(self, tree: Path, index: Path) -> Path:
        """
        *index*, or, before there is one, that of the *tree*'s work: most files are in both.
        """
        return index if index.exists() else self.index_of(tree)

    def _temporary(self) -> Path:
        return self.path / "orchestrd-index" / f"new-{os.getpid()}-{next(self._names)}"

    async def _listing(self, tree: Path, parent: str | None, scratch: Path, whole: int | None) -> Listing:
        if tree != self.project.path:
            most = self.max_file if whole is None else whole
            return await of_tree(self.git, tree, parent, scratch, max_file=most, whole=whole is not None)
        listing = await of_project(self.project.git, tree, self.keep_out, whole=whole is not None)
        blobs = {entry.oid for entry, _ in listing.fixed if entry.mode != "160000"}
        if not blobs:
            return listing
        # Files outside a sparse checkout come from the index; what was staged and never committed is not here.
        known = await self.git.run("cat-file", "--batch-check", stdin="\n".join(sorted(blobs)).encode())
        absent = {line.split()[0].decode() for line in known.out.splitlines() if line.endswith(b" missing")}
        there = tuple(pair for pair in listing.fixed if pair[0].oid not in absent)
        return msgspec.structs.replace(listing, fixed=there)

    async def _kept(self, tree_id: str, parents: Sequence[str], message: str, ref: str | None) -> Snapshot:
        commit = await commit_tree(self.git, tree_id, parents=parents, message=message)
        snapshot = Snapshot(commit=commit, tree_id=tree_id)
        if ref is not None:
            await self.keep(snapshot, ref)
        return snapshot

    def _sync_names(self, ref: str) -> None:
        """
        Have the names of new objects and of *ref* on disk: git syncs what is in files, not the folders in which they appear.
        """
        objects = self.path / "objects"
        try:
            for folder in (*objects.iterdir(), objects, *(self.path / ref).parents):
                with suppress(FileNotFoundError):
                    sync(folder)
                if folder == self.path:
                    break
        except OSError as error:
            raise StorageError(f"{self.path}: what was kept cannot be synced: {error.strerror}") from error

    async def holds(self, commit: str) -> bool:
        """
        True while the *commit* is here.
        """
        return (await self._verified(commit)).code == 0

    async def _verified(self, name: str) -> Output:
        return await self.git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", expect=(0, 1, 128)
        )

    async def _bring_head(self) -> str | None:
        """
        Fetch the project's HEAD commit with its history; its id, or None while nothing was committed.

        A partial clone does not have the contents of its history: of such a project HEAD comes alone.
        """
        depth: tuple[str, ...] = ()
        for attempt in itertools.count(1):
            head = await self.project.head()
            if head is None or (head == self._brought and await self.holds(head)):
                return head
            words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--no-auto-gc")
            try:
                async with self.alone():
                    await self.git.run(*words, *depth, "--no-recurse-submodules", "--", str(self.project.common), head)
            except StorageError:
                if not depth and await self.project.is_partial():
                    depth = ("--depth=1",)
                    continue
                # The person amended and collected garbage in between, or git was interrupted: ask for HEAD again.
                if attempt == ATTEMPTS:
                    raise
            else:
                self._brought = head
                return head
        raise AssertionError

    async def _repeat_excludes(self) -> None:
        """
        Copy the person's ignore rules from outside the tree, so that agents' trees follow them too.
        """
        rules = await self.project.excludes()
        async with self.alone():  # several tasks are made ready at once
            await anyio.to_thread.run_sync(put, self.path / "info" / "exclude", rules)
