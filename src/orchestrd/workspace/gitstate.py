"""
What may not change in a repository while an agent works: HEAD, refs, index, settings, hooks.

What is looked at are files of git's own; first how they look (inode, size, times), and only what looks otherwise than before is
read.  Nothing is followed, waited for or read without a bound: an agent may have put anything there.

What cannot be looked at now, for want of descriptors say, is not gone: `OSError` (`locks.raise_if_short`).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from orchestrd.locks import raise_if_short
from orchestrd.workspace.git import shown
from orchestrd.workspace.indexfile import entries_digest

FILE_BYTES = 1 << 20
INDEX_BYTES = 256 << 20
MOST_FILES = 50_000
"""Entries of one folder's tree that are looked at; beyond them only its own times count."""
_SHORT = 80
_TELLING = frozenset({"HEAD", "index", ".git", "config", "packed-refs"})
_OWN_REFS = "orchestrd"
_VOLATILE = frozenset({"logs", "orchestrd-made", "gitdir", "commondir", "sharedindex", "locked", "FETCH_HEAD", "index"})
"""In a worktree's entry: what this program writes, what tells nothing, and the index, which is read as what it says."""

State = Mapping[str, str]
"""What is there → what it holds: text, or a digest."""


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where the state of one working tree lies.

    *entry* is git's folder for this tree alone, *common* the repository that it shares with others.  *pointer* is the tree's
    ``.git`` file, None where it is the folder itself.  *ours*: the repository is this program's, whose own refs come and go.
    """

    entry: Path
    common: Path
    pointer: Path | None = None
    ours: bool = True
    oid: int = 20


def changes(before: State, after: State) -> list[str]:
    """
    What is otherwise in *after*, a line each, what tells most first.
    """
    told: list[str] = []
    for name in sorted(before.keys() | after.keys(), key=lambda name: (name not in _TELLING, name)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old is None:
            told.append(f"{name} appeared ({new})")
        elif new is None:
            told.append(f"{name} is gone ({old})")
        else:
            told.append(f"{name} changed ({old} -> {new})")
    return told


class GitState:
    """
    Takes the state of one tree, again and again.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}

    @property
    def there(self) -> bool:
        """
        False when the working tree is gone as a whole: what git keeps for it tells nothing then.
        """
        return self._places.pointer is None or self._places.pointer.parent.is_dir()

    def own(self) -> dict[str, str]:
        """
        What is this tree's alone: its HEAD, index, and what git keeps while it merges or rebases.
        """
        entry, found = self._places.entry, dict[str, str]()
        self._put(found, "index", entry / "index")
        if self._places.pointer is not None:
            told = _bytes(self._places.pointer, FILE_BYTES)
            # As it should be, it says the same wherever the home lies.
            sound = told is not None and told.strip() == os.fsencode(f"gitdir: {entry}")
            found[".git"] = "leads here" if sound else self._held(".git", self._places.pointer) or "unreadable"
        if entry == self._places.common:
            for name in ("HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "BISECT_LOG"):
                self._put(found, name, entry / name)
            return found
        for name, path in _walk(entry):
            if name.partition("/")[0] not in _VOLATILE and not name.startswith("sharedindex."):
                self._put(found, name, path)
        return found

    def shared(self) -> dict[str, str]:
        """
        What all trees of the repository have in common: refs, settings, hooks.
        """
        common, found = self._places.common, dict[str, str]()
        names = ["config", "config.worktree", "packed-refs", "info/attributes", "objects/info/alternates"]
        if self._places.ours:
            names += ["HEAD", "orchestrd.config"]
        for name in names:
            self._put(found, name, common / name)
        for folder in ("refs", "hooks"):
            # Of our own refs there are many, and they come and go.
            for name, path in _walk(common / folder, leave=_OWN_REFS if self._places.ours and folder == "refs" else ""):
                self._put(found, f"{folder}/{name}", path)
        return found

    def _put(self, found: dict[str, str], name: str, path: Path) -> None:
        told = self._held(name, path)
        if told is not None:
            found[shown(name)] = told

    def _held(self, name: str, path: Path) -> str | None:
        """
        What the file at *path* holds; None where there is none.
        """
        try:
            looks = path.lstat()
        except OSError as error:
            raise_if_short(error)
            return None
        sign = (looks.st_mode, looks.st_ino, looks.st_size, looks.st_mtime_ns, looks.st_ctime_ns)
        known = self._known.get(str(path))
        if known is not None and known[0] == sign:
            return known[1]
        held = self._read(name, path, looks)
        if held is None:
            return None
        self._known[str(path)] = (sign, held)
        return held

    def _read(self, name: str, path: Path, looks: os.stat_result) -> str | None:
        if stat.S_ISLNK(looks.st_mode):
            try:
                return f"a link to {shown(str(path.readlink()))[:_SHORT]}"
            except OSError as error:
                raise_if_short(error)
                return None
        if not stat.S_ISREG(looks.st_mode):
            return "a folder" if stat.S_ISDIR(looks.st_mode) else "a special file"
        limit = INDEX_BYTES if name == "index" else FILE_BYTES
        data = _bytes(path, limit)
        if data is None:
            return None
        if len(data) > limit:
            return f"{looks.st_size} bytes of {looks.st_mtime_ns}"
        if name == "index":
            return entries_digest(data, oid=self._places.oid)
        if name == "packed-refs" and self._places.ours:
            data = b"\n".join(
                line for line in data.splitlines() if b" refs/orchestrd/" not in line and line[:1] not in b"#^"
            )
            if not data:
                return None  # it holds none but our own
        return _told(data)


def _told(data: bytes) -> str:
    line = data.strip()
    if len(line) <= _SHORT and b"\n" not in line:
        return shown(os.fsdecode(line))
    return hashlib.sha256(data).hexdigest()[:16]


def _bytes(path: Path, limit: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise_if_short(error)
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        data = b""
        while len(data) <= limit and (piece := os.read(fd, min(limit + 1 - len(data), 1 << 24))):
            data += piece
    except OSError as error:
        raise_if_short(error)
        return None
    else:
        return data
    finally:
        os.close(fd)


def _walk(folder: Path, *, leave: str = "") -> Iterator[tuple[str, Path]]:
    """
    Every file below *folder* that no git is just writing, by its path there; without the folder *leave* in it.
    """
    pending, seen = [(folder, "")], 0
    while pending:
        here, prefix = pending.pop()
        try:
            with os.scandir(here) as entries:
                listed = list(entries)
        except OSError as error:
            raise_if_short(error)
            continue
        for entry in listed:
            seen += 1
            if seen > MOST_FILES:
                return
            name = f"{prefix}{entry.name}"
            if leave and name == leave:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((Path(entry.path), f"{name}/"))
            elif not name.endswith(".lock"):
                yield name, Path(entry.path)
