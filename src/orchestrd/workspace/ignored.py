"""
What a tree holds that git ignores, as far as it cannot simply be made again; and what git cannot say of a tree at all.

Of what is ignored nobody can tell what is precious (``.env.local``, a local database) and what a command brings back
(``node_modules``, ``.venv``, ``target``), so size decides: a file of at most `FILE_BYTES` is kept, and a folder that is ignored as
a whole where it holds at most `FOLDER_FILES` files and `FOLDER_BYTES` bytes.  What is left out is named.

Symbolic links are never followed.  Everything but ``ignored`` blocks.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrd.workspace.git import Git

FILE_BYTES = 10_000_000
FOLDER_FILES = 1000
FOLDER_BYTES = 32_000_000
ALL_FILES = 20_000
"""Files that are kept of what is ignored, all in all; the first by name."""
ALL_BYTES = 256_000_000
PECULIAR = 2000
"""How many empty folders, and how many unusual modes, are noted."""
VISITED = 500_000
"""Entries of a tree that are looked at for those."""
NOTE = "orchestrd-tree: "
"""How the line of a commit's message begins that says what git's trees cannot."""


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """
    Paths below the tree: *files* that are kept, and what is *left_out*, a folder with a ``/`` at its end.
    """

    files: tuple[bytes, ...] = ()
    left_out: tuple[bytes, ...] = ()


class Peculiar(msgspec.Struct, frozen=True, kw_only=True):
    """
    What git does not keep of a tree: its *empty* folders, and the *modes* (permission bits) that are not those that a new file or
    folder gets.  Paths as ``os.fsdecode`` makes them.
    """

    empty: tuple[str, ...] = ()
    modes: dict[str, int] = {}

    @property
    def note(self) -> str:
        """
        As a line of a commit's message; empty when there is nothing to say.
        """
        if not self.empty and not self.modes:
            return ""
        # JSON in ASCII: a name that is no UTF-8 has lone surrogates, which no message could hold otherwise.
        return NOTE + json.dumps({"empty": self.empty, "modes": self.modes}, separators=(",", ":"))


def noted(message: str) -> Peculiar:
    """
    What the commit *message* says of its tree; nothing when it says nothing legible.
    """
    for line in message.splitlines():
        if line.startswith(NOTE):
            try:
                said = json.loads(line.removeprefix(NOTE))
                return Peculiar(
                    empty=tuple(map(str, said["empty"])), modes={str(k): int(v) for k, v in said["modes"].items()}
                )
            except (ValueError, KeyError, TypeError, AttributeError):
                return Peculiar()
    return Peculiar()


async def ignored(git: Git, tree: Path, *, scratch: Path | None) -> Ignored:
    """
    What *git* ignores in *tree*; *scratch* names an index that is not there, so that nothing counts as tracked, None for the
    repository's own.
    """
    env = {} if scratch is None else {"GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(scratch)}
    words = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    found = await git.run(*words, cwd=tree, env=env)
    return await anyio.to_thread.run_sync(_chosen, os.fsencode(tree), found.records)


def _chosen(tree: bytes, records: list[bytes]) -> Ignored:
    """
    Of what git names, what is kept.  A folder comes with a ``/``, its files perhaps once more.
    """
    files: dict[bytes, int] = {}
    left_out: list[bytes] = []
    for folder in sorted(path for path in records if path.endswith(b"/")):
        if folder.startswith(tuple(left_out)):
            continue
        inside = _folder(tree, folder)
        if inside is None:
            left_out.append(folder)
        else:
            files |= inside
    beyond = tuple(left_out)
    for path in (path for path in records if not path.endswith(b"/") and path not in files):
        if not path.startswith(beyond):
            size = _size(tree + b"/" + path)
            if size is not None:
                files[path] = size
    kept: list[bytes] = []
    total = 0
    for path, size in sorted(files.items()):
        if size > FILE_BYTES or len(kept) >= ALL_FILES or total + size > ALL_BYTES:
            left_out.append(path)
        else:
            kept.append(path)
            total += size
    return Ignored(files=tuple(kept), left_out=tuple(left_out))


def _folder(tree: bytes, folder: bytes) -> dict[bytes, int] | None:
    """
    The files below *folder* with their sizes; None when they are too many, or too large.
    """
    found: dict[bytes, int] = {}
    total = 0
    for seen, (path, entry) in enumerate(_below(tree, folder.rstrip(b"/"))):
        if seen > 2 * FOLDER_FILES or len(found) > FOLDER_FILES or total > FOLDER_BYTES:
            return None
        if not entry.is_dir(follow_symlinks=False) and (size := _size(entry.path)) is not None:
            found[path] = size
            total += size
    return None if len(found) > FOLDER_FILES or total > FOLDER_BYTES else found


def _below(tree: bytes, top: bytes) -> Iterator[tuple[bytes, os.DirEntry[bytes]]]:
    """
    Everything below the folder *top* of *tree*, as paths below *tree*, without what lies in a ``.git``; what cannot be read is
    passed over.
    """
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(tree + b"/" + folder) as scan:
                found = list(scan)
        except OSError:
            continue
        for entry in found:
            path = folder + b"/" + entry.name if folder else entry.name
            if entry.name.lower() == b".git":
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            yield path, entry


def peculiar(tree: Path, files: Iterable[bytes], left_out: Iterable[bytes]) -> Peculiar:
    """
    What git does not keep of the *files* of *tree*, and of its folders but those *left_out*.
    """
    top, mask = os.fsencode(tree), _umask()
    skipped = {path.rstrip(b"/") for path in left_out if path.endswith(b"/")}
    modes: dict[str, int] = {}
    empty: list[str] = []
    for path in files:
        try:
            mode = os.lstat(top + b"/" + path).st_mode
        except OSError:
            continue
        usual = (0o777 if mode & stat.S_IXUSR else 0o666) & ~mask
        if stat.S_ISREG(mode) and stat.S_IMODE(mode) != usual and len(modes) < PECULIAR:
            modes[os.fsdecode(path)] = stat.S_IMODE(mode)
    folders = [b""]
    visited = 0
    while folders and visited < VISITED and len(empty) < PECULIAR:
        folder = folders.pop()
        try:
            with os.scandir(top + b"/" + folder) as scan:
                entries = [entry for entry in scan if entry.name.lower() != b".git"]
        except OSError:
            continue
        visited += len(entries) + 1
        if not entries and folder:
            empty.append(os.fsdecode(folder))
        for entry in entries:
            path = folder + b"/" + entry.name if folder else entry.name
            if path not in skipped and entry.is_dir(follow_symlinks=False):
                folders.append(path)
    return Peculiar(empty=tuple(sorted(empty)), modes=modes)


def _size(path: bytes) -> int | None:
    """
    Bytes of the file or link at *path*; None for anything else.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode) else None


def _umask() -> int:
    status = Path("/proc/self/status").read_text("utf-8", "replace").splitlines()
    told = next((line for line in status if line.startswith("Umask:")), "Umask: 022")
    return int(told.split()[1], 8)
