"""
Which files of a tree a snapshot holds.

A snapshot holds what the tree's owner tracks and what is neither tracked nor ignored.  In the project, the person's own
index says what is tracked and their own configuration (``.gitignore``, ``.git/info/exclude``, the global excludes file)
what is ignored.  In an agent's tree, the files of the commit it started from are tracked, and the ignore rules are the
tree's ``.gitignore`` files and our repository's ``info/exclude``, which repeats the person's other two.

Repositories inside the project are not part of it.  A repository that an agent makes inside its own tree is (many
project generators run ``git init``), without its ``.git``: otherwise the agent's work would be lost without a word.

git passes over what it cannot open, and says so to nobody who listens.  So an agent's tree is walked through before: what is closed
is opened to us, who own it, and what cannot be kept at all is named.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrd.errors import StorageError
from orchestrd.workspace.descent import UNREAD, walked
from orchestrd.workspace.git import Git
from orchestrd.workspace.ignored import Ignored, ignored
from orchestrd.workspace.trees import GITLINK, Entry, above, entries

STAGING, KEPT = b".orchestrd-apply-", b".orchestrd-kept-"
"""
How the names of ``apply``'s own folders begin; they are never part of a snapshot.
"""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """
    The content of a snapshot: *files* to be read from disk, and entries *fixed* by what git already knows (submodules,
    files left out of a sparse checkout).  *left_out* are those on disk that are too large, *passed_over* what is ignored and is not
    there either; see `workspace.ignored`.  *beyond* is what cannot be kept at all: closed to us, or too deep; a folder's name has a
    ``/`` at its end.  What such a file held before stands.
    """

    files: tuple[bytes, ...]
    fixed: tuple[tuple[Entry, bytes], ...] = ()
    left_out: tuple[bytes, ...] = ()
    passed_over: tuple[bytes, ...] = ()
    beyond: tuple[bytes, ...] = ()


async def of_project(asked: Git, tree: Path, keep_out: Sequence[Path], *, whole: bool = False) -> Listing:
    """
    The listing of the person's work tree at *tree*, without the folders *keep_out*; *whole*: with what is ignored.
    """
    staged = await asked.run("ls-files", "-z", "--cached", "--stage", "-t")
    loose = await asked.run("ls-files", "-z", "--others", "--exclude-standard")
    tracked: set[bytes] = set()
    links: dict[bytes, Entry] = {}
    sparse: dict[bytes, Entry] = {}
    for record in staged.records:
        head, _, path = record.partition(b"\t")
        tag, mode, oid, stage = head.decode("ascii").split(" ")
        if mode == GITLINK:
            # Of a conflicted submodule, "ours".
            if stage in {"0", "2"}:
                links[path] = Entry(mode, oid)
        else:
            tracked.add(path)
            if tag == "S":
                sparse[path] = Entry(mode, oid)
    barred = tuple(os.fsencode(folder.relative_to(tree)) + b"/" for folder in keep_out)
    more = await ignored(asked, tree, scratch=None) if whole else Ignored()
    # A trailing slash marks a repository inside the project.
    wanted = tracked.union(links, more.files, (path for path in loose.records if not path.endswith(b"/")))
    files = await anyio.to_thread.run_sync(
        _present, os.fsencode(tree), [path for path in sorted(wanted) if not path.startswith(barred)]
    )
    there = set(files)
    fixed = [(entry, path) for path, entry in sorted({**sparse, **links}.items()) if path not in there]
    return Listing(files=tuple(files), fixed=tuple(fixed), passed_over=more.left_out)


async def of_tree(
    ours: Git, tree: Path, parent: str | None, scratch: Path, *, max_file: int = 0, whole: bool = False
) -> Listing:
    """
    The listing of an agent's *tree* that started from the commit *parent*; *scratch* is a name where no file is.  Files of
    more than *max_file* bytes are left out, 0 for no limit: of one that was there before, what it held then stands.  *whole*: with
    what is ignored.
    """
    beyond = await anyio.to_thread.run_sync(_beyond, tree)
    before = await entries(ours, parent) if parent is not None else {}
    tracked = [path for path, entry in before.items() if entry.mode != GITLINK]
    links = {path: entry for path, entry in before.items() if entry.mode == GITLINK}
    loose: list[bytes] = []
    passed_over: list[bytes] = []
    folders = [b""]
    while folders:
        inside = folders.pop()
        place = tree / os.fsdecode(inside)
        # An empty index: everything not ignored is listed, tracked or not.
        env = {"GIT_WORK_TREE": str(place), "GIT_INDEX_FILE": str(scratch)}
        found = await ours.run("ls-files", "-z", "--others", "--exclude-standard", cwd=place, env=env)
        for path in found.records:
            (folders if path.endswith(b"/") else loose).append(inside + path)
        more = await ignored(ours, place, scratch=scratch) if whole else Ignored()
        loose += (inside + path for path in more.files)
        passed_over += (inside + path for path in more.left_out)
    wanted = sorted(path for path in {*tracked, *loose, *links} if not lies_in(path, beyond))
    files = await anyio.to_thread.run_sync(_present, os.fsencode(tree), wanted)
    filled = {os.fsencode(folder) for path in files for folder in above(os.fsdecode(path))} if links else set()
    gone = filled.union(files)
    fixed = [(entry, path) for path, entry in links.items() if path not in gone]
    large = await _grown(ours, tree, files, before, max_file) if max_file else set()
    stand = sorted(path for path in tracked if path in large or lies_in(path, beyond))
    return Listing(
        files=tuple(path for path in files if path not in large),
        fixed=(*fixed, *((before[path], path) for path in stand)),
        left_out=tuple(sorted(large)),
        passed_over=tuple(path for path in passed_over if path not in before and path not in beyond),
        beyond=tuple(sorted(beyond)),
    )


def lies_in(path: bytes, places: Collection[bytes]) -> bool:
    """
    True when *path* is one of *places*, or lies in a folder that is one; with a ``/`` at its end.
    """
    if not places or path in places:
        return bool(places)
    end = path.find(b"/")
    while end >= 0:
        if path[: end + 1] in places:
            return True
        end = path.find(b"/", end + 1)
    return False


def uncounted(tree: Path, listing: Listing) -> tuple[bytes, ...]:
    """
    The first thing that lies in *tree* and of which the *listing* of it, with what is ignored, says nothing, if there is one.  Blocks.

    Raises StorageError.
    """
    told = {*listing.files, *listing.left_out, *listing.passed_over}
    past = frozenset(path for path in listing.passed_over if path.endswith(b"/"))
    for path, kind in _walked(tree, past):
        if kind in {*UNREAD, "file", "link"} and path not in told and not path.startswith((STAGING, KEPT)):
            return (path,)
    return ()


def _beyond(tree: Path) -> frozenset[bytes]:
    return frozenset(path for path, kind in _walked(tree) if kind in UNREAD)


def _walked(tree: Path, past: frozenset[bytes] = frozenset()) -> Iterator[tuple[bytes, str]]:
    """
    As `walked`, with what is ours opened.
    """
    try:
        yield from walked(tree, opens=True, past=past)
    except OSError as error:
        raise StorageError(f"{tree} cannot be looked through: {error.strerror}") from error


async def _grown(
    ours: Git, tree: Path, files: Sequence[bytes], before: Mapping[bytes, Entry], max_file: int
) -> set[bytes]:
    """
    Of *files*, those of more than *max_file* bytes whose size is not what it was *before*: what was kept once is kept again.
    """
    sizes = await anyio.to_thread.run_sync(_sizes, os.fsencode(tree), files)
    large = {path: size for path, size in sizes.items() if size > max_file}
    known = [path for path in large if path in before and before[path].mode != GITLINK]
    asked = "\n".join(before[path].oid for path in known).encode()
    told = (await ours.run("cat-file", "--batch-check=%(objectsize)", stdin=asked)).out.splitlines() if known else []
    # One that is lost has no size: "ID missing".
    same = {path for path, size in zip(known, told, strict=True) if size == str(large[path]).encode()}
    return set(large).difference(same)


def _sizes(tree: bytes, paths: Iterable[bytes]) -> dict[bytes, int]:
    found = {}
    for path in paths:
        # One that is gone has no size.
        with suppress(OSError):
            status = os.lstat(tree + b"/" + path)
            if stat.S_ISREG(status.st_mode):
                found[path] = status.st_size
    return found


def _present(tree: bytes, paths: Iterable[bytes]) -> list[bytes]:
    """
    Of *paths*, the ordinary files and symbolic links whose folders are real folders, in order.

    Names that git refuses to store (a ``.git`` in any case) are left out here: one such file would fail the whole.
    """
    real: dict[bytes, bool] = {b"": True}

    def folder(path: bytes) -> bool:
        unknown = []
        while path not in real:
            unknown.append(path)
            path = path.rpartition(b"/")[0]
        known = real[path]
        for inner in reversed(unknown):
            name = inner.rpartition(b"/")[2]
            known = real[inner] = known and name.lower() != b".git" and _is(tree + b"/" + inner, stat.S_ISDIR)
        return known

    kept = []
    for path in paths:
        head, _, name = path.rpartition(b"/")
        if path.startswith((STAGING, KEPT)) or name.lower() == b".git" or not folder(head):
            continue
        if _is(tree + b"/" + path, lambda mode: stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            kept.append(path)
    return kept


def _is(path: bytes, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(os.lstat(path).st_mode)
    except OSError:
        return False
